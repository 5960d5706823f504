"""The two contacts: take a case, talk through the bot, hand it back, finish it, all in chat.

    bot aan Ans: 12. Riet vraagt: "mijn lamp is stuk".
    contact Ans: 12 ja
    bot aan Ans: 12 is nu van jou. Schrijf hier gewoon aan Riet. Klaar? Schrijf: 12 klaar
    bot aan Joop: Ans pakt 12 op (Riet). Jij hoeft niets te doen.
    bot aan Riet: Ans pakt het op. U kunt haar hier gewoon terugschrijven.

A claim is exclusive: `MoveCase` is applied only while nobody has it, else the turn is thought again and says who was first.
"""

from __future__ import annotations

from dataclasses import replace

from flows import join, silence
from flows.casebook import (
    WORDS_ALL,
    add_to_case,
    all_words,
    allowed,
    case_args,
    case_words,
    contact_names,
    hers_again,
    is_private,
    loud_text,
    may_visit,
    open_case,
    shown_words,
    told_about,
    who,
)
from flows.contract import (
    OPEN_CASES_WARN,
    AddToCase,
    Case,
    Copy,
    Effects,
    Focus,
    Misheard,
    MoveCase,
    Neighbourhood,
    Note,
    OpenCase,
    Person,
    Say,
    Scene,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.times import later, since

HANDOVER = "handover"  # of a case that is taken: who has it asked another contact to take it over
REPORT_WORDS = 5  # "niet thuis" of who looks after a silence is for us; what is longer may be said to the silent one
FOCUS_MINUTES = 120  # so long after the last word about a case, plain words of a contact are still about it
LIST_MAX = 8  # cases named in one list; a contact with more hears how many more


def about_case(scene: Scene, heard: Heard, verb: str, case: Case) -> Effects:
    """An order about one case, by button or words; what it may do is looked at again here, whatever the button said."""
    if not scene.person.helps_in_chat or case.state == "draft":
        return [say(scene.person, "contacts.not_yours")]
    if scene.place is not None and scene.place.neighbourhood.id != case.neighbourhood:
        scene = replace(scene, place=None)  # a coordinator who had another one in mind: nobody there hears of this case
    acts = {
        "claim": claim,
        "hand_back": hand_back,
        "close": close,
        "spoken": close,
        "seen": close,
        "know": join.know,
        "not_know": join.not_know,
        "show": show,
        "who_can": who_can,
        "misheard": misheard,
        "take_over": take_over,
    }
    if verb in ("know", "not_know") and case.kind != "newcomer":
        return show(scene, case)
    if verb == "hand_back" and case.kind == "newcomer" and case.claimed_by is None:
        verb = "not_know"  # "1 nee" answers "ken je die?"
    if verb == "not_know" and case.claimed_by is not None:
        return hand_back(scene, case)
    if case.kind == "silence" and verb in (*silence.VERBS, "close"):
        return silence.report(scene, verb, case)
    if verb == "close" and case.kind == "newcomer":
        return join.know(scene, case)
    if verb in acts:
        return acts[verb](scene, case)
    if scene.message.button:  # one that no screen shows, or that fits another kind of case
        return [say(scene.person, "always.old_button")]
    return words(scene, heard, case, heard.command.rest if heard.command and heard.command.rest else heard.text)


def words(scene: Scene, heard: Heard, case: Case, said: str) -> Effects:
    """A contact's words about a case: an order they begin with, something told to us, or words to somebody.

    What we cannot place goes to the resident, except while the case is about somebody who did not ask for it.
    """
    numbered = heard.command is not None and heard.command.number is not None
    if numbered and heard.suggested:  # "1 vraag Henk" is for us, and no word to Riet
        return [say(scene.person, "contacts.ask_how", name=heard.suggested.name)]
    kept = AddToCase(case.key, scene.person.id, said)
    few = case.kind == "silence" and len(said.split()) <= REPORT_WORDS
    if heard.reported in _REPORTS.get(case.kind, ()) and (numbered or few or is_about(case)):
        return [kept, *about_case(scene, heard, heard.reported, case)]
    if heard.handed_to and case in mine(scene):
        return [kept, *hand_over(scene, case, heard.handed_to, said)]
    other = heard.called or heard.handed_to
    if other and other.reachable and other != case.person and not is_private(case):
        return [kept, *_to_other(scene, case, other, said)]
    if heard.opening == "take_over":
        return [kept, *take_over(scene, case)]
    if is_handed_to(scene, case) and heard.opening in ("claim", "decline", "hand_back"):
        return [kept, *about_case(scene, heard, "claim" if heard.opening == "claim" else "hand_back", case)]
    if case.kind == "safety" and case.claimed_by is None and is_going(heard):
        return [kept, *claim(scene, case)]
    if case.state == "closed" and heard.opening in ("close", "hand_back", "decline"):
        return [say(scene.person, "contacts.already_closed", number=case.number)]
    if case.claimed_by is None and heard.opening in ("decline", "hand_back"):
        return [kept, *about_case(scene, heard, "hand_back", case)]
    if is_about(case):
        return [kept, _not_sent(scene, case)]
    if heard.opening == "claim" and speaks_about(heard, case) and (case.claimed_by is None or case in mine(scene)):
        noted = say(scene.person, "contacts.noted", number=case.number)
        return [kept, *claim(scene, case)] if case.claimed_by is None else [kept, noted]
    if case.claimed_by is None and heard.opening == "close":
        return [kept, *close(scene, case)]
    if case in mine(scene) and heard.opening == "close" and "?" not in said:
        return [*relay(scene, heard, case, said), *close(scene, case)]
    doubts = heard.opening == "hand_back" or ("no_time" in heard.signals and "?" not in said)
    if case in mine(scene) and doubts:
        if heard.opening == "hand_back" and heard.when is None:
            return [kept, *hand_back(scene, case)]
        offered = tell(scene.person, "contacts.sent_back", case, "hand_back", urgency="reply", **case_args(case))
        return [*relay(scene, heard, case, said), offered]  # "het lukt niet om vier uur" may well be for her
    return relay(scene, heard, case, said)


def is_named(heard: Heard, case: Case) -> bool:
    """Whether the one a case is about is called by name, in the first sentence."""
    name = case.person.name.lower() if case.person else ""
    return name != "" and name in heard.text.lower().split(".")[0]


def of_them(heard: Heard) -> bool:
    """Words about somebody and to nobody: "ik bel haar wel even"."""
    return "of_them" in heard.signals and "to_you" not in heard.signals


def is_going(heard: Heard) -> bool:
    """ "ga nu", "ben er": somebody goes there now, or is there; said of tomorrow, or asked, it is nothing of the kind."""
    return heard.opening == "going" and "no_going" not in heard.signals and "?" not in heard.text


def speaks_about(heard: Heard, case: Case) -> bool:
    """ "ik bel haar zo": about the one of the case, so not for that one; a moment in it is worth knowing all the same."""
    about = of_them(heard) or (is_named(heard, case) and not case.nameless and "to_you" not in heard.signals)
    return about and heard.when is None


_REPORTS = {"newcomer": ("know", "not_know"), "silence": silence.VERBS}


def is_about(case: Case) -> bool:
    """True while words about this case are for us: it is about somebody who did not write to us about it.

    Somebody of an unknown street is written to by number, because there is no other way yet.
    """
    if case.kind not in _REPORTS or case.person is None or not case.person.joined:
        return False
    return case.claimed_by is None or case.outcome == "not_reached"


def _not_sent(scene: Scene, case: Case) -> Say:
    verbs = silence.VERBS if case.kind == "silence" else ("know", "not_know")
    return tell(scene.person, f"contacts.kept_{case.kind}", case, *verbs, urgency="reply", **case_args(case))


def _to_other(scene: Scene, case: Case, other: Person, said: str) -> Effects:
    """ "1 Joop, kan jij?": for the other contact, who may take it; nobody's case changes."""
    verbs = ("claim",) if case.claimed_by is None and case.kind not in _REPORTS else ()
    args = {"contact": scene.person.name, "number": case.number, "words": said}
    return [
        tell(other, "contacts.note", case, *verbs, urgency=_talking(case), **args),
        Focus(other.id, case.key),
        say(scene.person, "contacts.to_other", contact=other.name, who=who(case)),
    ]


def seen_at(scene: Scene, alarm: Case, said: str) -> Effects | None:
    """What a contact sees of an alarm, for all who were warned beside them; None when there is nobody else."""
    warned = {p.id: p for p in (*_others(scene, alarm), *((alarm.claimed_by,) if alarm.claimed_by else ()))}
    out = {scene.person.id, alarm.person.id if alarm.person else 0}
    people = tuple(p for p in warned.values() if p.id not in out)
    people = people or tuple(p for p in scene.coordinators if p.id not in out)
    if not people:
        return None
    args = {"contact": scene.person.name, "number": alarm.number, "words": said}
    told = [tell(p, "contacts.note", alarm, urgency="safety", **args) for p in people]
    answer = tell(scene.person, "safety.again_emergency", alarm, urgency="safety", contacts=contact_names(people))
    return [AddToCase(alarm.key, scene.person.id, said), Focus(scene.person.id, alarm.key), *told, answer]


def hand_over(scene: Scene, case: Case, other: Person, said: str) -> Effects:
    """ "Joop, kan jij overnemen?": the other is asked and takes it with one yes; until then it stays with who has it."""
    me, args = scene.person, {**case_args(case), "contact": other.name}
    if is_private(case) or (case.kind == "safety" and case.only_contact) or other == case.person:
        return [say(me, "contacts.hand_over_private", **args)]
    if other not in scene.contacts:
        return [say(me, "contacts.hand_over_away", **args)]
    due = later(scene.now, _hood(scene), "claimed_quiet")
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
        tell(other, key, case, "claim", urgency=_talking(case), **asked),
        say(me, "contacts.hand_over_asked", contact=other.name, number=case.number),
    ]


