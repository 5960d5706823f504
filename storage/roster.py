"""Who there is: neighbourhoods, people and their one-time invitations."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from flows.contract import INVITE_DAYS, NAME_MAX
from storage import tables
from storage.apply import INVITE
from storage.codes import CODE_ALPHABET, CODE_LENGTH
from storage.scene import ADDRESS, HOOD, PERSON, STREET, table
from storage.seal import keyring

ORGANISATION = table(tables.Organisation)
ROLES = ("resident", "contact", "coordinator")
# What Twilio itself answers, and mostly takes for "no more of this sender": its own words and those of our guide.
TAKEN_BY_THE_NETWORK = frozenset({
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "STOPPEN", "AFMELDEN",
    "START", "YES", "UNSTOP", "HELP", "INFO",
})  # fmt: skip


class RosterProblem(ValueError):
    """A name, code or role that cannot be used; the message says what to do."""


def add_neighbourhood(
    connection: Connection, name: str, code: str, streets: Iterable[str], zone: str = "Europe/Amsterdam"
) -> int:
    """A new neighbourhood; returns its id. Raises RosterProblem when the code is taken or no code."""
    code = code.strip().upper()
    if not code.isalnum() or not 3 <= len(code) <= 12:
        raise RosterProblem(f"The code {code!r} must be 3 to 12 letters or digits, for example LUTMA.")
    if code in TAKEN_BY_THE_NETWORK or code.isdecimal():
        raise RosterProblem(f"The code {code} is an order or a number on a phone. Choose a word, for example LUTMA.")
    if not name.strip():
        raise RosterProblem("A neighbourhood needs a name.")
    if len(name.strip()) > NAME_MAX:
        raise RosterProblem(f"The name of a neighbourhood has at most {NAME_MAX} letters, because it stands in an SMS.")
    if connection.execute(sa.select(HOOD.c.id).where(HOOD.c.code == code)).first():
        raise RosterProblem(f"The code {code} is taken. Choose another one.")
    organisation = connection.execute(sa.select(ORGANISATION.c.id)).scalar()
    if organisation is None:
        organisation = connection.execute(
            ORGANISATION.insert().returning(ORGANISATION.c.id), {"name": "Stadsdorp"}
        ).scalar_one()
    values = {
        "organisation_id": organisation,
        "name": name.strip(),
        "code": code,
        "zone": zone,
        "times": {},
        "rota": {},
    }
    hood = int(connection.execute(HOOD.insert().returning(HOOD.c.id), values).scalar_one())
    for street in streets:
        connection.execute(STREET.insert(), {"neighbourhood_id": hood, "name": street.strip()})
    return hood


def neighbourhoods(connection: Connection) -> list[dict[str, Any]]:
    """Every neighbourhood with its streets and how many people of each role it has."""
    streets: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(STREET).order_by(STREET.c.id)).mappings():
        streets.setdefault(row["neighbourhood_id"], []).append(row["name"])
    counted = connection.execute(
        sa.select(PERSON.c.neighbourhood_id, PERSON.c.role, sa.func.count()).group_by(
            PERSON.c.neighbourhood_id, PERSON.c.role
        )
    ).all()
    return [
        {
            "id": hood["id"],
            "name": hood["name"],
            "code": hood["code"],
            "streets": streets.get(hood["id"], []),
            **{
                role + "s": sum(n for h, r, n in counted if h == hood["id"] and r == role)
                for role in ("resident", "contact")
            },
        }
        for hood in connection.execute(sa.select(HOOD).order_by(HOOD.c.id)).mappings()
    ]


def neighbourhood_by_code(connection: Connection, code: str) -> RowMapping:
    """The neighbourhood with that join code. Raises RosterProblem naming the codes there are."""
    row = connection.execute(sa.select(HOOD).where(HOOD.c.code == code.strip().upper())).mappings().first()
    if row is None:
        known = ", ".join(connection.execute(sa.select(HOOD.c.code).order_by(HOOD.c.code)).scalars()) or "none yet"
        raise RosterProblem(f"There is no neighbourhood with code {code!r}. Known codes: {known}.")
    return row


def add_person(
    connection: Connection,
    now: datetime,
    name: str,
    neighbourhood_id: int | None,
    role: str = "resident",
    street: str = "",
    form: str = "u",
) -> tuple[int, str]:
    """A person who is invited, and their one-time code. Nothing is sent: who is invited writes first (Tw 11.7)."""
    if role not in ROLES:
        raise RosterProblem(f"The role {role!r} must be one of {', '.join(ROLES)}.")
    if not name.strip():
        raise RosterProblem("A person needs a name.")
    values = {
        "neighbourhood_id": neighbourhood_id,
        "name": name.strip(),
        "street": street.strip(),
        "role": role,
        "form": "je" if role != "resident" else form,
        "joined": False,
        "known": True,
        "welcome_due": False,
        "rhythm": "weekly",
        "patience": "",
        "created_at": now,
    }
    person = int(connection.execute(PERSON.insert().returning(PERSON.c.id), values).scalar_one())
    return person, new_code(connection, now, person)


def new_code(connection: Connection, now: datetime, person: int) -> str:
    """A fresh one-time code for a person; codes of before stop working. Raises RosterProblem for who was forgotten."""
    gone = sa.select(PERSON.c.id).where(PERSON.c.id == person, PERSON.c.left_at.is_not(None))
    if connection.execute(gone).first():
        raise RosterProblem(f"Number {person} was forgotten. Invite them again: binnenbuurt person add")
    code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    connection.execute(INVITE.delete().where(INVITE.c.person_id == person, INVITE.c.used_at.is_(None)))
    values = {
        "person_id": person,
        "code_hash": keyring.find_by(f"invite:{code}"),
        "expires_at": now + timedelta(days=INVITE_DAYS),
    }
    connection.execute(INVITE.insert(), values)
    return code


def people(connection: Connection) -> list[dict[str, Any]]:
    """Everybody, with role, neighbourhood and channels; no numbers."""
    channels: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(ADDRESS.c.person_id, ADDRESS.c.channel, ADDRESS.c.state)).mappings():
        channels.setdefault(row["person_id"], []).append(
            row["channel"] if row["state"] == "active" else f"{row['channel']} ({row['state']})"
        )
    codes = {row.id: row.code for row in connection.execute(sa.select(HOOD.c.id, HOOD.c.code))}
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "role": row["role"],
            "neighbourhood": codes.get(row["neighbourhood_id"], ""),
            "street": row["street"],
            "joined": row["joined"],
            "known": row["known"],
            "stopped": row["stopped_at"] is not None,
            "channels": channels.get(row["id"], []),
        }
        for row in connection.execute(
            sa.select(PERSON).where(PERSON.c.left_at.is_(None)).order_by(PERSON.c.id)
        ).mappings()
    ]
