"""The round and what follows it: rows for who is due, the question, the steps after it, and the contacts' calendar."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy.engine import Connection

from bot.turn import Turn
from flows import duty, patience, pause
from flows.contract import Scene
from storage import calendar, rounds

ASKED_AT_ONCE = 500  # steps of one tick; the rest is due at the next one, so a big round never blocks a reply


def begin_rounds(turn: Turn, now: datetime) -> int:
    """Make the rows of every round that is due, batch by batch; returns how many people were looked at.

    Can be broken off at any row and called by two processes at once: UNIQUE (person, slot) and one transaction a batch.
    """
    looked_at = 0
    while True:
        with turn.database.transaction() as connection:
            made = rounds.make_rows(connection, now)
        looked_at += made
        if made < rounds.BATCH:
            return looked_at


def follow_up(turn: Turn, now: datetime) -> int:
    """Ask who is due, take the next step with who is silent, end pauses, and look at the calendar; returns how many."""
    with turn.database.transaction() as connection:
        asked = rounds.due(connection, now, ASKED_AT_ONCE)
        paused = calendar.pauses_over(connection, now)
        hoods = calendar.to_look_at(connection, now)
    done = 0
    for row in asked:
        done += turn.react(now, partial(_check_in, now, row), patience.due)
    for person in paused:
        done += turn.react(now, partial(_pause, now, person), pause.over)
    for hood in hoods:
        done += turn.react(now, partial(_calendar, now, hood), duty.look)
    return done


def _check_in(now: datetime, row: int, connection: Connection) -> Scene | None:
    return rounds.read_check_in_scene(connection, now, row)


def _pause(now: datetime, person: int, connection: Connection) -> Scene:
    return calendar.read_pause_scene(connection, now, person)


def _calendar(now: datetime, hood: int, connection: Connection) -> Scene | None:
    return calendar.read_calendar(connection, now, hood)