def is_handed_to(scene: Scene, case: Case) -> bool:
    """True while the contact who has this case asks whether another takes it over, for that other."""
    return case.outcome == HANDOVER and case.state == "claimed" and case not in mine(scene)


def _refuse_handover(scene: Scene, case: Case, holder: Person) -> Effects:
    """A no to taking over costs nothing: it stays where it was, and who has it knows."""
    me, due = scene.person, later(scene.now, _hood(scene), "claimed_quiet")
    args = {"number": case.number, "contact": me.name}
    return [
        MoveCase(case.key, "claimed", "claimed", me.id, holder.id, holder.id, due_at=due),
        tell(holder, "contacts.hand_over_no", case, "close", "hand_back", urgency=_talking(case), **args),
        say(me, "contacts.hand_over_declined", number=case.number, contact=holder.name),
    ]


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
            due_at=later(scene.now, _hood(scene), "claimed_quiet"),
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
    effects += [tell(p, "contacts.other_took", case, urgency=loud, **args) for p in _others(scene, case)]
    if person and case.kind == "safety" and person.id != me.id:
        name = me.name if person.known else T("help.a_contact")
        effects.append(tell(person, "safety.taken", case, urgency="safety", contact=name))
    if person and case.kind in ("help", "worry") and not case.behalf_of and person.id != me.id:
        key = "help.taken" if person.known else "help.taken_newcomer"
        effects.append(tell(person, key, case, urgency="talk", contact=me.name))
    mine = sum(1 for c in scene.cases if c.claimed_by and c.claimed_by.id == me.id)
    if mine + 1 > OPEN_CASES_WARN:
        effects.append(say(me, "contacts.many_open", count=mine + 1))
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
            due_at=later(scene.now, _hood(scene), "claimed_quiet"),
        ),
        Unbutton(case.key),
        Focus(me.id, case.key),
        *_taken(scene, case),
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
    up = loud and (case.only_contact == me.id or not _others(scene, case))
    due = scene.now if up else later(scene.now, _hood(scene), step, at_night=loud)
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
            for p in _others(scene, case)
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
    everyone = _others(scene, replace(case, only_contact=None) if widened else case)
    others = tuple(p for p in everyone if str(p.id) not in _declined(case))
    waits = not everyone and case.kind != "safety"  # a contact who is alone may look again later; danger does not wait
    if not others and not waits and case.kind != "newcomer" and not case.escalated:
        return _up_at_once(scene, case)
    names = contact_names(others)
    key = "contacts.declined" if others else "contacts.declined_alone"
    effects: Effects = [tell(me, key, case, urgency="reply", number=case.number, others=names)]
    if not widened and case.kind != "newcomer":
        step = "help_urgent" if case.kind == "help" and case.urgency in ("now", "today") else case.kind
        due = later(scene.now, _hood(scene), f"{step}_remind", at_night=case.kind == "safety")
        effects.append(
            MoveCase(case.key, "open", "open", me.id, rung=case.rung, due_at=due, outcome=_no_from(scene, case))
        )
    if widened:
        due = later(scene.now, _hood(scene), f"{case.kind}_remind")
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


