"""The due dates that are no case and no check-in: pauses that are over, and each neighbourhood's daily look."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows.contract import Calendar, Message, Person, Scene
from flows.times import setting
from storage import tables
from storage.prepared import Prepared
from storage.scene import CHECK_IN, HOOD, PERSON, hood_of, neighbourhood, read_hood_scene, read_scene, table

ROUND = table(tables.Round)
BATCH = 500  # pauses or neighbourhoods of one tick; the rest is due at the next one

_PAUSED = Prepared(
    sa.select(PERSON.c.id)
    .where(PERSON.c.paused_until <= sa.bindparam("now"))
    .order_by(PERSON.c.paused_until)
    .limit(BATCH)
)
_HOODS = Prepared(
    sa.select(HOOD.c.id)
    .where(sa.or_(HOOD.c.look_at.is_(None), HOOD.c.look_at <= sa.bindparam("now")))
    .limit(BATCH)  # without an order, so that the index is used; it is put in order afterwards
)
_SAID = Prepared(
    sa.select(ROUND.c.slot).where(
        ROUND.c.neighbourhood_id == sa.bindparam("hood"), ROUND.c.done_at > sa.bindparam("since")
    )
)
_WEEK = Prepared(
    sa.select(CHECK_IN.c.state, sa.func.count().label("count"))
    .select_from(CHECK_IN.join(PERSON, PERSON.c.id == CHECK_IN.c.person_id))
    .where(PERSON.c.neighbourhood_id == sa.bindparam("hood"), CHECK_IN.c.asked_at > sa.bindparam("since"))
    .group_by(CHECK_IN.c.state)
)
_RESIDENTS = Prepared(
    sa.select(PERSON.c.id, PERSON.c.known).where(
        PERSON.c.neighbourhood_id == sa.bindparam("hood"),
        PERSON.c.role == "resident",
        PERSON.c.joined,
        PERSON.c.left_at.is_(None),
        PERSON.c.stopped_at.is_(None),
    )
)


def pauses_over(connection: Connection, now: datetime) -> list[int]:
    """Whose pause has ended."""
    return [row["id"] for row in _PAUSED.all(connection, {"now": now})]


def read_pause_scene(connection: Connection, now: datetime, person: int) -> Scene:
    """The scene of somebody whose pause has ended."""
    return read_scene(connection, now, person, Message(""))


def to_look_at(connection: Connection, now: datetime) -> list[int]:
    """The neighbourhoods whose calendar is due for its daily look."""
    return sorted(row["id"] for row in _HOODS.all(connection, {"now": now}))


def read_calendar(connection: Connection, now: datetime, hood_id: int) -> Scene | None:
    """The scene of a neighbourhood's daily look; None when another process was first."""
    row = hood_of(connection, hood_id)
    if row is None:
        return None
    if row["look_at"] is not None and row["look_at"] > now:
        return None
    hood = neighbourhood(row)
    zone = ZoneInfo(hood.zone)
    at = time.fromisoformat(setting(hood, "look_time"))
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, zone)
    upcoming = today if today > local else datetime.combine(local.date() + timedelta(days=1), at, zone)
    week = _WEEK.all(connection, {"hood": hood_id, "since": now - timedelta(days=7)})
    counts = {row["state"]: row["count"] for row in week}
    said = _SAID.all(connection, {"hood": hood_id, "since": now - timedelta(days=365)})
    calendar = Calendar(
        looked_at=row["look_at"],
        next_look=upcoming.astimezone(UTC),
        said=frozenset(row["slot"] for row in said),
        residents=tuple(Person(r["id"], "", known=r["known"]) for r in _RESIDENTS.all(connection, {"hood": hood_id})),
        answers=counts.get("answered", 0),
        asked=sum(counts.values()),
    )
    return dataclasses.replace(read_hood_scene(connection, now, hood_id), calendar=calendar)
