"""The ladder: a case that nobody takes, or that was taken and fell silent, never just lies there.

    -- 3 uur later --
    bot aan Ans: 1 staat nog open. Riet vraagt: "mijn lamp is stuk". Kan een van jullie?
    bot aan Joop: 1 staat nog open. Riet vraagt: "mijn lamp is stuk". Kan een van jullie?
    -- 1 dag later --
    bot aan Mia: 1 in de Lutmabuurt staat een dag open. …
    bot aan Riet: Het is nog niet gelukt. Ik heb ook Mia gevraagd, de coördinator. U bent niet vergeten.

Every rung is a due date in the case's row, climbed with a guarded write, so that two clocks climb it once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flows import silence
from flows.casebook import case_args, case_text, is_private, loud_text, told_about, who
from flows.contract import Case, ClimbLadder, Effects, MoveCase, Neighbourhood, Person, Place, Scene, T, Unbutton
from flows.say import tell
from flows.times import is_night, later

DAILY_MAX = 14  # daily reminders after the coordinator knows; past it the coordinator alone keeps it in the list


def climb(scene: Scene, case: Case) -> Effects:
    """What is due on this case now. `scene.person` is its asker, or who opened it."""
    place = scene.place
    if place is None:
        return [ClimbLadder(case.key, case.rung, None)]
    if case.state == "claimed":
        return _quiet(scene, place, case)
    if case.kind == "silence":
        return silence.climb(scene, case)
    return _unclaimed(scene, place, case)


def _unclaimed(scene: Scene, place: Place, case: Case) -> Effects:
    urgency = "safety" if case.kind == "safety" else "news"
    people = told_about(place, scene.coordinators, case)
    if case.rung == 0:
        due = _due(scene, place.neighbourhood, case, "coordinator")
        if case.kind == "worry":  # only who was on duty heard it; from now on it is for all
            case = replace(case, only_contact=None)
            people = told_about(place, scene.coordinators, case)
            opened = ClimbLadder(case.key, 0, due, changes={"only_contact": None})
            return [opened, *_remind(people, case, urgency)]
        alone = (
            [tell(case.person, "safety.nobody_yet", case, urgency="safety")]
            if case.kind == "safety" and case.person
            else []
        )
        return [ClimbLadder(case.key, 0, due), *_remind(people, case, urgency), *alone]
    due = _due(scene, place.neighbourhood, case, "again")
    if case.rung == 1:
        if is_private(case):
            first = people[0].name if people else T("help.a_contact")
            honest = [tell(case.person, "help.honest_only", case, contact=first)] if case.person else []
            return [ClimbLadder(case.key, 1, due), *_remind(people, case, urgency), *honest]
        others = tuple(p for p in scene.coordinators if p not in people)
        args = {**case_args(case), "neighbourhood": place.neighbourhood.name}
        told = [tell(p, _name("coordinator", case), case, *_verbs(case), urgency=urgency, **args) for p in others]
        return [ClimbLadder(case.key, 1, due, escalated=True), *told, *_honest(scene, case, others)]
    everyone = people if is_private(case) else (*people, *(p for p in scene.coordinators if p not in people))
    return [ClimbLadder(case.key, case.rung, due if case.rung < DAILY_MAX else None), *_remind(everyone, case, urgency)]


def _remind(people: tuple[Person, ...], case: Case, urgency: str) -> Effects:
    return [tell(p, _name("reminder", case), case, *_verbs(case), urgency=urgency, **case_args(case)) for p in people]


def _name(which: str, case: Case) -> str:
    if case.kind == "safety":
        return loud_text(f"ladder.{which}_safety", case)
    kind = {"newcomer": "newcomer", "silence": "silence"}.get(case.kind, case_text(case))
    only = "_only" if which == "reminder" and kind == "help" and is_private(case) else ""
    return f"ladder.{which}_{kind}{only}"


def _verbs(case: Case) -> tuple[str, ...]:
    return ("know", "not_know") if case.kind == "newcomer" else ("claim",)


def _honest(scene: Scene, case: Case, coordinators: tuple[Person, ...]) -> Effects:
    """The resident is told that nobody took it yet, and what happens now. Nothing is promised."""
    person = case.person
    if person is None or case.kind not in ("help", "worry") or case.behalf_of or not person.reachable:
        return []
    if not coordinators:
        return [tell(person, "help.honest_no_coordinator", case)]
    name = coordinators[0].name if person.known else T("help.the_coordinator")
    return [tell(person, "help.honest", case, coordinator=name)]


_QUIET = ("ladder.quiet", ("close", "hand_back"))


def _quiet(scene: Scene, place: Place, case: Case) -> Effects:
    """Taken and silent: the claimer is asked, with one tap back; without an answer it is for both again."""
    claimer = case.claimed_by
    assert claimer is not None
    if case.rung == 0:
        due = later(scene.now, place.neighbourhood, "claimed_back")
        key, verbs = ("silence.quiet", silence.VERBS) if case.kind == "silence" else _QUIET
        asked = tell(claimer, key, case, *verbs, **case_args(case))
        return [ClimbLadder(case.key, 0, due), asked]
    back = MoveCase(
        case.key,
        "claimed",
        "open",
        by=claimer.id,
        claimed_by_before=claimer.id,
        due_at=_due(scene, place.neighbourhood, case, "remind"),
    )
    others = tuple(p for p in told_about(place, scene.coordinators, case) if p.id != claimer.id)
    loud, only = case.kind == "safety", "_only" if is_private(case) else ""
    key, urgency = (loud_text("contacts.open_again", case), "safety") if loud else ("ladder.quiet_back", "news")
    return [
        back,
        Unbutton(case.key),
        tell(claimer, f"ladder.quiet_back_claimer{only}", case, "claim", number=case.number, who=who(case)),
        *(tell(p, key, case, "claim", urgency=urgency, contact=claimer.name, **case_args(case)) for p in others),
    ]


def _due(scene: Scene, hood: Neighbourhood, case: Case, step: str) -> datetime:
    kind = "help_urgent" if case.kind == "help" and case.urgency in ("now", "today") and step != "again" else case.kind
    return later(scene.now, hood, f"{kind}_{step}", at_night=case.kind == "safety")


def may_speak(scene: Scene) -> bool:
    """True when we may begin to speak to this person now: by day, not stopped, not paused."""
    person = scene.person
    paused = person.paused_until is not None and person.paused_until > scene.now
    return (
        person.reachable and not paused and not is_night(scene.now, scene.place.neighbourhood if scene.place else None)
    )
