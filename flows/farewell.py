"""Somebody died. Their family writes it from their phone, or a contact says it: from then on we are quiet.

    bewoner Riet: U spreekt met haar zoon. Mijn moeder is vorige week overleden.
    bot aan Riet: Gecondoleerd. Ik stuur hier niets meer. Ans en Joop horen het.
    bot aan Ans: Op de telefoon van Riet schreef iemand dat Riet is overleden. Ik stuur daar niets meer.

    -- of het was een vergissing --
    bewoner Riet: ik leef nog hoor
    bot aan Riet: Wat fijn, Riet. Het was een vergissing. …

Nothing is asked of anybody. What was open about the person ends without a word of its own. Somebody's grief about another
is an ordinary matter (`flows/check_in.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows import casebook
from flows.contract import (
    Effects,
    EndTalk,
    MoveCase,
    Note,
    PauseOffers,
    Person,
    SawPerson,
    Scene,
    SetConsent,
    StopPerson,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import say, tell

DIED = "died"
"""The name of it in the audit and as the outcome of a case."""
QUIET = "farewell.quiet"
"""The text of it, which marks the consent that we took away ourselves, so that a mistake can be undone."""


def from_own_phone(scene: Scene, heard: Heard) -> Effects | None:
    """Family writes it from the person's own phone; None for other words."""
    person = scene.person
    if not heard.farewell or not person.joined or person.helps_in_chat:
        return None
    names = casebook.contact_names(scene.contacts) if person.known and scene.contacts else T("help.the_contacts")
    ended: Effects = [EndTalk(person.id, scene.talk.serial)] if scene.talk else []
    told = [tell(p, "farewell.from_phone", None, who=_who(person)) for p in _all(scene)]
    quiet = replace(say(person, QUIET, contacts=names), urgency="safety")  # goes out although we stop here
    return [*ended, quiet, *_leave(scene, person), *told]


def from_contact(scene: Scene, heard: Heard) -> Effects:
    """ "Riet is overleden" of a contact: everything to and about the person stops; the others hear it."""
    me, person = scene.person, heard.named_person
    if person is None:
        return [say(me, "silence.who")]
    told = [tell(p, "farewell.told", None, who=_who(person), contact=me.name) for p in _all(scene) if p.id != person.id]
    return [SawPerson(person.id, me.id), *_leave(scene, person), say(me, "farewell.noted", who=_who(person)), *told]


def by_written_off(scene: Scene, heard: Heard) -> Effects:
    """Something is written on the phone of who was said to have died: a mistake, or family; only the first is undone."""
    if heard.alive:
        return mistaken(scene)
    thanks = heard.clear and heard.intent == "thanks"
    return [] if thanks else [replace(say(scene.person, "farewell.still"), urgency="safety")]


def mistaken(scene: Scene) -> Effects:
    """ "ik leef nog hoor", or START: kindly back among us, and everybody who heard of the death hears this."""
    person = scene.person
    told = [tell(p, "farewell.alive_told", None, who=_who(person)) for p in _all(scene)]
    return [
        StopPerson(person.id, stopped=False),
        SetConsent(person.id, "check_in", "check_in" in person.consents, "farewell.alive"),
        say(person, "farewell.alive", name=person.name),
        *told,
        Note(person.id, "alive"),
    ]


def alive_by_contact(scene: Scene, heard: Heard) -> Effects | None:
    """ "Riet leeft nog" of a contact: the others hear it; the person's own START undoes the rest. None for anybody else."""
    me, person = scene.person, heard.named_person
    if person is None or not person.stopped:
        return None
    args: dict[str, Any] = {"who": _who(person), "contact": me.name}
    told = [tell(p, "farewell.alive_by", None, **args) for p in _all(scene) if p.id != person.id]
    return [say(me, "farewell.alive_noted", **args), *told, Note(me.id, "alive")]


def _leave(scene: Scene, person: Person) -> Effects:
    closed: Effects = []
    for case in scene.cases:
        if case.person and case.person.id == person.id:
            holder = case.claimed_by.id if case.claimed_by else None
            by = scene.person.id
            ended = MoveCase(
                case.key, case.state, "closed", by, claimed_by_before=holder, claimed_by=holder, outcome=DIED
            )
            closed += [ended, Unbutton(case.key)]
    return [
        *closed,
        SetConsent(person.id, "check_in", False, QUIET),
        PauseOffers(person.id, None),
        StopPerson(person.id),
        Note(scene.person.id, DIED),
    ]


def _all(scene: Scene) -> tuple[Person, ...]:
    """Who should know: all contacts, also who is away, and the coordinator."""
    everyone = (*(scene.place.all_contacts if scene.place else ()), *scene.coordinators)
    return tuple({p.id: p for p in everyone if p.id != scene.person.id}.values())


def _who(person: Person) -> object:
    return person.name or T("contacts.a_neighbour")
