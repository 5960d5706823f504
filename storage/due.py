"""What is due now, asked of columns with a partial index: the cost depends on what is due, not on how many people there are."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.scene import CASE, PERSON

BATCH = 500  # rows looked at in one go; the rest is due at the next tick as well

_CASES = (
    sa.select(CASE.c.neighbourhood_id, CASE.c.number)
    .where(CASE.c.due_at.is_not(None), CASE.c.due_at <= sa.bindparam("now"), CASE.c.state.in_(("open", "claimed")))
    .order_by(CASE.c.due_at)
    .limit(BATCH)
)
_WELCOMES = sa.select(PERSON.c.id).where(PERSON.c.welcome_due).order_by(PERSON.c.id).limit(BATCH)


def cases(connection: Connection, now: datetime) -> list[tuple[int, int]]:
    """The cases whose next rung is due."""
    return [(hood, number) for hood, number in connection.execute(_CASES, {"now": now})]


def welcomes(connection: Connection) -> list[int]:
    """The people who were vouched for and have not been welcomed yet."""
    return [person for (person,) in connection.execute(_WELCOMES)]
