"""What is answered whatever the talk is about: STOP and START, HULP, PRIVACY, GEGEVENS, VERGEET MIJ, LAAT MAAR.

    bewoner Riet: stop
    bot aan Riet: Goed. U krijgt geen berichten meer. Terugkomen mag altijd: schrijf START.

What cannot be undone asks once more; everything else works at the first word.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import alarm, casebook, claims, farewell, lookup
from flows import help as asking
from flows.contract import (
    Case,
    Effects,
    EndTalk,
    Erase,
    MoveCase,
    Note,
    Person,
    Scene,
    SetPerson,
    Slots,
    StopPerson,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import quote, say, tell
from flows.talk import Answer, Ask, Dialogue, Leave, begin


def stop(scene: Scene) -> Effects:
    """No more messages. One confirmation, no question back; a contact hears it only when something is open."""
    person = scene.person
    effects: Effects = [EndTalk(person.id, scene.talk.serial)] if scene.talk else []
    effects += [*_leave_work(scene), *one_fewer(scene)]
    for case in scene.own_cases:
        loud = "safety" if case.kind == "safety" else "news"
        args = {"number": case.number, "who": casebook.who(case)}
        effects += [tell(p, _stopped_text(case), case, urgency=loud, **args) for p in _who_knows(scene, case)]
    if not scene.message.opt_out:  # Twilio answered already when it says OptOutType; twice would be rude
        effects.append(alarm.say_safe(scene, "always.stopped"))
    return [*effects, StopPerson(person.id), Note(person.id, "stopped")]


def _who_knows(scene: Scene, case: Case) -> tuple[Person, ...]:
    """Who reads about a matter of hers: who has it, or else who was told of it; never who she kept it from."""
    if case.claimed_by:
        return (case.claimed_by,)
    if scene.place is None:
        return scene.contacts or scene.coordinators
    return casebook.told_about(scene.place, scene.coordinators, case)


def _stopped_text(case: Case) -> str:
    if casebook.may_visit(case):
        return "contacts.person_stopped"
    return "contacts.person_stopped_only" if casebook.is_private(case) else "contacts.person_stopped_nameless"


def _leave_work(scene: Scene) -> Effects:
    """A contact who stops gives back what is theirs at once, so that nobody writes to who is gone."""
    return [effect for case in claims.resting_on(scene) for effect in claims.hand_back(scene, case)]


def one_fewer(scene: Scene) -> Effects:
    """A contact who stops or cannot be reached: the others and the coordinator must know that there is one fewer who reads."""
    me, place = scene.person, scene.place
    if me.role != "contact" or place is None:
        return []
    args = {"contact": me.name, "neighbourhood": place.neighbourhood.name}
    others = tuple(p for p in place.all_contacts if p.id != me.id and p.reachable)
    return [
        *(tell(p, "contacts.one_fewer", None, **args) for p in others),
        *(tell(p, "contacts.one_fewer_coordinator", None, **args) for p in scene.coordinators if p.id != me.id),
    ]


def asks_to_stop(scene: Scene) -> Effects:
    """ "ik stop ermee" of a contact: all of it, or only what was taken? STOP itself is never asked about."""
    return begin(QUIT, scene, {})


def _quit(scene: Scene, heard: Heard, _slots: Slots, choice: str) -> Answer:
    answer = choice or {"yes": "all", "no": "no", "": ""}[asking.yes_or_no(heard)]
    answer = answer or {"hand_back": "back"}.get(heard.opening, "")
    if answer == "all":
        return Leave(stop(replace(scene, talk=None)))
    if answer == "back":
        return Leave(_leave_work(scene) or [say(scene.person, "contacts.quit_stays")])
    return Leave([say(scene.person, "contacts.quit_stays")]) if answer == "no" else None


def _quit_args(scene: Scene, _slots: Slots) -> dict[str, Any]:
    return {"numbers": tuple(str(c.number) for c in claims.mine(scene))}


QUIT = Dialogue(
    "quit",
    (
        Ask(
            "sure",
            _quit,
            choices=lambda scene, _: ("all", "back", "no") if claims.mine(scene) else ("all", "no"),
            says=lambda scene, _: "contacts.quit" if claims.mine(scene) else "contacts.quit_alone",
            args=_quit_args,
            base="contacts.quit",
        ),
    ),
    lambda scene, _heard, _slots: [say(scene.person, "contacts.quit_stays")],
)


def start_again(scene: Scene) -> Effects:
    """START after STOP, or after a death that was none."""
    if scene.person.written_off:
        return farewell.mistaken(scene)
    effects: Effects = [StopPerson(scene.person.id, stopped=False)]
    if not scene.message.opt_out:
        effects.append(say(scene.person, "always.started", name=scene.person.name))
    return [*effects, *what_waits(scene)]


def what_waits(scene: Scene) -> Effects:
    """What a contact reads who comes back, by START or because the phone works again: perhaps nobody read it meanwhile."""
    waiting = tuple(case for case in scene.cases if case.claimed_by is None)
    if not scene.person.helps_in_chat or not waiting:
        return []
    return lookup.list_cases(scene, waiting, "contacts.list_open")


def help_text(scene: Scene) -> Effects:
    """HULP: what this is, in one text; contacts get their orders."""
    person = scene.person
    if person.helps_in_chat:
        return [say(person, "contacts.help")]
    return [say(person, "always.help" if person.joined else "always.help_new", contacts=casebook.names_for(scene))]


def privacy(scene: Scene) -> Effects:
    """PRIVACY: who reads, what, how long."""
    return [say(scene.person, "always.privacy", contacts=casebook.names_for(scene))]


def human(scene: Scene) -> Effects:
    """ "ben je een mens?": always the truth."""
    return [say(scene.person, "always.human", contacts=_hers(scene))]


def question(scene: Scene, _heard: Heard) -> Effects:
    """Another question about the bot: the short answer, and a person for the rest."""
    return [say(scene.person, "always.question", contacts=_hers(scene))]


def my_data(scene: Scene) -> Effects:
    """GEGEVENS: everything we keep about her, in plain words."""
    person = scene.person
    consents = tuple(T(f"always.consent_{kind}") for kind in sorted(person.consents)) or (T("always.consent_none"),)
    cases = tuple(
        T("always.data_case", {"number": c.number, "words": quote(c.words, 60)})
        for c in (*scene.own_cases, *scene.drafts)
    )
    talk = scene.talk  # only a matter of hers: what she wrote about danger is not put on her screen again
    deciding = talk.slots.get("words", "") if talk and talk.dialogue in (asking.HELP.name, "join") else ""
    if deciding:
        cases += (T("always.data_deciding", {"words": quote(deciding, 60)}),)
    offers = tuple(quote(o.words, 60) for o in scene.own_offers)
    return [
        say(
            person,
            "always.data",
            name=person.name or T("always.data_no_name"),
            street=person.street or T("always.data_no_street"),
            channels=tuple(T(f"always.channel_{c}") for c in person.channels),
            consents=consents,
        ),
        say(
            person,
            "always.data_words",
            cases=cases or (T("always.data_nothing"),),
            offers=offers or (T("always.data_nothing"),),
        ),
        Note(person.id, "saw_own_data"),
    ]


def _forget_answer(scene: Scene, heard: Heard, slots: Slots, choice: str) -> Answer:
    answer = choice or asking.yes_or_no(heard)
    again = heard.command is not None and heard.command.verb == "forget_me"
    plainly = choice or "yes" in heard.signals or heard.intent == "delete_my_data"  # "prima, maar ..." erases nobody
    if again or (answer == "yes" and plainly):
        effects: Effects = []
        for case in scene.own_cases:
            effects += [
                tell(p, "contacts.person_left", None, number=case.number)
                for p in _who_knows(scene, case)
                if p.id != scene.person.id
            ]
        return Leave(
            [
                *effects,
                *_leave_work(scene),
                *one_fewer(scene),
                alarm.say_safe(scene, "always.forgotten"),
                Erase(scene.person.id),
            ]
        )
    if answer == "no" or "never_mind" in heard.signals:
        return Leave([alarm.say_safe(scene, "always.not_forgotten"), *asking.beside(scene, slots)])
    return None


def _forget_not_heard(scene: Scene, heard: Heard, slots: Slots) -> Effects:
    """No clear yes erases nothing. Who asks for it once more is not told that we keep it all, but asked once more."""
    if heard.clear and heard.intent == "delete_my_data":
        return alarm.aloud(begin(FORGET, scene, slots))
    return [
        alarm.say_safe(scene, "always.not_forgotten"),
        *asking.beside(scene, asking.keep_beside(slots, scene, heard)),
    ]


FORGET = Dialogue(
    "forget",
    (Ask("sure", _forget_answer, choices=lambda *_: ("yes", "no")),),
    _forget_not_heard,
    keeps=asking.keep_beside,
)


def forget(scene: Scene) -> Effects:
    """VERGEET MIJ: one confirmation, because it cannot be undone."""
    if any(c.kind == "safety" for c in scene.own_cases):
        return [alarm.say_safe(scene, "always.forget_later")]
    return alarm.aloud(begin(FORGET, scene, alarm.interrupted(scene)))


def never_mind(scene: Scene, topics: tuple[str, ...] = ()) -> Effects:
    """LAAT MAAR: the last thing she asked ends, without a why."""
    if scene.drafts:
        return asking.drop_draft(scene, scene.drafts[-1])
    return _end_own(scene, "taken_back", topics) or [say(scene.person, "always.nothing_open")]


def solved(scene: Scene, topics: tuple[str, ...] = ()) -> Effects | None:
    """ "het is al gelukt": the matter is done, whoever did it; None when nothing is open."""
    return _end_own(scene, "solved", topics)


def _end_own(scene: Scene, how: str, topics: tuple[str, ...]) -> Effects | None:
    """Her matter about these topics, or else the latest, ends by her own word; who took it, or was told, hears so."""
    own = tuple(c for c in scene.own_cases if c.kind in ("help", "worry"))
    if not own or scene.place is None:
        return None
    return end(scene, next((c for c in reversed(own) if set(c.topics) & set(topics)), own[-1]), how)


def end(scene: Scene, case: Case, how: str) -> Effects:
    """One matter ends by her word: `how` is "taken_back" or "solved"."""
    holder = case.claimed_by
    told: tuple[Person, ...] = (holder,) if holder else ()
    if holder is None and scene.place is not None:
        told = casebook.told_about(scene.place, scene.coordinators, case)
    outcome = "done" if how == "solved" else how
    keeper = holder.id if holder else None
    ended = MoveCase(
        case.key, case.state, "closed", scene.person.id, claimed_by_before=keeper, claimed_by=keeper, outcome=outcome
    )
    args = {"number": case.number, "who": casebook.who(case)}
    return [
        ended,
        Unbutton(case.key),
        *(tell(person, f"contacts.{how}", case, **args) for person in told),
        say(scene.person, f"help.{how}", words=quote(case.words, 60) or T("help.your_question")),
    ]


def address(scene: Scene, form: str) -> Effects:
    """ "zeg maar je": the person's own form from now on."""
    return [SetPerson(scene.person.id, {"form": form}), say(scene.person, f"always.say_{form}")]


def _hers(scene: Scene) -> Any:
    """Who reads what she has open: after "alleen aan Ans" no answer says that Joop reads it too."""
    only = {c.only_contact for c in scene.own_cases if casebook.is_private(c)}
    place = scene.place
    chosen = tuple(p for p in (place.all_contacts if place else ()) if p.id in only)
    alone = len(chosen) == 1 and scene.person.known and all(casebook.is_private(c) for c in scene.own_cases)
    return chosen[0].name if alone else casebook.names_for(scene)
