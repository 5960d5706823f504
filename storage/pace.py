"""How fast one sender writes: past the limit, the same words twice, or over and over as a phone that answers by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows.contract import BURST_SECONDS, MESSAGES_PER_MINUTE, SAME_WORDS_MAX
from storage.apply import INCOMING
from storage.prepared import Prepared

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_OF = INCOMING.c.person_id == sa.bindparam("person")
_LATEST_FIRST = INCOMING.c.id.desc()


def so_many_before(person: sa.ColumnElement[int], count: Any) -> sa.Select[Any]:
    """When the message came that is `count` before the one at hand: by the index on the person, whatever is stored."""
    of = sa.select(INCOMING.c.received_at).where(INCOMING.c.person_id == person)
    return of.order_by(_LATEST_FIRST).limit(1).offset(count)


_BEFORE = Prepared(so_many_before(sa.bindparam("person"), sa.bindparam("count")))
_LATEST = Prepared(
    sa.select(INCOMING.c.body, INCOMING.c.received_at).where(_OF).order_by(_LATEST_FIRST).limit(sa.bindparam("most"))
)


def past_limit(connection: Connection, row: Mapping[str, Any], person: int, some: datetime | None) -> str:
    """How this message is too much: "first" past the limit of a minute, "more" after that one, "same" words yet again.

    "" for who writes as people do. Counted are the handled messages of this person, by when they were written: a backlog
    of ours or of the network is no haste of hers. The first of the same words past their limit is "first" too: she is
    told once. `some` is when the message came that is `SAME_WORDS_MAX` before this one.
    """
    at: datetime = row["received_at"]
    if some is None or at - some >= _HOUR:
        return ""
    hasty = at - some < _MINUTE  # else those before that one are longer ago still
    many = _BEFORE.scalar(connection, {"person": person, "count": MESSAGES_PER_MINUTE - 1}) if hasty else None
    if many is not None and at - many < _MINUTE:
        latest = _LATEST.all(connection, {"person": person, "most": MESSAGES_PER_MINUTE + 1})
        written = [_written(earlier) for earlier in (row, *latest)]
        if _is_hasty(written):
            return "more" if _is_hasty(written[1:]) else "first"
    words = row["body"]["text"]
    if not words or row["body"].get("button"):
        return ""
    for most in (1, SAME_WORDS_MAX + 1):  # the last one says nearly always that it is somebody who talks
        latest = _LATEST.all(connection, {"person": person, "most": most})
        same = [(earlier["body"] or {}).get("text") == words for earlier in latest]
        if not all(same[:SAME_WORDS_MAX]):
            return ""
    return "same" if all(same) and len(same) > SAME_WORDS_MAX else "first"


def is_again(connection: Connection, row: Mapping[str, Any], person: int, heard_before: datetime | None) -> bool:
    """Whether these are the words of this person's message before it, at most `BURST_SECONDS` later.

    `heard_before` is when we heard from them last; mostly that is so long ago that nothing need be read.
    """
    text, at = str(row["body"].get("text", "")).strip(), row["received_at"]
    if not text or heard_before is None or (at - heard_before).total_seconds() > BURST_SECONDS:
        return False
    latest = _LATEST.first(connection, {"person": person, "most": 1})
    if latest is None or (at - latest["received_at"]).total_seconds() > BURST_SECONDS:
        return False
    return str((latest["body"] or {}).get("text", "")).strip() == text


def _written(row: Mapping[str, Any]) -> float:
    """When a message was written, in seconds: as its network says, or else when it came."""
    return float((row["body"] or {}).get("sent") or row["received_at"].timestamp())


def _is_hasty(written: Sequence[float]) -> bool:
    """Whether the first of these, latest first, comes within a minute of the one that is a whole limit before it."""
    return len(written) > MESSAGES_PER_MINUTE and written[0] - written[MESSAGES_PER_MINUTE] < _MINUTE.total_seconds()