DECLINED = "declined:"  # the outcome of a case that is still open: who of the contacts cannot do it, by id


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
            for p in _others(scene, case)
        ),
    ]
    asked = case.person is not None and case.opened_by == case.person.id
    if case.person and asked and case.kind == "help" and case.person.id != me.id:
        effects.append(
            tell(case.person, "help.closed", case, words=shown_words({"words": case.words}) or T("help.your_question"))
        )
    return effects


def show(scene: Scene, case: Case) -> Effects:
    """What a case is about, with the buttons that are alive."""
    verbs: tuple[str, ...] = ("claim",) if case.claimed_by is None else ()
    if case.claimed_by and case.claimed_by.id == scene.person.id:
        verbs = ("close", "hand_back")
    if case.state == "closed":
        verbs = ()
    if case.kind == "newcomer" and case.state != "closed":
        verbs = ("know", "not_know")
    holder = case.claimed_by.name if case.claimed_by else T("contacts.nobody")
    return [
        tell(
            scene.person,
            f"contacts.show_{case.state}",
            case,
            *verbs,
            urgency="reply",
            holder=holder,
            **case_args(case, WORDS_ALL),
        ),
        *([Focus(scene.person.id, case.key)] if case in mine(scene) else []),
        Note(scene.person.id, "looked", case.key),
    ]


