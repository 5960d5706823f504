"""The demo's made-up cast (design §2), for `try`, `console` and the transcripts: one neighbourhood that never existed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage import inbox, roster
from storage.database import Database
from storage.scene import PERSON


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody of the cast: `address` is a number or chat that belongs to nobody."""

    name: str
    role: str
    channel: str
    address: str
    street: str = ""
    known: bool = True


CAST = (
    Actor("Ans", "contact", "telegram", "1001", "Lutmastraat"),
    Actor("Joop", "contact", "telegram", "1002", "Lutmastraat"),
    Actor("Mia", "coordinator", "telegram", "1003"),
    Actor("Henk", "resident", "telegram", "1004", "Lutmastraat"),
    Actor("Riet", "resident", "sms", "+31612341234", "Lutmastraat"),
)
# Nobody here knows these two yet: they are not settled in, and write for the first time.
STRANGERS = (
    Actor("Toos", "stranger", "sms", "+31612341111", known=False),
    Actor("Kees", "stranger", "telegram", "2001", known=False),
)
NEIGHBOURHOOD, CODE = "Lutmabuurt", "LUTMA"
STREETS = ("Lutmastraat", "Tellegenstraat", "Burgemeester Tellegenstraat", "Carillonstraat")


def settle(database: Database, now: datetime, cast: tuple[Actor, ...] = CAST) -> None:
    """Put the cast in an empty database, joined by their one-time codes as real people are, without their welcome texts."""
    with database.transaction() as connection:
        hood = roster.add_neighbourhood(connection, NEIGHBOURHOOD, CODE, STREETS)
        for actor in cast:
            person, code = roster.add_person(
                connection, now, actor.name, None if actor.role == "coordinator" else hood, actor.role, actor.street
            )
            body = {"text": code}
            inbox.receive(connection, now, actor.channel, f"cast-{person}", actor.address, body)
            row = inbox.take_oldest(connection)
            assert row is not None
            inbox.sender(connection, now, row)
            inbox.handled(connection, row["id"], now, person)
            connection.execute(PERSON.update().where(PERSON.c.id == person).values(joined=True))
