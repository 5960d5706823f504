"""What the page shows behind the scenes: open matters with their ladder, what goes out, and what is known of whom.

Only the pretend neighbourhood is looked at like this. A real operator never sees these words on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.language import in_words
from bot.tryout.stage import ZONE
from bot.world import World
from storage.apply import OUTGOING
from storage.scene import ADDRESS, CASE, CONSENT, OFFER, PERSON, TALK

CASES_MAX, OUTBOX_MAX, PEOPLE_MAX = 20, 12, 30  # rows shown; the rest is counted

_CASES = sa.select(CASE).where(CASE.c.state != "draft").order_by(CASE.c.state == "closed", CASE.c.number.desc())
_OUTBOX = sa.select(OUTGOING).where(OUTGOING.c.kind != "unbutton").order_by(OUTGOING.c.id.desc()).limit(OUTBOX_MAX)
_WAITING = sa.select(sa.func.count()).where(OUTGOING.c.state == "waiting")
_PEOPLE = sa.select(PERSON).where(PERSON.c.left_at.is_(None)).order_by(PERSON.c.id.desc()).limit(PEOPLE_MAX)
_ADDRESSES = sa.select(ADDRESS.c.person_id, ADDRESS.c.channel, ADDRESS.c.value).where(ADDRESS.c.state == "active")
_CONSENTS = sa.select(CONSENT.c.person_id, CONSENT.c.kind, CONSENT.c.given).order_by(CONSENT.c.id)
_TALKS = sa.select(TALK.c.person_id, TALK.c.dialogue, TALK.c.step, TALK.c.serial).where(TALK.c.dialogue != "")
_OFFERS = sa.select(OFFER.c.person_id, OFFER.c.words).where(OFFER.c.ended_at.is_(None)).order_by(OFFER.c.id)


def look(world: World) -> dict[str, Any]:
    """Everything behind the scenes as plain JSON data, in one read; moments are already in Dutch words."""
    with world.database.transaction() as connection:
        people = {row["id"]: row for row in connection.execute(_PEOPLE).mappings()}
        names = {i: row["name"] for i, row in people.items()}
        talks = {row["person_id"]: row for row in connection.execute(_TALKS).mappings()}
        addresses = connection.execute(_ADDRESSES).all()
        cases = connection.execute(_CASES).mappings().all()
        return {
            "cases": [_case(row, names) for row in cases[:CASES_MAX]],
            "more_cases": max(0, len(cases) - CASES_MAX),
            "outbox": [_outgoing(row, names) for row in connection.execute(_OUTBOX).mappings()],
            "waiting": connection.execute(_WAITING).scalar_one(),
            "people": _people(connection, people, talks, addresses, world.now),
            "dead": sorted(_dead(world, addresses, talks)),
        }


def _case(row: Any, names: dict[int, str]) -> dict[str, Any]:
    return {
        "number": row["number"],
        "kind": row["kind"],
        "state": row["state"],
        "words": row["words"],
        "when": row["when_words"],
        "who": row["behalf_of"] or names.get(row["person_id"], ""),
        "nameless": row["nameless"],
        "claimed_by": names.get(row["claimed_by"], ""),
        "rung": row["rung"],
        "due": in_words(row["due_at"], ZONE) if row["due_at"] else "",
    }


def _outgoing(row: Any, names: dict[int, str]) -> dict[str, Any]:
    return {
        "who": names.get(row["person_id"], ""),
        "channel": row["channel"],
        "text": row["body"].get("text", ""),
        "state": row["state"],
        "urgency": row["urgency"],
        "at": in_words(row["sent_at"] or row["due_at"], ZONE),
        "segments": row["segments"],
        "case": row["case_number"],
    }


def _people(
    connection: Connection, people: dict[int, Any], talks: dict[int, Any], addresses: Sequence[Any], now: datetime
) -> list[dict[str, Any]]:
    channels: dict[int, list[str]] = {}
    for row in addresses:
        channels.setdefault(row.person_id, []).append(row.channel)
    consents: dict[int, dict[str, bool]] = {}
    for row in connection.execute(_CONSENTS):
        consents.setdefault(row.person_id, {})[row.kind] = row.given
    offers: dict[int, list[str]] = {}
    for row in connection.execute(_OFFERS):
        offers.setdefault(row.person_id, []).append(row.words)
    return [
        {
            "name": row["name"],
            "role": row["role"],
            "street": row["street"],
            "form": row["form"],
            "joined": row["joined"],
            "known": row["known"],
            "stopped": row["stopped_at"] is not None,
            "paused": in_words(row["paused_until"], ZONE) if row["paused_until"] and row["paused_until"] > now else "",
            "channels": sorted(set(channels.get(i, ()))),
            "consents": consents.get(i, {}),
            "offers": offers.get(i, []),
            "talk": f"{talks[i]['dialogue']} / {talks[i]['step']}" if i in talks else "",
        }
        for i, row in sorted(people.items())
    ]


def _dead(world: World, addresses: Sequence[Any], talks: dict[int, Any]) -> set[int]:
    """The rows whose buttons do nothing any more: taken away, or of a question that is not open now."""
    person = {(row.channel, row.value): row.person_id for row in addresses}
    at = {a.name: person.get((a.channel, a.address)) for a in world.cast}
    dead = set(world.dead_buttons)
    for line in world.lines:
        asked = next((data for _, data in line.buttons if data.startswith("t:")), "")
        if asked:
            talk = talks.get(at.get(line.who) or 0)
            if talk is None or asked.split(":")[1] != str(talk["serial"]):
                dead.add(line.row)
    return dead
