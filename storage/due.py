"""What is due now, asked of columns with a partial index: the cost depends on what is due, not on how many people there are."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows.contract import LEFT_OPEN_HOURS
from storage import tables
from storage.prepared import Prepared
from storage.scene import ADDRESS, CASE, HOOD, PERSON, TALK, table

CHECK_IN = table(tables.CheckIn)

BATCH = 500  # rows looked at in one go; the rest is due at the next tick as well

_CASES = Prepared(
    sa.select(CASE.c.neighbourhood_id, CASE.c.number)
    .where(CASE.c.due_at.is_not(None), CASE.c.due_at <= sa.bindparam("now"), CASE.c.state.in_(("open", "claimed")))
    .order_by(CASE.c.due_at)
    .limit(BATCH)
)
_WELCOME = sa.and_(
    sa.text("person.welcome_due"),  # in the very words of its partial index: "= 1" would read everybody
    PERSON.c.stopped_at.is_(None),  # who cannot be reached is not due, or would be at every tick, before all others
    sa.exists().where(ADDRESS.c.person_id == PERSON.c.id, ADDRESS.c.state == "active"),
)
_LEFT_OPEN = timedelta(hours=LEFT_OPEN_HOURS)
_WAITS_FOR_YES = sa.text("talk.dialogue = 'help'")  # in the very words of its partial index
_UNANSWERED = Prepared(
    sa.select(TALK.c.person_id)
    .where(_WAITS_FOR_YES, TALK.c.asked_at <= sa.bindparam("before"))
    .order_by(TALK.c.asked_at)
    .limit(BATCH)
)
_WELCOMES = Prepared(sa.select(PERSON.c.id).where(_WELCOME).order_by(PERSON.c.id).limit(BATCH))


def _first(
    column: sa.ColumnElement[datetime], *where: sa.ColumnElement[bool] | sa.TextClause
) -> sa.ScalarSelect[datetime]:
    return sa.select(sa.func.min(column)).where(column.is_not(None), *where).scalar_subquery()


NEXT = sa.select(
    sa.or_(sa.exists().where(HOOD.c.look_at.is_(None)), sa.exists(sa.select(PERSON.c.id).where(_WELCOME))).label("now"),
    _first(CASE.c.due_at, CASE.c.state.in_(("open", "claimed"))),
    _first(PERSON.c.asks_at),
    _first(CHECK_IN.c.due_at),
    _first(PERSON.c.paused_until),
    _first(HOOD.c.look_at),
    _first(TALK.c.asked_at, _WAITS_FOR_YES).label("asked_at"),
)
"""Everything that a tick looks at: whether something is due at any rate, and then the first moment of each kind."""


def following(connection: Connection, now: datetime) -> datetime | None:
    """When the calendar has something next: `now` when it is due already, None when nothing is planned at all."""
    at_once, *moments, asked_at = connection.execute(NEXT).one()
    left_open = (asked_at + _LEFT_OPEN,) if asked_at else ()
    return now if at_once else min((max(at, now) for at in (*moments, *left_open) if at is not None), default=None)


def cases(connection: Connection, now: datetime) -> list[tuple[int, int]]:
    """The cases whose next rung is due."""
    return [(row["neighbourhood_id"], row["number"]) for row in _CASES.all(connection, {"now": now})]


def welcomes(connection: Connection) -> list[int]:
    """The people who were vouched for and have not been welcomed yet."""
    return [row["id"] for row in _WELCOMES.all(connection)]


def unanswered(connection: Connection, now: datetime) -> list[int]:
    """The people whose matter has waited for their yes so long that they must hear that nobody has it."""
    return [row["person_id"] for row in _UNANSWERED.all(connection, {"before": now - _LEFT_OPEN})]
