"""Who has a case: taken, handed over, handed back, declined, done.

    contact Ans: 12 ja
    bot aan Joop: Ans pakt 12 op (Riet). Jij hoeft niets te doen.
    contact Ans: 12 Joop, kan jij overnemen?
    contact Joop: ja
    contact Joop: 12 klaar

A claim is exclusive: `MoveCase` is applied only while nobody has it, else the turn is thought again and says who was first.
"""

from __future__ import annotations

from dataclasses import replace

from flows import silence
from flows.casebook import (
    case_args,
    contact_names,
    hers_again,
    is_private,
    loud_text,
    may_visit,
    shown_words,
    told_about,
    who,
)
from flows.contract import (
    OPEN_CASES_WARN,
    Case,
    Copy,
    Effects,
    Focus,
    MoveCase,
    Note,
    Person,
    Scene,
    T,
    Unbutton,
)
from flows.say import quote, say, tell
from flows.silence import hood_of
from flows.times import later

HANDOVER = "handover"  # of a case that is taken: who has it asked another contact to take it over
DECLINED = "declined:"  # the outcome of a case that is still open: who of the contacts cannot do it, by id


def mine(scene: Scene) -> tuple[Case, ...]:
    """The open cases this contact has taken."""
    return tuple(c for c in scene.cases if c.claimed_by and c.claimed_by.id == scene.person.id)


def resting_on(scene: Scene) -> tuple[Case, ...]:
    """The open cases that nobody else looks after: taken by this contact, or for this one alone."""
    alone = tuple(c for c in scene.cases if c.claimed_by is None and c.only_contact == scene.person.id)
    return (*mine(scene), *alone)


def claim(scene: Scene, case: Case) -> Effects:
    """ "12 ja": this contact takes it, and everybody who should know hears so."""
    me = scene.person
    if is_handed_to(scene, case):
        return take_over(scene, case)
    if case.person is not None and case.person.id == me.id and not case.behalf_of:
        return [say(me, "contacts.own_case", number=case.number)]
    if case.claimed_by and case.claimed_by.id == me.id:
        return [say(me, "contacts.already_yours", number=case.number, who=who(case)), Focus(me.id, case.key)]
    if case.claimed_by:
        choices = ("take_over",) if case.state == "claimed" else ()
        return [
            tell(
                me,
                "contacts.too_late",
                case,
                *choices,
                urgency="reply",
                number=case.number,
                contact=case.claimed_by.name,
            )
        ]
    if case.state == "closed":
        return [say(me, "contacts.already_closed", number=case.number)]
    return [
        MoveCase(
            case.key,
            "open",
            "claimed",
            by=me.id,
            claimed_by=me.id,
            due_at=later(scene.now, hood_of(scene), "claimed_quiet"),
        ),
        Unbutton(case.key),
        Focus(me.id, case.key),
        *_taken(scene, case),
    ]


def _taken(scene: Scene, case: Case) -> Effects:
    me, person = scene.person, case.person
    effects: Effects = []
    if person is None or case.behalf_of:
        effects.append(
            tell(me, "contacts.yours_behalf", case, "close", "hand_back", urgency="reply", **case_args(case))
        )
    elif not person.reachable:
        silent = "contacts.yours_silent" if may_visit(case) else "contacts.yours_silent_only"
        effects.append(tell(me, silent, case, "close", "hand_back", urgency="reply", **case_args(case)))
    else:
        effects.append(
            tell(
                me,
                f"contacts.yours_{'newcomer' if case.kind == 'newcomer' else 'case'}",
                case,
                "close",
                "hand_back",
                urgency="reply",
                **case_args(case),
            )
        )
        effects += [Copy(me.id, a, "contacts.sent_along", {"who": who(case)}, case.key) for a in case.attachments]
    helpers = [
        o
        for o in scene.offers
        if set(o.topics) & set(case.topics) and o.person.id not in (me.id, person.id if person else 0)
    ]
    if helpers:
        effects.append(
            say(me, "contacts.offers_like_it", names=tuple(o.person.name for o in helpers[:3]), number=case.number)
        )
    loud = "safety" if case.kind == "safety" else "news"
    args = {"number": case.number, "who": who(case), "contact": me.name}
    effects += [tell(p, "contacts.other_took", case, urgency=loud, **args) for p in others_told(scene, case)]
    if person and case.kind == "safety" and person.id != me.id:
        name = me.name if person.known else T("help.a_contact")
        effects.append(tell(person, "safety.taken", case, urgency="safety", contact=name))
    if person and case.kind in ("help", "worry") and not case.behalf_of and person.id != me.id:
        key = "help.taken" if person.known else "help.taken_newcomer"
        effects.append(tell(person, key, case, urgency="talk", contact=me.name))
    count = len(mine(scene)) + 1
    if count > OPEN_CASES_WARN:
        effects.append(say(me, "contacts.many_open", count=count))
    return [*effects, Note(me.id, "claimed", case.key)]


