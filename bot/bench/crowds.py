"""What many people cost: a tick on which nothing is due, a message, and the round of a whole week."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import mean, median

from bot.bench.figure import Figure
from bot.bench.ground import NOW, crowd, folder, history, village
from bot.bench.turns import Village
from bot.rounds import begin_rounds, follow_up
from bot.turn import Turn
from storage.database import Database

FEW, MANY, ALL = 1_000, 100_000, 1_000_000
MESSAGES = 10  # stored of each of all: ten million
LONG = 90  # seconds from which there is time for all, whom it takes some minutes to write down
TICKS = 200


def measure(seconds: float) -> Iterator[Figure]:
    """The same with a thousand people, a hundred thousand, and with time for it a million; the floor is the fewest."""
    many = MANY if seconds >= 20 else FEW * 10
    before: dict[str, float] = {}
    for people in (FEW, many, ALL) if seconds >= LONG else (FEW, many):
        with folder() as place:
            database = village(place / "c.db")
            crowd(database, people)
            stored = history(database, MESSAGES) if people == ALL else 0
            town = Village(database)
            town.converse(town.lines(5))
            found = {"tick": _tick(town.turn), "message": _message(town)}
            if people == FEW:
                found["round"] = _round(town.turn)
                yield Figure("round: 1,000 people", found["round"], "ms", _bare_round(database))
            for name, value in found.items():
                if name != "round":
                    more = f", {stored:,} messages" if stored else ""
                    yield Figure(f"{name}: {people:,} people{more}", value, "ms", before.get(name))
            before = before or found
            database.close()


def _tick(turn: Turn) -> float:
    """Milliseconds of a tick on which nothing is due."""
    took = []
    for number in range(TICKS):
        now = NOW + timedelta(days=1, minutes=number)
        began = time.perf_counter()
        turn.tick(now)
        begin_rounds(turn, now)
        follow_up(turn, now)
        took.append(time.perf_counter() - began)
    return median(took) * 1e3


def _message(town: Village) -> float:
    """Milliseconds of one message, stored and answered: of a whole conversation, the residents' and the contact's."""
    return median(mean(town.converse(town.lines())) for _ in range(15)) * 1e3


def _round(turn: Turn) -> float:
    """Milliseconds until a batch of people has its rows for the week."""
    began = time.perf_counter()
    begin_rounds(turn, NOW + timedelta(days=7, minutes=1))
    return (time.perf_counter() - began) * 1e3


def _bare_round(database: Database) -> float:
    """The same rows and due dates in two bare statements; milliseconds."""
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        rows = raw.execute("SELECT person_id, slot, state, answer, rung, variant, due_at FROM check_in").fetchall()
        raw.execute("DELETE FROM check_in")
        raw.commit()
        began = time.perf_counter()
        raw.execute("BEGIN IMMEDIATE")
        insert = (
            "INSERT INTO check_in (person_id, slot, state, answer, rung, variant, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        raw.executemany(insert, rows)
        raw.executemany("UPDATE person SET asks_at = ? WHERE id = ?", [(r[6], r[0]) for r in rows])
        raw.execute("COMMIT")
        return (time.perf_counter() - began) * 1e3
