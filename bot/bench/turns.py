"""A whole durable turn beside the very same statements in bare sqlite3, and what understanding costs."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
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

WARM = 10  # conversations before anything is measured: statements are compiled once
Statements = list[tuple[str, Any]]


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

    def lines(self) -> Iterator[tuple[str, str]]:
        """The next conversation, three minutes apart, so long after the one before that nobody thinks of that any more."""
        self.number += 1
        self.now += timedelta(days=AFTERTALK_DAYS + 1)
        for who, text in conversation():
            self.now += timedelta(minutes=3)
            yield who, text.format(n=self.number)

    def converse(self) -> list[float]:
        """Hold one; returns the seconds each message took, from coming in to its answers in rows."""
        took = []
        for who, text in self.lines():
            began = time.perf_counter()
            self.store(who, text)
            self.turn.handle_next(self.now)
            took.append(time.perf_counter() - began)
        return took


def measure(seconds: float) -> Iterator[Figure]:
    """Turns of a request from "my lamp" to "thanks", each with its commits on disk, and the floor under them."""
    count = max(10, int(seconds * 2))
    with folder() as place:
        database = village(place / "a.db")
        town = Village(database)
        for _ in range(WARM):
            town.converse()
        gc.freeze()  # as `run` does
        database.close()
        shutil.copy(place / "a.db", place / "b.db")
        statements = _captured(town, count)
        turns = count * len(conversation())
        wall, cpu = _replayed(place / "b.db", statements)
        with _heard_apart(town) as apart:
            began = time.process_time()
            took = [seconds for _ in range(count) for seconds in town.converse()]
            turn_cpu = (time.process_time() - began) / turns
        hearing = apart.seconds / turns
        yield Figure("turn: CPU without understanding", (turn_cpu - hearing) * 1e6, "us", cpu / turns * 1e6)
        yield Figure("turn: CPU", turn_cpu * 1e6, "us", cpu / turns * 1e6)
        yield Figure("turn: statements", sum(s not in _FRAME for s, _ in statements) / turns, "per message")
        yield Figure("turn: durable", sum(took) / turns * 1e3, "ms", wall / turns * 1e3)
        yield Figure("turn: durable, 99 of 100", percentile(took, 0.99) * 1e3, "ms")
        yield Figure("understanding: CPU", hearing * 1e6, "us")
        yield Figure("turns in a burst", _burst(town, turns), "per second", turns / wall)
        database.close()


_FRAME = (BEGIN, COMMIT)


def _captured(town: Village, conversations: int) -> Statements:
    """Every statement of the turns of these conversations, as the driver gets it."""
    seen: Statements = []
    with watched(town.database.engine, lambda *statement: seen.append(statement)):
        for who, text in (line for _ in range(conversations) for line in town.lines()):
            seen.append((BEGIN, ()))
            town.store(who, text)
            seen.extend(((COMMIT, ()), (BEGIN, ())))
            town.turn.handle_next(town.now)
            seen.append((COMMIT, ()))
    return seen


def _replayed(file: Path, statements: Statements) -> tuple[float, float]:
    """The same statements in bare sqlite3 on a copy of the same file; returns seconds and seconds of CPU."""
    raw = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        raw.execute(f"PRAGMA {pragma}")
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
    lines = [line for _ in range(messages // len(conversation())) for line in town.lines()]
    for number, (who, text) in enumerate(lines):  # a minute apart: more than anybody types would not be answered
        town.store(who, text, timedelta(minutes=number))
    began = time.perf_counter()
    town.turn.handle_all(town.now)
    return len(lines) / (time.perf_counter() - began)
