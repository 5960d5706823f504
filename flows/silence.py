"""Somebody did not answer: asked again softly, then a contact is told, in neutral words and never with a reproach.

    -- dinsdag 17:00 --
    bot aan Riet: Dag Riet. Ik hoorde nog niets. Dat geeft niet. Hoe gaat het?
    -- woensdag 16:00 --
    bot aan Ans: 12 Nog geen antwoord van Riet. Antwoordt anders binnen een dag. Bel je even?
    contact Ans: 12 gesproken
    bot aan Ans: Fijn. 12 is klaar (Riet).

The steps are data (`silence_steps` in flows/times.py), a neighbourhood's or a person's own. Our own outage, a question
that did not arrive, a pause and a STOP are no silence: they move the steps, or end them in words of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from flows import duty
from flows.casebook import case_args, told_about, who
from flows.contract import (
    AddToCase,
    Case,
    CheckIn,
    ClimbLadder,
    Effects,
    Focus,
    MoveCase,
    MoveCheckIn,
    Neighbourhood,
    Note,
    OpenCase,
    Person,
    SawPerson,
    Scene,
    T,
    Unbutton,
)
from flows.heard import Heard
from flows.say import say, tell
from flows.times import into_day, is_night, later, minutes, setting

OPEN = ("asked", "flagged")
VERBS = ("spoken", "seen", "not_reached")
DAILY_MAX = 14  # daily reminders; past it the case stays in the lists
QUIET_WEEKS = 3  # after so many silences in which all was well, another day or no question at all is offered once


def steps(person: Person, neighbourhood: Neighbourhood | None) -> list[Mapping[str, Any]]:
    """What happens in which order when this person stays silent: the person's own patience, or the neighbourhood's."""
    name = f"silence_steps_{person.patience}" if person.patience else "silence_steps"
    found: list[Mapping[str, Any]] = setting(neighbourhood, name)
    return found


def due_at(scene: Scene, rung: int, asked_at: datetime) -> datetime | None:
    """When step `rung` is due for a question asked then; None past the last one. Aware UTC.

    A question asked late in the day moves its steps along: a day is a whole day, and steps stay hours apart.
    """
    hood = hood_of(scene)
    ladder = steps(scene.person, hood)
    if rung >= len(ladder):
        return None
    zone = ZoneInfo(hood.zone if hood else "Europe/Amsterdam")
    local = asked_at.astimezone(zone)
    apart = timedelta(minutes=minutes(hood, "silence_apart"))
    moment: datetime | None = None
    for step in ladder[: rung + 1]:
        if "after" in step:
            due = asked_at + timedelta(minutes=step["after"])
        else:
            at = max(time.fromisoformat(step["at"]), local.time())
            due = datetime.combine(local.date() + timedelta(days=step["days"]), at, zone).astimezone(UTC)
        moment = into_day(due if moment is None else max(due, moment + apart), hood)
    return moment


def flag(scene: Scene) -> Effects:
    """The name goes to the contact on duty, as "nog geen antwoord" and with what is usual for this person."""
    row, place, person = scene.check_in, scene.place, scene.person
    assert row is not None
    if place is None:
        return [MoveCheckIn(row.id, "asked", row.rung, "passed")]
    open_ = _open_case(scene)
    if open_:
        return [MoveCheckIn(row.id, "asked", row.rung, "flagged", row.rung, case=open_.key, variant=row.variant)]
    people = duty.on_duty(scene)
    only = people[0].id if len(people) == 1 and people[0].role == "contact" else None
    case = Case(
        place.neighbourhood.id,
        place.next_number,
        "silence",
        "open",
        "",
        person,
        only_contact=only,
    )
    opened = OpenCase(
        case.key,
        "silence",
        "",
        person.id,
        person.id,
        only_contact=only,
        due_at=later(scene.now, place.neighbourhood, "silence_remind"),
        escalated=all(p.role == "coordinator" for p in people),
    )
    moved = MoveCheckIn(row.id, "asked", row.rung, "flagged", row.rung, case=case.key, variant=row.variant)
    return [opened, moved, *(_told(p, case, "silence.new", habit=usual(row)) for p in people)]


def usual(row: CheckIn) -> T:
    """What is normal for this person, in words: counted from the last answers, nothing cleverer."""
    if len(row.habit) < 3:
        return T("silence.usual_new")
    hours = median(row.habit)
    if hours <= 2:
        return T("silence.usual_soon")
    return T("silence.usual_day") if hours <= 24 else T("silence.usual_slow")


def _told(to: Person, case: Case, key: str, **more: Any) -> Any:
    return tell(to, key, case, *VERBS, **{**case_args(case), **more})


def climb(scene: Scene, case: Case) -> Effects:
    """The next rung of a silence that nobody took: the other contact, both, the coordinator, and then daily."""
    place = scene.place
    if place is None:
        return [ClimbLadder(case.key, case.rung, None)]
    hood = place.neighbourhood
    contacts = tuple(p for p in told_about(place, scene.coordinators, _for_all(case)))
    if case.rung == 0:
        others = tuple(p for p in contacts if p.id != case.only_contact) or contacts
        due = later(scene.now, hood, "silence_both")
        opened = ClimbLadder(case.key, 0, due, changes={"only_contact": None})
        return [opened, *(_told(p, case, "silence.still") for p in others)]
    if case.rung == 1:
        due = later(scene.now, hood, "silence_coordinator")
        return [ClimbLadder(case.key, 1, due), *(_told(p, case, "silence.both") for p in contacts)]
    everyone = (*contacts, *(p for p in scene.coordinators if p not in contacts))
    due_next = later(scene.now, hood, "silence_again") if case.rung < DAILY_MAX else None
    raised = ClimbLadder(case.key, case.rung, due_next, escalated=True)
    above = {p.id for p in scene.coordinators}
    return [
        raised,
        *(
            _told(p, case, "silence.coordinator", neighbourhood=hood.name)
            if p.id in above
            else _told(p, case, "silence.both")
            for p in everyone
        ),
    ]


# --- what a contact says about it ---


def report(scene: Scene, verb: str, case: Case) -> Effects:
    """ "12 gesproken", "12 gezien" or "12 niet bereikt"."""
    me = scene.person
    if case.state == "closed":
        return [say(me, "contacts.already_closed", number=case.number)]
    before = case.claimed_by.id if case.claimed_by else None
    args = {"number": case.number, "who": who(case), "contact": me.name}
    if verb == "not_reached":
        due = later(scene.now, hood_of(scene), "silence_look")
        taken = MoveCase(
            case.key,
            case.state,
            "claimed",
            by=me.id,
            claimed_by_before=before,
            claimed_by=me.id,
            due_at=due,
            outcome="not_reached",
            changes={"only_contact": None},
        )
        return [
            taken,
            Focus(me.id, case.key),
            AddToCase(case.key, me.id, ""),
            tell(me, "silence.advice", case, "seen", "spoken", urgency="reply", **args),
            *(tell(p, "silence.other_not_reached", case, **args) for p in _others(scene, case, all_=True)),
            Note(me.id, "not_reached", case.key),
        ]
    closed = MoveCase(
        case.key,
        case.state,
        "closed",
        by=me.id,
        claimed_by_before=before,
        claimed_by=before or me.id,
        outcome="seen" if verb == "seen" else "spoken",
    )
    return [
        closed,
        Unbutton(case.key),
        Focus(me.id, None),
        *([SawPerson(case.person.id, me.id)] if case.person else []),
        say(me, "silence.fine", **args),
        *(tell(p, "silence.other_fine", case, **args) for p in _others(scene, case)),
    ]


def seen(scene: Scene, heard: Heard) -> Effects:
    """ "gezien Riet", before anything went out or after: a sign of life that a contact gives."""
    person = heard.named_person
    if person is None:
        return [say(scene.person, "silence.who")]
    case = next((c for c in scene.cases if c.kind == "silence" and c.person and c.person.id == person.id), None)
    if case:
        return report(scene, "seen", case)
    return [SawPerson(person.id, scene.person.id), say(scene.person, "silence.seen", who=person.name)]


# --- what ends it ---


def all_clear(scene: Scene) -> Effects:
    """She answered after all: the silence closes, and exactly who was told of it hears so."""
    return [
        effect
        for case in _own_silences(scene)
        for effect in (
            *_closed(scene, case, "answered"),
            *(tell(p, "silence.answered", case, number=case.number, who=who(case)) for p in _told_before(scene, case)),
        )
    ]


def stopped(scene: Scene) -> Effects:
    """She wrote STOP: that is a sign of life too, and who was told of the silence hears it in neutral words."""
    return [
        effect
        for case in _own_silences(scene)
        for effect in (
            *_closed(scene, case, "stopped"),
            *(tell(p, "silence.stopped", case, number=case.number, who=who(case)) for p in _told_before(scene, case)),
        )
    ]


def quietly_closed(scene: Scene, outcome: str) -> Effects:
    """The silence ends without a word: what ended it is told in words of its own."""
    return [effect for case in _own_silences(scene) for effect in _closed(scene, case, outcome)]


def _closed(scene: Scene, case: Case, outcome: str) -> Effects:
    claimer = case.claimed_by.id if case.claimed_by else None
    return [
        MoveCase(
            case.key,
            case.state,
            "closed",
            by=scene.person.id,
            claimed_by_before=claimer,
            claimed_by=claimer,
            outcome=outcome,
        ),
        Unbutton(case.key),
    ]


def explained(scene: Scene, case: Case, outcome: str) -> Effects:
    """A contact explained a silence (a pause, the hospital): it closes, and who was told hears the pause instead."""
    return [*_closed(scene, case, outcome), *([SawPerson(case.person.id, scene.person.id)] if case.person else [])]


def outage(people: tuple[Person, ...], since: datetime, until: datetime) -> Effects:
    """We were away ourselves: the contacts hear it from us, and nobody is held silent for it."""
    return [tell(p, "silence.outage", None, since=since, until=until) for p in people]


def not_arrived(scene: Scene) -> Effects:
    """Our question did not arrive: neutral words to the contact on duty, once in a row. Never "no answer"."""
    row = scene.check_in
    assert row is not None
    first = on_duty(scene)
    told = (
        []
        if first is None or row.unreached_before
        else [tell(first, "silence.not_arrived", None, who=scene.person.name)]
    )
    return [MoveCheckIn(row.id, row.state, row.rung, "unreached", variant=row.variant), *told]


# --- small questions about the scene ---


def is_asked(scene: Scene) -> bool:
    """True for who still wants the question: said yes, did not stop, is not paused, belongs to a neighbourhood."""
    person = scene.person
    paused = person.paused_until is not None and person.paused_until > scene.now
    return (
        "check_in" in person.consents
        and person.joined
        and not person.stopped
        and not paused
        and scene.place is not None
    )


def on_duty(scene: Scene) -> Person | None:
    """The contact whose turn it is, or who stands in; None when there is nobody at all."""
    return next(iter(duty.on_duty(scene)), None)


def not_now(scene: Scene) -> datetime | None:
    """When we may ask again: after the night, a Sunday morning or a holiday; None when it may be now."""
    if scene.rests_until:
        return scene.rests_until
    moment = into_day(scene.now, hood_of(scene))
    return moment if moment != scene.now else None


def is_dark(scene: Scene) -> bool:
    """True when a contact hears it only in the morning."""
    return is_night(scene.now, hood_of(scene))


def talking_through(scene: Scene) -> Case | None:
    """The silence that a contact took and wrote to her about: her next words are for that contact."""
    return next((c for c in _own_silences(scene) if c.claimed_by and scene.focus == c.key), None)


def alive_until(scene: Scene) -> datetime | None:
    """Until when the last message counts as a sign of life; shorter for who is asked more often."""
    heard_at = scene.person.heard_at
    if heard_at is None:
        return None
    rhythm = scene.person.rhythm
    name = f"sign_of_life_{rhythm}" if rhythm in ("twice", "daily") else "sign_of_life"
    return heard_at + timedelta(minutes=minutes(hood_of(scene), name))


def _own_silences(scene: Scene) -> tuple[Case, ...]:
    return tuple(c for c in scene.own_cases if c.kind == "silence")


def _open_case(scene: Scene) -> Case | None:
    return next(iter(_own_silences(scene)), None)


def _told_before(scene: Scene, case: Case) -> tuple[Person, ...]:
    place = scene.place
    if place is None:
        return ()
    everyone = {p.id: p for p in (*place.all_contacts, *place.contacts)}
    people = [p for i, p in everyone.items() if case.only_contact in (None, i)]
    if case.claimed_by and case.claimed_by not in people:
        people.append(case.claimed_by)
    if case.escalated:
        people += [p for p in scene.coordinators if p not in people]
    return tuple(p for p in people if p.id != scene.person.id)


def _others(scene: Scene, case: Case, *, all_: bool = False) -> tuple[Person, ...]:
    """Who else knows of it; with `all_` also the contacts who did not hear of it yet."""
    place = scene.place
    if all_ and place:
        return tuple(p for p in place.contacts if p.id != scene.person.id and p != case.person)
    return tuple(p for p in _told_before(scene, case) if p.id != scene.person.id and p != case.person)


def _for_all(case: Case) -> Case:
    return replace(case, only_contact=None)


def hood_of(scene: Scene) -> Neighbourhood | None:
    """The neighbourhood of a scene; None for a coordinator who had none in mind."""
    return scene.place.neighbourhood if scene.place else None