def who_can(scene: Scene, case: Case) -> Effects:
    """Who offered something like it and lets a contact ask."""
    names = tuple(o.person.name for o in scene.offers if not case.topics or set(o.topics) & set(case.topics))
    key = "contacts.who_can" if names else "contacts.who_can_nobody"
    return [say(scene.person, key, names=names[:LIST_MAX], number=case.number)]


def been_there(scene: Scene, case: Case) -> Effects:
    """ "ben er al geweest": done, perhaps; whoever was there says so with one tap."""
    if case.kind == "silence":
        return [_not_sent(scene, case)]
    verbs = ("close",) if case in mine(scene) else ("close", "claim")
    return [tell(scene.person, "contacts.been_there", case, *verbs, urgency="reply", number=case.number)]


def misheard(scene: Scene, case: Case) -> Effects:
    """ "12 anders": we understood these words wrongly; kept as an example to learn from."""
    return [Misheard(case.key, scene.person.id), say(scene.person, "contacts.misheard", number=case.number)]


def relay(scene: Scene, heard: Heard, case: Case, words: str) -> Effects:
    """Words from a contact to the resident of a case. Answering is taking it: nobody answers beside another."""
    me, person = scene.person, case.person
    if case.claimed_by and case.claimed_by.id != me.id:
        return [
            AddToCase(case.key, me.id, words),
            tell(
                case.claimed_by,
                "contacts.note",
                case,
                urgency=_talking(case),
                contact=me.name,
                number=case.number,
                words=words,
            ),
            say(me, "contacts.note_left", contact=case.claimed_by.name, number=case.number),
        ]
    effects: Effects = []
    if case.state == "closed":
        effects.append(
            MoveCase(
                case.key,
                "closed",
                "claimed",
                by=me.id,
                claimed_by_before=case.claimed_by.id if case.claimed_by else None,
                claimed_by=me.id,
                due_at=later(scene.now, _hood(scene), "claimed_quiet"),
            )
        )
    elif case.claimed_by is None:
        effects += [*claim(scene, case)]
    if person is None and not case.behalf_of:  # she had herself erased: nobody reads this any more
        return [*effects, say(me, "contacts.person_left", number=case.number)]
    if person is None or case.behalf_of or person.id == me.id:
        return [*effects, AddToCase(case.key, me.id, words), say(me, "contacts.noted", number=case.number)]
    if not person.reachable:
        unread = "contacts.not_reachable" if may_visit(case) else "contacts.not_reachable_only"
        return [*effects, AddToCase(case.key, me.id, words), say(me, unread, who=who(case))]
    due = later(scene.now, _hood(scene), "claimed_quiet")
    key = f"relay.{'corrected_' if scene.message.edited else ''}to_{'resident' if person.known else 'newcomer'}"
    sent = tell(person, key, case, urgency=_talking(case), contact=me.name, words=words)
    effects += [
        AddToCase(case.key, me.id, words, scene.message.attachment, due_at=due),
        Focus(me.id, case.key),
        Focus(person.id, case.key),
    ]
    if words:
        effects.append(sent)
    if scene.message.attachment:
        effects.append(Copy(person.id, scene.message.attachment, "relay.sent_along", {"who": me.name}, case.key))
    return effects


