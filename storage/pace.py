"""How fast one sender writes: past the limit, and over and over the same words, as a phone that answers by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows.contract import MESSAGES_PER_MINUTE, SAME_WORDS_MAX
from storage.apply import INCOMING
from storage.prepared import Prepared

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_OF = INCOMING.c.person_id == sa.bindparam("person")
_LATEST_FIRST = INCOMING.c.id.desc()


def _before(count: int) -> sa.ScalarSelect[Any]:
    """When the message came that is so many before the one at hand; by the index on the person, whatever is stored."""
    return (
        sa.select(INCOMING.c.received_at)
        .where(_OF)
        .order_by(_LATEST_FIRST)
        .limit(1)
        .offset(count - 1)
        .scalar_subquery()
    )


_PACE = Prepared(
    sa.select(
        _before(SAME_WORDS_MAX).label("some"),
        _before(MESSAGES_PER_MINUTE).label("many"),
        _before(MESSAGES_PER_MINUTE + 1).label("more"),
        _before(1).label("last"),
    )
)
_BODIES = Prepared(sa.select(INCOMING.c.body).where(_OF).order_by(_LATEST_FIRST).limit(SAME_WORDS_MAX + 1))


def past_limit(connection: Connection, row: Mapping[str, Any], person: int) -> str:
    """How this message is too much: "first" past the limit of a minute, "more" after that one, "same" words yet again.

    "" for who writes as people do. Counted are the handled messages of this person, by when they arrived: a backlog of
    ours is no haste of hers. The first of the same words past their limit is "first" too, so that she is told once.
    """
    pace = _PACE.one(connection, {"person": person})
    at: datetime = row["received_at"]
    if pace["many"] is not None and at - pace["many"] < _MINUTE:
        return "more" if pace["more"] is not None and pace["last"] - pace["more"] < _MINUTE else "first"
    words = row["body"]["text"]
    if pace["some"] is None or at - pace["some"] >= _HOUR or not words or row["body"].get("button"):
        return ""
    same = [earlier["body"].get("text") == words for earlier in _BODIES.all(connection, {"person": person})]
    if not all(same[:SAME_WORDS_MAX]):
        return ""
    return "same" if all(same) and len(same) > SAME_WORDS_MAX else "first"
