"""The rows of "hoe gaat het": who is asked next, made in batches that can be broken off at any row.

`person.asks_at` says when a person is asked next, so a tick costs what is due and not what there is. A batch makes the
rows and moves `asks_at` on in one transaction; UNIQUE (person, slot) makes a second time a no-op.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from flows.contract import CheckIn, Message, Person, Scene
from flows.rhythm import Beat, beat_of, next_ask, rests_until, slot_at
from storage import tables
from storage.prepared import Prepared, Row
from storage.rows import change
from storage.scene import CASE, CHECK_IN, CONSENT, HOOD, PERSON, check_in_of, hood_of, neighbourhood, read_scene, table

OUTGOING, OUTAGE = table(tables.Outgoing), table(tables.Outage)
BATCH = 1_000  # people taken in one transaction; another writer waits no longer than that takes
LATE_DAYS = 4  # a question this late is let go: the next one is near, and the delay was ours
BACK_SPARED = timedelta(hours=3)  # who comes back from a pause is welcomed first, and asked later that day
BEFORE = 12  # earlier check-ins looked at, to know what is usual for a person

_DELIVERY = {
    "waiting": "waiting",
    "sending": "waiting",
    "failed": "failed",
    "undelivered": "failed",
    "dropped": "dropped",
}
_DUE = Prepared(
    sa.select(
        PERSON.c.id,
        PERSON.c.neighbourhood_id,
        PERSON.c.rhythm,
        PERSON.c.check_in_day,
        PERSON.c.check_in_time,
        PERSON.c.asks_at,
        PERSON.c.paused_until,
        PERSON.c.stopped_at,
    )
    .where(PERSON.c.asks_at <= sa.bindparam("now"))
    .order_by(PERSON.c.asks_at, PERSON.c.id)
    .limit(sa.bindparam("batch"))
    .with_for_update(skip_locked=True)  # two processes take different people; SQLite has one writer and ignores this
)
_NEW = {
    "sqlite": sqlite_insert(CHECK_IN).on_conflict_do_nothing(),
    "postgresql": pg_insert(CHECK_IN).on_conflict_do_nothing(),
}
_NEXT = PERSON.update().where(PERSON.c.id == sa.bindparam("p_id")).values(asks_at=sa.bindparam("p_next"))
_DUE_ROWS = Prepared(
    sa.select(CHECK_IN.c.id)
    .where(CHECK_IN.c.due_at <= sa.bindparam("now"))
    .order_by(CHECK_IN.c.due_at, CHECK_IN.c.id)
    .limit(sa.bindparam("limit"))
)
_HOODS = Prepared(sa.select(HOOD))
_YES = Prepared(
    sa.select(CONSENT.c.given)
    .where(CONSENT.c.person_id == sa.bindparam("person"), CONSENT.c.kind == "check_in")
    .order_by(CONSENT.c.id.desc())
    .limit(1)
)
_ROW = Prepared(
    sa.select(CHECK_IN, CASE.c.neighbourhood_id, CASE.c.number)
    .select_from(CHECK_IN.outerjoin(CASE, CASE.c.id == CHECK_IN.c.case_id))
    .where(CHECK_IN.c.id == sa.bindparam("id"), CHECK_IN.c.due_at <= sa.bindparam("now"))
)
_BEFORE = Prepared(
    sa.select(CHECK_IN.c.state, CHECK_IN.c.asked_at, CHECK_IN.c.answered_at, CHECK_IN.c.variant)
    .where(CHECK_IN.c.person_id == sa.bindparam("person"), CHECK_IN.c.id < sa.bindparam("id"))
    .order_by(CHECK_IN.c.id.desc())
    .limit(BEFORE)
)
_SENT = Prepared(
    sa.select(OUTGOING.c.state)
    .where(OUTGOING.c.check_in_id == sa.bindparam("id"))
    .order_by(OUTGOING.c.id.desc())
    .limit(1)
)
_OUTAGES = Prepared(sa.select(OUTAGE).where(OUTAGE.c.until > sa.bindparam("since")))
_ONE = Prepared(sa.select(PERSON).where(PERSON.c.id == sa.bindparam("person")))


def make_rows(connection: Connection, now: datetime) -> int:
    """One batch of the round: rows for who is due, and their next moment. Returns how many people were looked at."""
    people = _DUE.all(connection, {"now": now, "batch": BATCH})
    if not people:
        return 0
    hoods = {h["id"]: neighbourhood(h) for h in _HOODS.all(connection)}
    known: dict[tuple[Beat, datetime], tuple[str, datetime]] = {}
    rows: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    for row in people:
        hood = hoods.get(row["neighbourhood_id"])
        if hood is None:  # left the neighbourhood: nobody there would look
            moves.append({"p_id": row["id"], "p_next": None})
            continue
        beat = beat_of(_rhythm(row), hood)
        key = (beat, row["asks_at"])
        if key not in known:
            known[key] = slot_at(row["asks_at"], beat), next_ask(now, beat)
        slot, after = known[key]
        moves.append({"p_id": row["id"], "p_next": after})
        if row["stopped_at"] is not None:
            continue
        paused = row["paused_until"] is not None and row["paused_until"] > now
        late = now - row["asks_at"] > timedelta(days=LATE_DAYS)
        rows.append(
            {
                "person_id": row["id"],
                "slot": slot,
                "state": "passed" if paused or late else "due",
                "answer": "paused" if paused else "late" if late else "",
                "rung": 0,
                "variant": 0,
                "due_at": None if paused or late else now + (BACK_SPARED if row["paused_until"] else timedelta(0)),
            }
        )
    if rows:
        connection.execute(_NEW[connection.dialect.name], rows)
    connection.execute(_NEXT, moves)
    return len(people)


def plan(connection: Connection, person_id: int, now: datetime) -> None:
    """Set when this person is asked next, after a yes, a no, or a change of day, hour or neighbourhood."""
    row = _ONE.first(connection, {"person": person_id})
    if row is None:
        return
    after = None
    hood = hood_of(connection, row["neighbourhood_id"] or 0)
    if hood is not None and row["left_at"] is None and _YES.scalar(connection, {"person": person_id}):
        after = next_ask(now, beat_of(_rhythm(row), neighbourhood(hood)))
    change(connection, PERSON, person_id, asks_at=after)


def plan_all(connection: Connection, now: datetime, neighbourhood_id: int | None = None) -> int:
    """Plan everybody who said yes, of one neighbourhood or of all: after an import or a change. Returns how many."""
    said = sa.select(CONSENT.c.person_id).where(CONSENT.c.kind == "check_in", CONSENT.c.given).distinct()
    people = sa.select(PERSON.c.id).where(PERSON.c.id.in_(said), PERSON.c.left_at.is_(None))
    if neighbourhood_id is not None:
        people = people.where(PERSON.c.neighbourhood_id == neighbourhood_id)
    else:
        people = people.where(PERSON.c.asks_at.is_(None))
    ids = list(connection.execute(people).scalars())
    for person_id in ids:
        plan(connection, person_id, now)
    return len(ids)


def due(connection: Connection, now: datetime, limit: int) -> list[int]:
    """The check-ins on which something is due, the earliest first."""
    return [row["id"] for row in _DUE_ROWS.all(connection, {"now": now, "limit": limit})]


def read_check_in_scene(connection: Connection, now: datetime, check_in_id: int) -> Scene | None:
    """The scene of a due date on a check-in; None when it is not due any more."""
    row = _ROW.first(connection, {"id": check_in_id, "now": now})
    if row is None:
        return None
    scene = read_scene(connection, now, row["person_id"], Message(""))
    hood = scene.place.neighbourhood if scene.place else None
    return dataclasses.replace(
        scene,
        check_in=_complete(connection, now, check_in_of(row, scene.person)),
        rests_until=rests_until(now, hood) if hood else None,
    )


def _complete(connection: Connection, now: datetime, check_in: CheckIn) -> CheckIn:
    """With what only a due date needs: what became of our question, our own outages, and what is usual."""
    before = _BEFORE.all(connection, {"person": check_in.person.id, "id": check_in.id})
    sent = _SENT.scalar(connection, {"id": check_in.id})
    asked = check_in.asked_at or now
    held = timedelta(0)
    for outage in _OUTAGES.all(connection, {"since": asked}):
        held += max(min(outage["until"], now) - max(outage["since"], asked), timedelta(0))
    quiet = next((n for n, r in enumerate(before) if r["state"] not in ("seen", "flagged")), len(before))
    return dataclasses.replace(
        check_in,
        delivery=_DELIVERY.get(sent or "", "sent"),
        held=held,
        habit=tuple(
            (r["answered_at"] - r["asked_at"]).total_seconds() / 3600
            for r in before
            if r["state"] == "answered" and r["answered_at"] and r["asked_at"]
        ),
        quiet=quiet,
        unreached_before=bool(before) and before[0]["state"] == "unreached",
        variant=check_in.variant or (before[0]["variant"] if before else 0),
    )


def _rhythm(row: Row) -> Person:
    return Person(
        row["id"],
        "",
        rhythm=row["rhythm"],
        check_in_day=row["check_in_day"],
        check_in_time=row["check_in_time"],
    )