def from_resident(scene: Scene, heard: Heard, case: Case) -> Effects:
    """Words from a resident to the contact who has the case. The bot itself keeps quiet.

    A contact who said STOP or cannot be reached any more reads nothing: then it is for the others again, words and all.
    """
    claimer = case.claimed_by
    assert claimer is not None
    if not claimer.reachable:
        free = replace(case, claimed_by=None, state="open")
        return [*hand_back(replace(scene, person=claimer), case), *add_to_case(scene, heard, free)]
    due = later(scene.now, _hood(scene), "claimed_quiet")
    effects: Effects = [
        AddToCase(
            case.key,
            scene.person.id,
            heard.text,
            scene.message.attachment,
            due_at=due,
            instead=all_words(case, heard),
        ),
        Focus(claimer.id, case.key),
        *_closes_to_others(scene, heard, case, claimer),
    ]
    if heard.text.strip():
        key = "relay.corrected_to_contact" if scene.message.edited else "relay.to_contact"
        effects.append(
            tell(claimer, key, case, urgency=_talking(case), who=who(case), number=case.number, words=heard.text)
        )
    if scene.message.attachment:
        effects.append(
            Copy(
                claimer.id,
                scene.message.attachment,
                "contacts.sent_along",
                {"who": who(case)},
                case.key,
                _talking(case),
            )
        )
    return effects


def _closes_to_others(scene: Scene, heard: Heard, case: Case, holder: Person) -> Effects:
    """ "niet tegen Joop hoor", to who has it: then it never goes to Joop again, also when it is handed back."""
    said = bool(heard.kept_from or heard.alone_for)
    if not said or case.kind != "help" or case.only_contact or [p.id for p in allowed(scene, heard)] != [holder.id]:
        return []
    due, only = later(scene.now, _hood(scene), "claimed_quiet"), {"only_contact": holder.id}
    return [
        MoveCase(case.key, "claimed", "claimed", scene.person.id, holder.id, holder.id, due_at=due, changes=only),
        say(scene.person, "help.only_now", contact=holder.name if scene.person.known else T("help.a_contact")),
    ]


def order(scene: Scene, heard: Heard) -> Effects | None:
    """An order of a contact that names no single case; None when it is none."""
    command = heard.command
    assert command is not None
    match command.verb:
        case "list_open":
            return list_cases(scene, tuple(c for c in scene.cases if c.claimed_by is None), "contacts.list_open")
        case "list_mine":
            return list_cases(scene, mine(scene), "contacts.list_mine")
        case "list_offers":
            return list_offers(scene)
        case "behalf":
            return behalf(scene, heard)
        case _:
            return None


def mine(scene: Scene) -> tuple[Case, ...]:
    """The open cases this contact has taken."""
    return tuple(c for c in scene.cases if c.claimed_by and c.claimed_by.id == scene.person.id)


def resting_on(scene: Scene) -> tuple[Case, ...]:
    """The open cases that nobody else looks after: taken by this contact, or for this one alone."""
    alone = tuple(c for c in scene.cases if c.claimed_by is None and c.only_contact == scene.person.id)
    return (*mine(scene), *alone)


def list_cases(scene: Scene, cases: tuple[Case, ...], key: str) -> Effects:
    """One line a case, oldest first, with its age in the words of the language file."""
    if not cases:
        return [say(scene.person, f"{key}_none")]
    lines = tuple(
        T(
            "contacts.list_line",
            {**case_args(c), "words": case_words(c, 50), "age": _age(scene, c), "kind": T(f"contacts.kind_{c.kind}")},
        )
        for c in cases[:LIST_MAX]
    )
    more = T("contacts.list_more", {"count": len(cases) - LIST_MAX}) if len(cases) > LIST_MAX else ""
    return [
        say(scene.person, key, lines=T("contacts.lines", {"lines": lines}), more=more),
        Note(scene.person.id, "listed"),
    ]