def take_over(scene: Scene, case: Case) -> Effects:
    """A contact takes a case from the other one, who is told; only said out loud, never by accident."""
    me, before = scene.person, case.claimed_by
    if before is None or before.id == me.id or case.state != "claimed":
        return claim(scene, case)
    return [
        MoveCase(
            case.key,
            "claimed",
            "claimed",
            by=me.id,
            claimed_by_before=before.id,
            claimed_by=me.id,
            due_at=later(scene.now, hood_of(scene), "claimed_quiet"),
        ),
        Unbutton(case.key),
        Focus(me.id, case.key),
        *_taken(scene, case),
    ]


def hand_over(scene: Scene, case: Case, other: Person, said: str) -> Effects:
    """ "Joop, kan jij overnemen?": the other is asked and takes it with one yes; until then it stays with who has it."""
    me, args = scene.person, {**case_args(case), "contact": other.name}
    if is_private(case) or (case.kind == "safety" and case.only_contact) or other == case.person:
        return [say(me, "contacts.hand_over_private", **args)]
    if other not in scene.contacts:
        return [say(me, "contacts.hand_over_away", **args)]
    due = later(scene.now, hood_of(scene), "claimed_quiet")
    asked = {**args, "contact": me.name, "said": quote(said)}
    key = "contacts.hand_over" if args["words"] else "contacts.hand_over_plain"
    return [
        MoveCase(
            case.key,
            "claimed",
            "claimed",
            me.id,
            me.id,
            me.id,
            due_at=due,
            outcome=HANDOVER,
            changes={"only_contact": None},
        ),
        tell(other, key, case, "claim", urgency=talking(case), **asked),
        say(me, "contacts.hand_over_asked", contact=other.name, number=case.number),
    ]


def is_handed_to(scene: Scene, case: Case) -> bool:
    """True while the contact who has this case asks whether another takes it over, for that other."""
    return case.outcome == HANDOVER and case.state == "claimed" and case not in mine(scene)


def _refuse_handover(scene: Scene, case: Case, holder: Person) -> Effects:
    """A no to taking over costs nothing: it stays where it was, and who has it knows."""
    me, due = scene.person, later(scene.now, hood_of(scene), "claimed_quiet")
    args = {"number": case.number, "contact": me.name}
    return [
        MoveCase(case.key, "claimed", "claimed", me.id, holder.id, holder.id, due_at=due),
        tell(holder, "contacts.hand_over_no", case, "close", "hand_back", urgency=talking(case), **args),
        say(me, "contacts.hand_over_declined", number=case.number, contact=holder.name),
    ]


def hand_back(scene: Scene, case: Case) -> Effects:
    """ "12 terug": it is for both again, without a reason and without reproach."""
    me = scene.person
    if case.state == "closed":
        return [say(me, "contacts.already_closed", number=case.number)]
    if case.claimed_by is None:
        return decline(scene, case)
    if is_handed_to(scene, case):
        return _refuse_handover(scene, case, case.claimed_by)
    if case.claimed_by.id != me.id:
        return [say(me, "contacts.not_with_you", number=case.number, contact=case.claimed_by.name)]
    if is_private(case):
        return _not_by_me(scene, case)
    loud = case.kind == "safety"
    step = "safety_remind" if loud else "help_urgent_remind" if case.urgency in ("now", "today") else "help_remind"
    # She named this one, or nobody else is there: it goes up, not sideways.
    up = loud and (case.only_contact == me.id or not others_told(scene, case))
    due = scene.now if up else later(scene.now, hood_of(scene), step, at_night=loud)
    key = loud_text("contacts.open_again", case) if loud else "contacts.back_with_you"
    urgency = "safety" if loud else "news"
    changes = {"only_contact": None} if case.kind in ("worry", "silence") else {}
    if changes:  # who was on duty had it alone: from now on it is for all
        case = replace(case, only_contact=None)
    effects: Effects = [
        MoveCase(
            case.key,
            "claimed",
            "open",
            me.id,
            me.id,
            rung=int(up),
            due_at=due,
            outcome=_no_from(scene, case),
            changes=changes,
        ),
        Unbutton(case.key),
        Focus(me.id, None),
        say(me, "contacts.handed_back", number=case.number),
        *(
            tell(p, key, case, "claim", urgency=urgency, contact=me.name, **case_args(case))
            for p in others_told(scene, case)
        ),
    ]
    if case.person and case.kind in ("help", "worry") and not case.behalf_of:
        effects.append(tell(case.person, "help.handed_back", case, contacts=T("help.the_contacts")))
    return effects


