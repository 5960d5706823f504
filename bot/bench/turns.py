"""A whole durable turn beside the very same statements in bare sqlite3, and what understanding costs."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot.bench.figure import Figure, percentile
from bot.bench.ground import NOW, conversation, folder, village
from bot.cast import CAST
from bot.language import load_ears, load_texts
from bot.turn import Turn
from flows.contract import AFTERTALK_DAYS
from flows.heard import Heard
from storage import inbox
from storage.database import BEGIN, COMMIT, Database
from storage.prepared import watched

ROUNDS = 5
LOG_BYTES = 4 << 20  # a thousand pages, at which SQLite begins its log anew
WARM = 10  # conversations before anything is measured: statements are compiled once
Statements = list[tuple[str, Any]]
Line = tuple[datetime, str, str]  # when, who, what


class Village:
    """The demo's neighbourhood, in which one conversation after the other is held."""

    def __init__(self, database: Database) -> None:
        """The cast is settled in already."""
        self.database = database
        self.turn = Turn(database, load_ears(), load_texts())
        self.now = NOW
        self.number = self.messages = 0
        self._actors = {a.name: a for a in CAST}

    def store(self, who: str, text: str, later: timedelta = timedelta()) -> None:
        """One message comes in and is committed."""
        actor = self._actors[who]
        self.messages += 1
        with self.database.transaction() as connection:
            inbox.receive(
                connection, self.now + later, actor.channel, f"b{self.messages}", actor.address, {"text": text}
            )

    def lines(self, conversations: int = 1) -> list[Line]:
        """The next conversations, each so long after the one before that nobody thinks of that any more."""
        lines = []
        at = self.now
        for _ in range(conversations):
            self.number += 1
            at += timedelta(days=AFTERTALK_DAYS + 1)
            for who, text in conversation():
                at += timedelta(minutes=3)
                lines.append((at, who, text.format(n=self.number)))
        return lines

    def converse(self, lines: Iterable[Line]) -> list[float]:
        """Hold them; returns the seconds each message took, from coming in to its answers in rows."""
        took = []
        for self.now, who, text in lines:
            began = time.perf_counter()
            self.store(who, text)
            self.turn.handle_next(self.now)
            took.append(time.perf_counter() - began)
        return took


@dataclass(frozen=True, slots=True)
class _Round:
    """Some conversations: seconds and CPU seconds of one turn with what was heard in it, and of its bare statements."""

    took: tuple[float, ...]
    turn: float
    hearing: float
    floor: float
    floor_wall: float
    statements: float
    burst: float


def measure(seconds: float) -> Iterator[Figure]:
    """Turns of a request from "my lamp" to "thanks", each with its commits on disk, and the floor under them.

    Floor and turn are measured by turns, and the middle round counts: a shared machine is not the same for a minute.
    """
    with folder() as place:
        database = village(place / "a.db")
        town = Village(database)
        town.converse(town.lines(WARM))
        gc.freeze()  # as `run` does
        count = max(2, int(seconds * 2 / ROUNDS))
        rounds = [_round(town, place, count) for _ in range(ROUNDS)]
        database.close()

    def middle(of: Callable[[_Round], float]) -> float:
        return statistics.median(map(of, rounds))

    floor = middle(lambda r: r.floor) * 1e6
    took = [one for r in rounds for one in r.took]
    yield Figure("turn: CPU without understanding", middle(lambda r: r.turn - r.hearing) * 1e6, "us", floor)
    yield Figure("turn: CPU", middle(lambda r: r.turn) * 1e6, "us", floor)
    yield Figure("turn: statements", rounds[0].statements, "per message")
    yield Figure(
        "turn: durable", middle(lambda r: sum(r.took) / len(r.took)) * 1e3, "ms", middle(lambda r: r.floor_wall) * 1e3
    )
    yield Figure("turn: durable, 99 of 100", percentile(took, 0.99) * 1e3, "ms")
    yield Figure("understanding: CPU", middle(lambda r: r.hearing) * 1e6, "us")
    yield Figure("turns in a burst", middle(lambda r: r.burst), "per second", middle(lambda r: 1 / r.floor_wall))


def _round(town: Village, place: Path, count: int) -> _Round:
    """So many conversations captured and replayed bare, held once more, and all at once."""
    turns = count * len(conversation())
    town.database.close()
    shutil.copy(place / "a.db", place / "b.db")
    first, statements = _captured(town, 1), _captured(town, count)
    wall, cpu = _replayed(place / "b.db", first, statements)
    lines = town.lines(count)
    with _heard_apart(town) as apart:
        began = time.process_time()
        took = tuple(town.converse(lines))
        turn_cpu = time.process_time() - began
    return _Round(
        took,
        turn_cpu / turns,
        apart.seconds / turns,
        cpu / turns,
        wall / turns,
        sum(statement not in _FRAME for statement, _ in statements) / turns,
        _burst(town, turns),
    )


_FRAME = (BEGIN, COMMIT)


def _captured(town: Village, conversations: int) -> Statements:
    """Every statement of the turns of these conversations, as the driver gets it."""
    seen: Statements = []
    with watched(town.database.engine, lambda *statement: seen.append(statement)):
        for moment, who, text in town.lines(conversations):
            town.now = moment
            seen.append((BEGIN, ()))
            town.store(who, text)
            seen.extend(((COMMIT, ()), (BEGIN, ())))
            town.turn.handle_next(town.now)
            seen.append((COMMIT, ()))
    return seen


def _replayed(file: Path, first: Statements, statements: Statements) -> tuple[float, float]:
    """The same statements in bare sqlite3 on a copy of the same file; returns seconds and seconds of CPU.

    The `first` ones are not counted: a turn's statements are compiled by then as well. And its log has its size by then,
    so that neither pays for a file that grows.
    """
    raw = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        raw.execute(f"PRAGMA {pragma}")
    for statement, parameters in first:
        raw.execute(statement, parameters).fetchall()
    for step in (
        "CREATE TABLE filler (bytes)",
        f"INSERT INTO filler VALUES (zeroblob({LOG_BYTES}))",
        "DROP TABLE filler",
    ):
        raw.execute(step)
    raw.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    began, began_cpu = time.perf_counter(), time.process_time()
    for statement, parameters in statements:
        raw.execute(statement, parameters).fetchall()
    took = time.perf_counter() - began, time.process_time() - began_cpu
    raw.close()
    return took


@dataclass(slots=True)
class _Apart:
    """CPU seconds of understanding, counted where it happens: beside a database its caches are cold."""

    seconds: float = 0.0


@contextmanager
def _heard_apart(town: Village) -> Iterator[_Apart]:
    reader, apart = town.turn.ears.reader, _Apart()

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            began = time.process_time()
            try:
                return step(*given)
            finally:
                apart.seconds += time.process_time() - began

        return timed

    town.turn.ears.reader = _Counted(counted(reader.look), counted(reader.read))
    try:
        yield apart
    finally:
        town.turn.ears.reader = reader


@dataclass(frozen=True, slots=True)
class _Counted:
    look: Callable[..., Any]
    read: Callable[..., Heard]


def _burst(town: Village, messages: int) -> float:
    """Messages handled per second when so many wait at once, each from somebody who says something else."""
    lines = town.lines(messages // len(conversation()))
    town.now = lines[-1][0]
    for number, (_, who, text) in enumerate(lines):  # a minute apart: more than anybody types would not be answered
        town.store(who, text, timedelta(minutes=number))
    began = time.perf_counter()
    town.turn.handle_all(town.now)
    return len(lines) / (time.perf_counter() - began)
