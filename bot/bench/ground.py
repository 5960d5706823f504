"""What the bench stands on: throw-away databases with a neighbourhood, or with very many people."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from bot.cast import CAST, settle
from bot.language import LOCALES, read_toml
from storage.database import Database
from storage.scene import ADDRESS, CONSENT, HOOD, PERSON
from storage.seal import keyring

NOW = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)
KEY = b"a made-up world needs no secrets"
BATCH = 10_000
HOOD_SIZE = 50  # residents of a binnenbuurt


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on the disk where the database would be too; not in memory, for the disk is what is measured."""
    here = "." if os.access(".", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="binnenbuurt-bench-", dir=here) as name:
        yield Path(name).resolve()


def village(file: Path) -> Database:
    """A database with the demo's cast in it."""
    return settled(f"sqlite:///{file}")


def settled(url: str) -> Database:
    """An empty database of either kind with the demo's cast put in."""
    keyring.use(KEY)
    database = Database(url)
    database.migrate()
    settle(database, NOW, CAST)
    return database


def crowd(database: Database, people: int) -> None:
    """So many residents more, in neighbourhoods of fifty; all of them said yes to being asked, next week."""
    first = 1_000
    with database.transaction() as connection:
        hoods = range(2, 2 + people // HOOD_SIZE + 1)
        connection.execute(HOOD.insert(), [_hood(number) for number in hoods])
        for start in range(0, people, BATCH):
            ids = range(first + start, first + min(start + BATCH, people))
            connection.execute(PERSON.insert(), [_person(i, 2 + (i - first) // HOOD_SIZE) for i in ids])
            connection.execute(ADDRESS.insert(), [_address(i) for i in ids])
            connection.execute(CONSENT.insert(), [_consent(i) for i in ids])


def history(database: Database, each: int) -> int:
    """So many messages of everybody with an address, half of them in and half out, all handled; returns how many."""
    incoming = """
        INSERT INTO incoming (channel, external_id, sender_hash, body, received_at, handled_at, attempts, person_id)
        SELECT channel, 'h' || person_id || '.' || ?, value_hash, ?, ?, ?, 0, person_id FROM address"""
    outgoing = """
        INSERT INTO outgoing (person_id, address_id, channel, kind, body, urgency, state, due_at, attempts, error,
                              provider_id, segments, buttons, created_at, sent_at)
        SELECT person_id, id, channel, 'text', ?, 'reply', 'delivered', ?, 1, '',
               'h' || person_id || '.' || ?, 1, 0, ?, ? FROM address"""
    body = keyring.seal(
        "incoming.body", b'{"text": "mijn lamp is stuk, ik kom er niet bij", "address": "+31612341234"}'
    )
    count = 0
    for number in range(each):
        at = str((NOW - timedelta(days=each - number)).replace(tzinfo=None))
        with database.transaction() as connection:
            if number % 2:
                done = connection.exec_driver_sql(outgoing, (body, at, number, at, at))
            else:
                done = connection.exec_driver_sql(incoming, (number, body, at, at))
            count += done.rowcount
    return count


@cache
def conversation() -> list[tuple[str, str]]:
    """Who writes what, as (sender, text): a request from start to end. {n} is the case's number."""
    words = read_toml(LOCALES / "simulate" / "sentences.toml")
    resident, contact = words["resident"], words["contact"]
    return [
        ("Riet", resident["ask"][0]),
        ("Riet", resident["yes"][0]),
        ("Ans", contact["claim"][0]),
        ("Ans", contact["relay"][0]),
        ("Riet", resident["talk_back"][0]),
        ("Ans", contact["close"][0]),
        ("Riet", resident["thanks"][0]),
    ]


def _hood(number: int) -> dict[str, object]:
    return {
        "id": number, "organisation_id": 1, "name": f"B{number}", "code": f"B{number}", "zone": "Europe/Amsterdam",
        "times": {}, "rota": {}, "look_at": NOW + timedelta(days=30),
    }  # fmt: skip


def _person(number: int, hood: int) -> dict[str, object]:
    return {
        "id": number, "neighbourhood_id": hood, "name": f"N{number}", "street": "", "role": "resident", "form": "u",
        "joined": True, "known": True, "welcome_due": False, "rhythm": "weekly", "patience": "", "created_at": NOW,
        "asks_at": NOW + timedelta(days=7),
    }  # fmt: skip


def _address(number: int) -> dict[str, object]:
    value = f"+3161{number:07}"
    found = keyring.find_by(f"sms:{value}")
    return {
        "person_id": number, "channel": "sms", "value": value, "value_hash": found, "state": "active",
        "last_used_at": NOW,
    }  # fmt: skip


def _consent(number: int) -> dict[str, object]:
    return {"person_id": number, "kind": "check_in", "given": True, "text_version": "bench", "at": NOW}
