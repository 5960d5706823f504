"""Neighbourhoods and people: adding, listing, finding; phone numbers as they are written in the Netherlands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import phonenumbers
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from bot.operator.problem import OperatorProblem
from storage import roster
from storage.expected import expect_number, owner_of
from storage.scene import HOOD, PERSON

REGION = "NL"
LONGEST = {"name": 80, "street": 120}  # they stand in texts to others


def phone_number(text: str) -> str:
    """A number as people write it, in E.164. Raises OperatorProblem for what no mobile phone can have."""
    try:
        number = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        raise OperatorProblem(f"{text!r} is no phone number. Write it like +31612345678.") from None
    if not phonenumbers.is_valid_number(number):  # one that cannot exist could not be let in either
        raise OperatorProblem(f"{text!r} cannot be a phone number. Are there too few or too many digits?")
    kind = phonenumbers.number_type(number)
    if number.country_code == 31 and kind == phonenumbers.PhoneNumberType.FIXED_LINE:
        raise OperatorProblem(f"{text!r} is a landline, which gets no SMS. Leave it out: a neighbour can phone.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def check_line(what: str, text: str) -> None:
    """Raises OperatorProblem for a name or street that is more than one short line."""
    if len(text) > LONGEST[what] or not text.isprintable():
        raise OperatorProblem(f"the {what} is too long, or holds signs that cannot be printed.")


def telegram_link(username: str | None, code: str) -> str | None:
    """The link that opens the bot with this one-time code; None without a bot."""
    return f"https://t.me/{username}?start={code}" if username else None


def add(
    connection: Connection,
    now: datetime,
    name: str,
    neighbourhood: str | None,
    role: str,
    phone: str | None,
    street: str,
    username: str | None,
) -> dict[str, Any]:
    """Invite a person; returns who it is with the one-time code. Nothing is sent.

    A resident's number is kept as expected. A contact's or coordinator's is not: they join by their code only, because
    a number alone must not give anybody power. Raises OperatorProblem or RosterProblem.
    """
    check_line("name", name.strip())
    check_line("street", street.strip())
    if role != "coordinator" and not neighbourhood:
        raise OperatorProblem("Name the neighbourhood: --neighbourhood CODE. Only a coordinator is for all of them.")
    hood = roster.neighbourhood_by_code(connection, neighbourhood) if neighbourhood else None
    number = phone_number(phone) if phone else None
    if number and owner_of(connection, "sms", number) is not None:
        raise OperatorProblem(f"{number} already belongs to somebody. See: binnenbuurt person list")
    person, code = roster.add_person(connection, now, name, hood["id"] if hood else None, role, street)
    if number and role == "resident":
        expect_number(connection, now, person, number)
    return {
        "id": person,
        "name": name.strip(),
        "role": role,
        "neighbourhood": hood["code"] if hood else None,
        "invite_code": code,
        "telegram_link": telegram_link(username, code),
    }


def find(connection: Connection, who: str) -> int:
    """The person with that id, or else that very name. Raises OperatorProblem when there is none, or more than one."""
    rows = connection.execute(sa.select(PERSON.c.id, PERSON.c.name, PERSON.c.left_at)).all()
    if who.isdecimal():
        found = [row.id for row in rows if row.id == int(who)]
    else:
        wanted = " ".join(who.casefold().split())
        found = [row.id for row in rows if row.left_at is None and row.name.casefold() == wanted]
    if not found:
        raise OperatorProblem(f"There is no person {who!r}. See: binnenbuurt person list")
    if len(found) > 1:
        raise OperatorProblem(f"{who!r} is {len(found)} people: {', '.join(map(str, found))}. Use the number.")
    return int(found[0])


def summary(connection: Connection, person: int) -> dict[str, Any]:
    """Name, role and neighbourhood of one person."""
    row = connection.execute(
        sa.select(PERSON.c.id, PERSON.c.name, PERSON.c.role, HOOD.c.code.label("neighbourhood"))
        .select_from(PERSON.outerjoin(HOOD, HOOD.c.id == PERSON.c.neighbourhood_id))
        .where(PERSON.c.id == person)
    )
    return dict(row.mappings().one())


def only_neighbourhood(connection: Connection, code: str | None) -> RowMapping:
    """The neighbourhood with that code; without one, the only one there is. Raises OperatorProblem or RosterProblem."""
    if code:
        return roster.neighbourhood_by_code(connection, code)
    rows = connection.execute(sa.select(HOOD)).mappings().all()
    if len(rows) != 1:
        codes = ", ".join(row["code"] for row in rows) or "none yet"
        raise OperatorProblem(f"Name the neighbourhood: --neighbourhood CODE. Known codes: {codes}.")
    return rows[0]


def contact_names(connection: Connection, neighbourhood: int) -> list[str]:
    """The names of a neighbourhood's contacts, in the order in which they were invited."""
    chosen = sa.and_(PERSON.c.neighbourhood_id == neighbourhood, PERSON.c.role == "contact", PERSON.c.left_at.is_(None))
    return list(connection.execute(sa.select(PERSON.c.name).where(chosen).order_by(PERSON.c.id)).scalars())
