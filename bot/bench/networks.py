"""Webhooks in, fifty at a time, and the outbox out, at the pace it is allowed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import sqlalchemy as sa

from bot.bench.figure import Figure, percentile
from bot.bench.ground import NOW, crowd, folder, village
from bot.channels.channel import Found, NotThere, Outcome, Sent
from bot.channels.telegram import PACE, Telegram
from bot.clock import RealClock, RehearsalClock
from bot.language import load_texts
from bot.outbox import Outbox
from bot.reception import Reception
from bot.server import SECRET, Views, application
from bot.writer import WriteThread
from storage import tables
from storage.apply import OUTGOING
from storage.database import Database
from storage.outbox import Parcel
from storage.scene import ADDRESS, table

AT_ONCE = 50
ALLOWED = 30.0  # messages a second that Telegram lets a bot send in all
SECRET_WORD = "bench"
INCOMING = table(tables.Incoming)


class _Gate:
    """A network that takes everything after as long as a network takes, and notes when."""

    name = "sms"
    can_look_up = False

    def __init__(self) -> None:
        self.pace = replace(PACE, per_person=0.0)  # Telegram's, to very many people
        self.times: list[float] = []

    async def send(self, parcel: Parcel) -> Outcome:
        """Take it."""
        self.times.append(time.monotonic())
        await asyncio.sleep(0.05)
        return Sent(f"g{parcel.id}", 1)

    async def look_up(self, parcel: Parcel, taken: frozenset[str]) -> Found:
        """Everything was taken the first time."""
        return NotThere()

    async def close(self) -> None:
        """Nothing to let go of."""


def measure(seconds: float) -> Iterator[Figure]:
    """Both ways, each about half of the time."""
    with folder() as place:
        yield from asyncio.run(_webhooks(place, max(500, int(seconds * 150))))
    with folder() as place:
        yield asyncio.run(_pacing(place, max(4.0, seconds / 2)))


async def _webhooks(place: Path, count: int) -> list[Figure]:
    database = village(place / "w.db")
    writer = WriteThread(database)
    telegram = Telegram("1:bench", "http://127.0.0.1:9")
    reception = Reception(writer, load_texts(), RealClock(), asyncio.Event())
    app = application(reception, None, telegram, SECRET_WORD, Views(_nothing, _no_words))
    took: list[float] = []
    numbers = iter(range(1, count + 1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:

        async def caller() -> None:
            for number in numbers:
                began = time.perf_counter()
                answer = await client.post("/telegram", json=_update(number), headers={SECRET: SECRET_WORD})
                assert answer.status_code == 200, answer.status_code
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        rate = count / (time.perf_counter() - began)
    await telegram.close()
    await asyncio.to_thread(writer.close)
    floor = _bare_inserts(database, place / "w.db")
    database.close()
    return [
        Figure("webhook to commit, 50 at a time", rate, "per second", floor),
        Figure("webhook to commit, middle", percentile(took, 0.5) * 1e3, "ms"),
        Figure("webhook to commit, 99 of 100", percentile(took, 0.99) * 1e3, "ms"),
    ]


def _bare_inserts(database: Database, file: Path) -> float:
    """The very rows again, without anything around them: fifty a commit in bare sqlite3; per second."""
    database.close()
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute("PRAGMA synchronous=FULL")
    columns = [c[1] for c in raw.execute("PRAGMA table_info(incoming)") if c[1] != "id"]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    rows = raw.execute(f"SELECT {names} FROM incoming WHERE external_id LIKE 'u%' OR channel = 'telegram'").fetchall()
    raw.execute("DELETE FROM incoming")
    began = time.perf_counter()
    for start in range(0, len(rows), AT_ONCE):
        raw.execute("BEGIN IMMEDIATE")
        for row in rows[start : start + AT_ONCE]:
            raw.execute(f"INSERT OR IGNORE INTO incoming ({names}) VALUES ({marks})", row)
        raw.execute("COMMIT")
    rate = len(rows) / (time.perf_counter() - began)
    raw.close()
    return rate


async def _pacing(place: Path, seconds: float) -> Figure:
    """How much of the allowed rate the outbox uses, to many people at once."""
    database = village(place / "p.db")
    people = int(ALLOWED * seconds * 1.5)
    crowd(database, people)
    with database.transaction() as connection:
        addresses = connection.execute(sa.select(ADDRESS.c.id, ADDRESS.c.person_id).where(ADDRESS.c.person_id >= 1_000))
        connection.execute(OUTGOING.insert(), [_row(address, person) for address, person in addresses.all()])
    writer, gate = WriteThread(database), _Gate()
    outbox = Outbox(writer, {"sms": gate}, load_texts(), RehearsalClock(NOW, 1.0), Random(1))  # at night nothing goes
    sending = asyncio.create_task(outbox.run())
    await asyncio.sleep(seconds)
    outbox.stop()
    await sending
    await asyncio.to_thread(writer.close)
    database.close()
    steady = gate.times[gate.pace.burst :]  # what was saved up in a quiet time goes first, and is no pace
    return Figure("outbox: pace", (len(steady) - 1) / (steady[-1] - steady[0]), "per second", ALLOWED)


def _update(number: int) -> Mapping[str, Any]:
    chat = 5_000 + number % 200
    sender = {"id": chat, "is_bot": False, "first_name": "N"}
    message = {
        "message_id": number, "date": 1_774_000_000, "chat": {"id": chat, "type": "private"}, "from": sender,
        "text": f"lamp {number}",
    }  # fmt: skip
    return {"update_id": number, "message": message}


def _row(address: int, person: int) -> dict[str, Any]:
    return {
        "person_id": person, "address_id": address, "channel": "sms", "kind": "text",
        "body": {"text": "bench", "key": "bench", "choices": []}, "urgency": "reply", "state": "waiting", "due_at": NOW,
        "attempts": 0, "error": "", "segments": 0, "buttons": False, "created_at": NOW,
    }  # fmt: skip


async def _nothing() -> Mapping[str, bool]:
    return {}


async def _no_words() -> str:
    return ""
