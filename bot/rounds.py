"""The round and what follows it: rows for who is due, the question, the steps after it, and the contacts' calendar."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy.engine import Connection

from bot.turn import Turn
from flows import duty, patience, pause
from flows.contract import Scene
from storage import calendar, rounds

ASKED_A_TICK = 1_000  # steps of one tick; the rest is due at the next one, about as fast as SMS can be sent
ASKED_AT_ONCE = 25  # steps between which a reply may come first: a quarter of a second of work


def begin_rounds(turn: Turn, now: datetime, batches: int | None = None) -> int:
    """Make the rows of every round that is due, at most so many batches; returns how many people it took.

    Can be broken off at any row and called by two processes at once: UNIQUE (person, slot), one transaction a batch.
    """
    looked_at = count = 0
    while batches is None or count < batches:
        with turn.database.transaction() as connection:
            made = rounds.make_rows(connection, now)
        looked_at, count = looked_at + made, count + 1
        if made < rounds.BATCH:
            break
    return looked_at


def follow_up(turn: Turn, now: datetime, at_most: int = ASKED_A_TICK) -> int:
    """End pauses, look at the calendar, ask who is due and take the next step with who is silent; returns how many.

    Each is a transaction of its own. What came in between makes it a no-op, which the next tick looks at again.
    """
    with turn.database.transaction() as connection:
        paused = calendar.pauses_over(connection, now)
        hoods = calendar.to_look_at(connection, now)
        asked = rounds.due(connection, now, at_most)
    for person in paused:
        turn.react(now, partial(_pause, now, person), pause.over)
    for hood in hoods:
        turn.react(now, partial(_calendar, now, hood), duty.look)
    return sum(turn.react(now, partial(_check_in, now, row), patience.due) for row in asked)


def _check_in(now: datetime, row: int, connection: Connection) -> Scene | None:
    return rounds.read_check_in_scene(connection, now, row)


def _pause(now: datetime, person: int, connection: Connection) -> Scene:
    return calendar.read_pause_scene(connection, now, person)


def _calendar(now: datetime, hood: int, connection: Connection) -> Scene | None:
    return calendar.read_calendar(connection, now, hood)
