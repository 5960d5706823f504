"""Numbers that are expected: typed in by somebody else, so never written to, but known when they write themselves."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.scene import ADDRESS
from storage.seal import keyring

EXPECTED = "expected"


def owner_of(connection: Connection, channel: str, value: str) -> int | None:
    """The person whose address that is, active or expected; None when it is nobody's."""
    return connection.execute(
        sa.select(ADDRESS.c.person_id).where(
            ADDRESS.c.channel == channel, ADDRESS.c.value_hash == keyring.find_by(f"{channel}:{value}")
        )
    ).scalar()


def expect_number(connection: Connection, now: datetime, person: int, number: str) -> None:
    """Keep a resident's number (E.164) until it writes itself; before that nothing is sent to it (Tw 11.7)."""
    connection.execute(
        ADDRESS.insert(),
        {
            "person_id": person,
            "channel": "sms",
            "value": number,
            "value_hash": keyring.find_by(f"sms:{number}"),
            "state": EXPECTED,
            "last_used_at": now,
        },
    )