def decline(scene: Scene, case: Case) -> Effects:
    """ "12 ik kan niet" before anybody took it: it stays open for the others, and the resident reads nothing of it."""
    me = scene.person
    if is_private(case):
        return _not_by_me(scene, case)
    if case.kind == "safety" and case.only_contact == me.id:  # she named this one: it goes up, not sideways
        return _up_at_once(scene, case)
    widened = case.only_contact == me.id
    everyone = others_told(scene, replace(case, only_contact=None) if widened else case)
    others = tuple(p for p in everyone if str(p.id) not in _declined(case))
    waits = not everyone and case.kind != "safety"  # a contact who is alone may look again later; danger does not wait
    if not others and not waits and case.kind != "newcomer" and not case.escalated:
        return _up_at_once(scene, case)
    names = contact_names(others)
    key = "contacts.declined" if others else "contacts.declined_alone"
    effects: Effects = [tell(me, key, case, urgency="reply", number=case.number, others=names)]
    if not widened and case.kind != "newcomer":
        step = "help_urgent" if case.kind == "help" and case.urgency in ("now", "today") else case.kind
        due = later(scene.now, hood_of(scene), f"{step}_remind", at_night=case.kind == "safety")
        effects.append(
            MoveCase(case.key, "open", "open", me.id, rung=case.rung, due_at=due, outcome=_no_from(scene, case))
        )
    if widened:
        due = later(scene.now, hood_of(scene), f"{case.kind}_remind")
        free, said = {"only_contact": None}, _no_from(scene, case)
        effects.append(
            MoveCase(case.key, "open", "open", me.id, rung=case.rung, due_at=due, outcome=said, changes=free)
        )
    if widened or case.kind == "safety":  # the others did not hear of it yet, or must know now that it is up to them
        verbs = silence.VERBS if case.kind == "silence" else ("claim",)
        loud = "safety" if case.kind == "safety" else "news"
        args = {"number": case.number, "who": who(case), "contact": me.name}
        effects += [tell(p, "contacts.cannot", case, *verbs, urgency=loud, **args) for p in others]
    return [*effects, Note(me.id, "declined", case.key)]


def _declined(case: Case) -> list[str]:
    return case.outcome.removeprefix(DECLINED).split(",") if case.outcome.startswith(DECLINED) else []


def _no_from(scene: Scene, case: Case) -> str:
    return DECLINED + ",".join(dict.fromkeys((*_declined(case), str(scene.person.id))))


def _up_at_once(scene: Scene, case: Case) -> Effects:
    """Nobody of the contacts can: the ladder's next rung, the coordinator, need not wait for its hour."""
    me = scene.person
    rung = 2 if case.kind == "silence" else 1  # of its own ladder: where the coordinator hears of it
    names = contact_names(scene.coordinators) if scene.coordinators else ""
    key = "contacts.declined_all" if names else "contacts.declined_alone"
    return [
        MoveCase(case.key, "open", "open", me.id, rung=rung, due_at=scene.now, outcome=_no_from(scene, case)),
        say(me, key, number=case.number, others=names),
        Note(me.id, "declined", case.key),
    ]


def _not_by_me(scene: Scene, case: Case) -> Effects:
    """Nobody else may read it: it is hers again."""
    me = scene.person
    return [Focus(me.id, None), say(me, "contacts.handed_back_only", number=case.number), *hers_again(case, me)]


def close(scene: Scene, case: Case) -> Effects:
    """ "12 klaar": done. The resident is told, and may say that it is not."""
    me = scene.person
    if case.state == "closed":
        return [say(me, "contacts.already_closed", number=case.number)]
    before = case.claimed_by
    if before and before.id != me.id:  # who has it knows best: that one is asked
        question = tell(before, "contacts.close_asked", case, "close", number=case.number, contact=me.name)
        return [question, say(me, "contacts.close_other", number=case.number, contact=before.name)]
    effects: Effects = [
        MoveCase(
            case.key,
            case.state,
            "closed",
            by=me.id,
            claimed_by_before=before.id if before else None,
            claimed_by=before.id if before else me.id,
            outcome="done",
        ),
        Unbutton(case.key),
        Focus(me.id, None),
        say(me, "contacts.closed", number=case.number),
        *(
            tell(p, "contacts.other_closed", case, number=case.number, who=who(case), contact=me.name)
            for p in others_told(scene, case)
        ),
    ]
    asked = case.person is not None and case.opened_by == case.person.id
    if case.person and asked and case.kind == "help" and case.person.id != me.id:
        effects.append(
            tell(case.person, "help.closed", case, words=shown_words({"words": case.words}) or T("help.your_question"))
        )
    return effects


def others_told(scene: Scene, case: Case) -> tuple[Person, ...]:
    """The other contacts who know of a case, or may."""
    if scene.place is None:
        return ()
    asker = case.person.id if case.person else 0
    return tuple(p for p in told_about(scene.place, (), case) if p.id not in (scene.person.id, asker))


def talking(case: Case) -> str:
    """How urgent words about a case are: danger goes on at any hour."""
    return "safety" if case.kind == "safety" else "talk"
