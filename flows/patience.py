"""Patience: what is due on a question that has no answer yet. Asked again softly, and in the end a contact hears it.

Every step looks first whether it is silence at all: our own outage, a message that did not arrive, a pause, a STOP and
any word in the last days are none, and move the step or end it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from flows import check_in, silence
from flows.contract import CheckIn, Effects, MoveCheckIn, Scene
from flows.times import into_day

AGAIN_MINUTES = 60  # our own side is late, or a step was late: the next look comes so much later


def due(scene: Scene) -> Effects:
    """What is due now on the scene's check-in: the question itself, or the next step after it."""
    assert scene.check_in is not None
    return check_in.ask(scene) if scene.check_in.state == "due" else step(scene)


def step(scene: Scene) -> Effects:
    """What is due now on a check-in that was asked and has no answer."""
    now, row = scene.now, scene.check_in
    assert row is not None
    assert row.asked_at is not None
    if not silence.is_asked(scene):
        return [MoveCheckIn(row.id, row.state, row.rung, "passed"), *silence.quietly_closed(scene, "passed")]
    if row.state != "asked":
        return [MoveCheckIn(row.id, row.state, row.rung, row.state, row.rung)]
    if row.delivery == "failed" or not scene.person.reachable:
        return _unreached(scene, row)
    if row.delivery == "waiting":
        return _wait(row, into_day(now + timedelta(minutes=AGAIN_MINUTES), silence.hood_of(scene)))
    if row.delivery == "dropped":  # never sent: it was us, so the question starts anew, or the softer one is repeated
        again = silence.not_now(scene)
        if again:
            return _wait(row, again)
        following = silence.due_at(scene, row.rung, now)
        if row.rung and following:
            moved = MoveCheckIn(row.id, "asked", row.rung, "asked", row.rung, following, variant=row.variant)
            return [moved, *_ask_softly(scene, silence.steps(scene.person, silence.hood_of(scene))[row.rung - 1]["do"])]
        asked = MoveCheckIn(
            row.id, "asked", row.rung, "asked", 0, silence.due_at(scene, 0, now), asked=True, variant=row.variant
        )
        return [asked, *check_in.question(scene, f"how_{row.variant or 1}")]
    base = row.asked_at + row.held
    planned = silence.due_at(scene, row.rung, base)
    alive = silence.alive_until(scene)
    not_before = max(m for m in (planned, alive, now) if m is not None)
    if not_before > now:
        return _wait(row, into_day(not_before, silence.hood_of(scene)))
    return _climb_step(scene, row, base)


def _climb_step(scene: Scene, row: CheckIn, base: datetime) -> Effects:
    ladder = silence.steps(scene.person, silence.hood_of(scene))
    if row.rung >= len(ladder):
        return [MoveCheckIn(row.id, "asked", row.rung, "asked", row.rung)]
    kind = ladder[row.rung]["do"]
    if kind == "contact":
        return silence.flag(scene)
    rest = silence.not_now(scene)
    if rest:
        return _wait(row, rest)
    planned = silence.due_at(scene, row.rung, base)
    following = silence.due_at(scene, row.rung + 1, base)
    if planned and following and scene.now - planned > timedelta(minutes=AGAIN_MINUTES):
        following = into_day(
            scene.now + (following - planned), silence.hood_of(scene)
        )  # a late step keeps its distance
    moved = MoveCheckIn(row.id, "asked", row.rung, "asked", row.rung + 1, following, variant=row.variant)
    return [moved, *_ask_softly(scene, kind)]


def _ask_softly(scene: Scene, kind: str) -> Effects:
    """The question once more, as a step of that kind asks it."""
    return check_in.question(scene, "soft" if kind == "again" else "soft_other", other_channel=kind == "other")


def _wait(row: CheckIn, until: datetime) -> Effects:
    return [MoveCheckIn(row.id, row.state, row.rung, row.state, row.rung, until, variant=row.variant)]


def _unreached(scene: Scene, row: CheckIn) -> Effects:
    """Our question did not arrive: another channel if there is one, else neutral words to the contact on duty."""
    if not scene.person.reachable or len(scene.person.channels) < 2 or row.rung > 0:
        return silence.not_arrived(scene)
    rest = silence.not_now(scene)
    if rest:
        return _wait(row, rest)
    moved = MoveCheckIn(
        row.id, "asked", 0, "asked", 1, silence.due_at(scene, 1, scene.now), asked=True, variant=row.variant
    )
    return [moved, *check_in.question(scene, f"how_{row.variant or 1}", other_channel=True)]