def _age(scene: Scene, case: Case) -> T:
    hours = int(since(scene.now, case.opened_at) // 60)
    if hours < 1:
        return T("contacts.age_new")
    return T("contacts.age_hours", {"count": hours}) if hours < 24 else T("contacts.age_days", {"count": hours // 24})


def list_offers(scene: Scene) -> Effects:
    """Who offers what, of those who let themselves be asked."""
    if not scene.offers:
        return [say(scene.person, "contacts.offers_none")]
    lines = tuple(
        T("contacts.offer_line", {"name": o.person.name, "words": quote(o.words, 60)}) for o in scene.offers[:LIST_MAX]
    )
    return [say(scene.person, "contacts.offers", lines=T("contacts.lines", {"lines": lines}))]


def behalf(scene: Scene, heard: Heard) -> Effects:
    """ "namens mevrouw De Vries: …": a case for somebody without a phone, or for a resident who asked at the door."""
    command = heard.command
    assert command is not None
    if not command.name:
        return [say(scene.person, "contacts.behalf_how")]
    place = scene.place
    if place is None:
        return [say(scene.person, "contacts.no_neighbourhood")]
    person = heard.named_person
    case = Case(
        neighbourhood=place.neighbourhood.id,
        number=place.next_number,
        kind="help",
        state="open",
        words=command.rest,
        person=person,
        opened_by=scene.person.id,
        behalf_of=person.name if person else command.name,
        topics=heard.topics,
        urgency=heard.urgency,
    )
    people = tuple(p for p in place.contacts if p.id != scene.person.id)
    told = [
        tell(p, "contacts.new_behalf_by", case, "claim", contact=scene.person.name, **case_args(case)) for p in people
    ]
    opened = open_case(scene, place, case, behalf_of=case.behalf_of)
    return [
        opened,
        *told,
        tell(scene.person, "contacts.behalf_opened", case, "claim", urgency="reply", **case_args(case)),
    ]


def start_talk(scene: Scene, heard: Heard, person: Person, words: str) -> Effects:
    """ "Riet: hoe is het met de lamp?": a contact begins; the resident's answers come back to this contact."""
    place, me = scene.place, scene.person
    if place is None:
        return [say(me, "contacts.coordinator_how")]
    open_ = next(
        (
            c
            for c in scene.cases
            if c.person
            and c.person.id == person.id
            and not c.nameless
            and c.kind != "newcomer"
            and not c.behalf_of
            and (c.claimed_by in (None, me) or c.opened_by == person.id)  # another contact's own talk is theirs
        ),
        None,
    )
    if open_:
        return relay(scene, heard, open_, words)
    if not person.reachable:
        return [say(me, "contacts.not_reachable", who=person.name)]
    key = (place.neighbourhood.id, place.next_number)
    return [
        OpenCase(
            key,
            "help",
            words,
            person.id,
            me.id,
            state="claimed",
            claimed_by=me.id,
            due_at=later(scene.now, place.neighbourhood, "claimed_quiet"),
        ),
        Focus(me.id, key),
        Focus(person.id, key),
        Say(
            person.id,
            "relay.started" if person.known else "relay.started_newcomer",
            {"contact": me.name, "words": words},
            case=key,
            urgency="talk",
        ),
        say(me, "contacts.talk_started", who=person.name, number=key[1]),
        Note(me.id, "started_talk", key),
    ]


def _others(scene: Scene, case: Case) -> tuple[Person, ...]:
    if scene.place is None:
        return ()
    asker = case.person.id if case.person else 0
    return tuple(p for p in told_about(scene.place, (), case) if p.id not in (scene.person.id, asker))


def _talking(case: Case) -> str:
    """How urgent words about a case are: danger goes on at any hour."""
    return "safety" if case.kind == "safety" else "talk"


def _hood(scene: Scene) -> Neighbourhood | None:
    return scene.place.neighbourhood if scene.place else None
