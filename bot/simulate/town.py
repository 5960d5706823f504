"""The made-up town of a simulation: two neighbourhoods, four contacts, a coordinator and their residents, with habits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from bot.language import LOCALES, read_toml
from storage import roster
from storage.database import Database
from storage.seal import keyring

KEY = b"a made-up world needs no secrets"


@cache
def sentences() -> Mapping[str, Any]:
    """What pretend people write, from locales/nl/simulate."""
    return read_toml(LOCALES / "simulate" / "sentences.toml")


@dataclass(slots=True)
class Habits:
    """How somebody is. Shares are between 0 and 1, rates are per week."""

    answers: float = 0.9
    slow: float = 0.3
    typos: float = 0.15
    doubles: float = 0.05
    asks: float = 0.3
    offers: float = 0.03
    chats: float = 0.15
    stops: float = 0.0
    leaves: float = 0.003
    pauses: float = 0.02
    danger: float = 0.003
    inside: float = 0.05
    voice: float = 0.05
    check_in: float = 0.7
    claims: float = 0.8
    together: float = 0.3
    closes: float = 0.8
    hands_back: float = 0.08


@dataclass(slots=True)
class Neighbour:
    """One pretend human and the phone in their hand. `matter` are the words said since their last matter ended."""

    name: str
    role: str
    channel: str
    address: str
    street: str
    hood: int
    habits: Habits
    code: str = ""
    person: int = 0
    joined: bool = False
    stopped: bool = False
    phone_works: bool = True
    blocked: bool = False
    matter: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def helps(self) -> bool:
        """True for contacts and the coordinator."""
        return self.role in ("contact", "coordinator")


@dataclass(slots=True)
class Town:
    """The people by address, and their database: a file that is thrown away and need not survive a power cut."""

    database: Database
    folder: tempfile.TemporaryDirectory[str]
    people: list[Neighbour]
    hoods: tuple[int, int]
    by_address: dict[tuple[str, str], Neighbour] = field(init=False)
    by_person: dict[int, Neighbour] = field(init=False)

    def __post_init__(self) -> None:
        self.by_address = {(p.channel, p.address): p for p in self.people}
        self.by_person = {p.person: p for p in self.people if p.person}

    def close(self) -> None:
        """Throw it all away."""
        self.database.close()
        self.folder.cleanup()


def found(chance: Random, now: datetime, residents: int) -> Town:
    """A town on an empty database: everybody invited, nobody has written yet; a tenth will come without invitation."""
    keyring.use(KEY)
    folder = tempfile.TemporaryDirectory(prefix="binnenbuurt-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    database = Database(f"sqlite:///{folder.name}/town.db")
    database.migrate()
    _quick(database)
    words = sentences()["town"]
    people: list[Neighbour] = []
    with database.transaction() as connection:
        streets = (words["street"], words["other_street"])
        first, second = (
            roster.add_neighbourhood(connection, name, code, street)
            for (name, code), street in zip(words["hoods"], streets, strict=True)
        )
        hoods = (first, second)
        for number, hood in enumerate(hoods):
            for order, name in enumerate(words["contacts"][number]):
                channel = "sms" if order == 1 and chance.random() < 0.4 else "telegram"
                people.append(_neighbour(chance, name, "contact", channel, streets[number][0], hood, len(people)))
        people.append(_neighbour(chance, words["coordinator"], "coordinator", "telegram", "", 0, len(people)))
        for order in range(residents):
            name = words["names"][order % len(words["names"])] + ("" if order < len(words["names"]) else str(order))
            number = 0 if order % 10 < 7 else 1  # the first neighbourhood is the bigger one
            stranger = order % 10 == 9 or order % 10 == 4
            role = "stranger" if stranger else "resident"
            channel = "sms" if chance.random() < 0.6 else "telegram"
            street = chance.choice(streets[number])
            people.append(_neighbour(chance, name, role, channel, street, hoods[number], len(people)))
        for person in people:
            if person.role != "stranger":
                hood_id = None if person.role == "coordinator" else person.hood
                person.person, person.code = roster.add_person(
                    connection, now, person.name, hood_id, person.role, person.street
                )
    return Town(database, folder, people, hoods)


def _quick(database: Database) -> None:
    """No power cut can happen to a pretend town, so nothing waits for the disk."""

    @sa.event.listens_for(database.engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.execute("PRAGMA synchronous=OFF")
        raw.execute("PRAGMA secure_delete=OFF")
        raw.execute("PRAGMA journal_mode=MEMORY")

    database.engine.dispose()


def _neighbour(chance: Random, name: str, role: str, channel: str, street: str, hood: int, order: int) -> Neighbour:
    address = f"+3161234{5000 + order}" if channel == "sms" else str(20_000 + order)
    habits = Habits(
        answers=chance.choice((0.97, 0.9, 0.9, 0.8, 0.5)),
        slow=chance.random() * 0.6,
        typos=chance.choice((0.0, 0.1, 0.3)),
        doubles=chance.choice((0.0, 0.05, 0.1)),
        asks=chance.choice((0.05, 0.2, 0.4)),
        stops=chance.choice((0.0, 0.0, 0.0, 0.0, 0.1)),
        check_in=chance.choice((1.0, 0.6, 0.0)),
        claims=chance.choice((0.9, 0.8, 0.5)),
    )
    return Neighbour(name, role, channel, address, street, hood, habits)
