"""Everything we know of one person (their right to see it), and forgetting it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.operator.people import summary
from bot.operator.words import fill, operator_words
from storage import tables
from storage.apply import AUDIT, CASE_WORDS, INCOMING, INVITE, MISHEARD, OUTGOING, erase_person
from storage.database import Database
from storage.retention import scrub
from storage.scene import ADDRESS, CASE, CONSENT, OFFER, PERSON, TALK, table

CHECK_IN = table(tables.CheckIn)
ROOM = "cli/inzage"
_INTERNAL = frozenset({"value_hash", "code_hash", "sender_hash", "provider_id", "slots", "serial"})


def everything(connection: Connection, now: datetime, person: int) -> dict[str, Any]:
    """All rows about a person, words opened, without hashes; writes down that it was looked at."""
    mine = {
        "addresses": ADDRESS,
        "consents": CONSENT,
        "invitations": INVITE,
        "offers": OFFER,
        "check_ins": CHECK_IN,
        "misheard": MISHEARD,
        "talk": TALK,
    }
    known: dict[str, Any] = {"person": _shown(_rows(connection, PERSON, PERSON.c.id == person)[0])}
    for name, rows in mine.items():
        known[name] = [_shown(row) for row in _rows(connection, rows, rows.c.person_id == person)]
    cases = _rows(connection, CASE, CASE.c.person_id == person)
    known["cases"] = [_shown(row) for row in cases]
    about = sa.or_(CASE_WORDS.c.case_id.in_([row["id"] for row in cases]), CASE_WORDS.c.author_id == person)
    known["said_about_cases"] = [_shown(row) for row in _rows(connection, CASE_WORDS, about)]
    known["written_by_person"] = [_shown(row) for row in _rows(connection, INCOMING, INCOMING.c.person_id == person)]
    known["written_to_person"] = [_shown(row) for row in _rows(connection, OUTGOING, OUTGOING.c.person_id == person)]
    keys = {(row["neighbourhood_id"], row["number"]) for row in cases}
    seen = [
        row
        for row in _rows(connection, AUDIT, AUDIT.c.id > 0)
        if row["person_id"] == person or (row["neighbourhood_id"], row["case_number"]) in keys
    ]
    known["seen_or_done"] = [_shown(row) for row in seen]
    connection.execute(AUDIT.insert(), {"person_id": person, "action": "operator_looked", "at": now})
    return known


def erase(database: Database, now: datetime, person: int) -> dict[str, Any]:
    """Forget a person and leave no byte; returns who it was, for the last time.

    While another program reads the database its log cannot be emptied: that is logged, and the next cleaning does it.
    """
    with database.transaction() as connection:
        gone = summary(connection, person)
        erase_person(connection, person, now)
        connection.execute(AUDIT.insert(), {"person_id": person, "action": "operator_erased", "at": now})
    scrub(database)
    return {"id": gone["id"], "erased": True}


def _rows(connection: Connection, rows: sa.Table, which: Any) -> list[dict[str, Any]]:
    key = next(iter(rows.primary_key.columns))
    return [dict(row) for row in connection.execute(sa.select(rows).where(which).order_by(key)).mappings()]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in _INTERNAL and not isinstance(value, bytes) and value not in (None, "", [], {})
    }


def as_text(known: dict[str, Any], now: datetime) -> str:
    """The same for reading: a heading per subject, one line per row; the JSON has every column."""
    words = operator_words(ROOM)
    person = known["person"]
    parts = [fill(ROOM, "title", name=person.get("name", person["id"]), at=f"{now:%d-%m-%Y}")]
    for name, heading in words["headings"].items():
        rows = [known[name]] if isinstance(known[name], dict) else known[name]
        lines = [
            "  " + "; ".join(f"{label}: {_line(row[key])}" for key, label in words["columns"].items() if key in row)
            for row in rows
        ]
        parts.append("\n".join([heading, *(lines or [f"  {words['nothing']}"])]))
    return "\n\n".join([*parts, fill(ROOM, "other", id=person["id"])]) + "\n"


def _line(value: Any) -> str:
    if isinstance(value, bool):
        return str(operator_words(ROOM)["yes" if value else "no"])
    if isinstance(value, dict):
        return ", ".join(f"{key} {_line(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_line(inner) for inner in value)
    return str(value)
