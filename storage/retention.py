"""Forgetting on time, by itself: words, answers, people who left; and leaving no byte of what was erased.

The terms are the promise of the privacy text (`docs/privacy.md`). Everything that is past them goes in batches, the
oldest first, so that one run is short; what is left over goes at the next run.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from flows import plain
from storage import codes, tables
from storage.apply import (
    AUDIT,
    CASE_WORDS,
    INCOMING,
    INVITE,
    MISHEARD,
    OUTGOING,
    erase_person,
)
from storage.codes import SETTING
from storage.database import BUSY_MS, Database
from storage.expected import EXPECTED
from storage.scene import ADDRESS, CASE, CONSENT, OFFER, PERSON, TALK, table
from storage.seal import forget_names

log = logging.getLogger("binnenbuurt.retention")

WORDS = timedelta(days=30)  # after a message was handled or sent, or a case was closed; also for danger
ANSWERS = timedelta(weeks=8)  # of "how are you": as long as a pattern needs
LEAVERS = timedelta(days=7)
STRANGERS = timedelta(days=30)  # wrote, never said who they were, and stayed silent
INVITED = timedelta(days=90)  # were invited and never wrote
LINKS = timedelta(days=90)  # after closing: who asked; then only that something was asked
COUNTS = timedelta(days=400)  # a year and a month of counts, so that the same month of last year can be seen
BATCH = 5_000

CHECK_IN = table(tables.CheckIn)
_WIPED = {"words": "", "behalf_of": "", "when_words": "", "attachments": None}


def clean(connection: Connection, now: datetime) -> int:
    """Forget what is past its term at `now` (aware UTC); returns how many rows changed.

    Meant for once a day in every process; twice is harmless. A process also lets go of the names and words it keeps in
    memory: where there are more of them, somebody may have been erased by another one.
    """
    forget_names()
    plain.forget()
    return sum(
        (
            _incoming(connection, now),
            _outgoing(connection, now),
            _cases(connection, now),
            _answers(connection, now),
            _small(connection, now),
            _people(connection, now),
            _counts(connection, now),
            codes.forget_tries(connection),
        )
    )


def _incoming(connection: Connection, now: datetime) -> int:
    old = sa.and_(INCOMING.c.handled_at <= now - WORDS, INCOMING.c.body.is_not(None))
    wiped = {"body": None, "sender_hash": b"", "person_id": None}
    return _from_mark(connection, INCOMING, INCOMING.c.received_at <= now - WORDS, old, wiped)


def _outgoing(connection: Connection, now: datetime) -> int:
    done = OUTGOING.c.state.not_in(("waiting", "sending"))
    old = sa.and_(done, sa.func.coalesce(OUTGOING.c.sent_at, OUTGOING.c.created_at) <= now - WORDS)
    has = sa.and_(old, OUTGOING.c.body.is_not(None))
    return _from_mark(connection, OUTGOING, OUTGOING.c.created_at <= now - WORDS, has, {"body": None})


def _from_mark(connection: Connection, rows: sa.Table, age: Any, old: Any, wiped: dict[str, Any]) -> int:
    """Wipe the old rows, looking no further back than the oldest that was still in use the last time.

    Without the mark every run would read every message ever sent: there is no index on their age, because that
    would cost at each message what this needs once a day.
    """
    name = f"retention_{rows.name}"
    mark = int(connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == name)).scalar() or 0)
    ids = list(
        connection.execute(sa.select(rows.c.id).where(rows.c.id > mark, old).order_by(rows.c.id).limit(BATCH)).scalars()
    )
    for start in range(0, len(ids), 500):
        connection.execute(rows.update().where(rows.c.id.in_(ids[start : start + 500])).values(**wiped))
    remains = connection.execute(
        sa.select(sa.func.min(rows.c.id)).where(rows.c.id > mark, sa.or_(rows.c.body.is_not(None), sa.not_(age)))
    ).scalar()
    new = (remains if remains is not None else max(ids, default=mark) + 1) - 1
    if new > mark:
        connection.execute(SETTING.delete().where(SETTING.c.name == name))
        connection.execute(SETTING.insert(), {"name": name, "value": str(new)})
    return len(ids)


def _cases(connection: Connection, now: datetime) -> int:
    """Danger stays as long as it is open, like everything: the term starts when a human closed it.

    A draft nobody will close: it ends when she has said nothing about it for as long, and its words go at once.
    """
    left = sa.and_(CASE.c.state == "draft", CASE.c.touched_at <= now - WORDS)
    connection.execute(CASE.update().where(left).values(state="closed", outcome="dropped", closed_at=CASE.c.touched_at))
    closed = sa.and_(CASE.c.state == "closed", CASE.c.closed_at <= now - WORDS)
    ids = list(connection.execute(sa.select(CASE.c.id).where(closed, CASE.c.wiped_at.is_(None)).limit(BATCH)).scalars())
    if ids:
        connection.execute(CASE_WORDS.delete().where(CASE_WORDS.c.case_id.in_(ids)))
        connection.execute(CASE.update().where(CASE.c.id.in_(ids)).values(**_WIPED, wiped_at=now))
    someone = sa.or_(CASE.c.person_id.is_not(None), CASE.c.opened_by.is_not(None), CASE.c.claimed_by.is_not(None))
    loose = sa.select(CASE.c.id).where(CASE.c.state == "closed", CASE.c.closed_at <= now - LINKS, someone).limit(BATCH)
    unlinked = connection.execute(
        CASE.update().where(CASE.c.id.in_(loose)).values(person_id=None, opened_by=None, claimed_by=None)
    )
    return len(ids) + unlinked.rowcount


def _answers(connection: Connection, now: datetime) -> int:
    """What was answered goes; that there was an answer stays in the state of the row."""
    old = sa.and_(CHECK_IN.c.asked_at <= now - ANSWERS, CHECK_IN.c.answer != "")
    return connection.execute(CHECK_IN.update().where(old).values(answer="")).rowcount


def _small(connection: Connection, now: datetime) -> int:
    """What hangs beside the messages: codes, misheard words, an old bookmark, ended offers."""
    gone = sum(
        connection.execute(rows.delete().where(old)).rowcount
        for rows, old in (
            (INVITE, INVITE.c.expires_at <= now - WORDS),
            (MISHEARD, MISHEARD.c.at <= now - WORDS),
            (OFFER, OFFER.c.ended_at <= now - WORDS),
        )
    )
    talk = sa.and_(TALK.c.asked_at <= now - WORDS, sa.or_(TALK.c.slots.is_not(None), TALK.c.dialogue != ""))
    ended = TALK.update().where(talk).values(dialogue="", step="", slots=None, question="")
    return gone + connection.execute(ended).rowcount


def _people(connection: Connection, now: datetime) -> int:
    """Leavers, strangers who never said who they were, and invited people who never wrote."""
    known_somewhere = sa.or_(
        *(sa.exists().where(t.c.person_id == PERSON.c.id) for t in (ADDRESS, CONSENT, OFFER, TALK, INVITE)),
        sa.exists().where(CASE.c.person_id == PERSON.c.id),
        sa.exists().where(INCOMING.c.person_id == PERSON.c.id),
    )
    busy = sa.exists().where(CASE.c.person_id == PERSON.c.id, CASE.c.state != "closed")
    nobody = sa.and_(PERSON.c.left_at.is_(None), sa.not_(PERSON.c.joined), sa.not_(busy))
    left = sa.and_(PERSON.c.left_at <= now - LEAVERS, known_somewhere)
    stranger = sa.and_(nobody, PERSON.c.heard_at <= now - STRANGERS)
    silent = sa.and_(nobody, PERSON.c.heard_at.is_(None), PERSON.c.created_at <= now - INVITED)
    ids = connection.execute(sa.select(PERSON.c.id).where(sa.or_(left, stranger, silent)).limit(BATCH)).scalars().all()
    for person in ids:
        erase_person(connection, person, now)
    expected = sa.and_(ADDRESS.c.state == EXPECTED, ADDRESS.c.last_used_at <= now - INVITED)
    return len(ids) + connection.execute(ADDRESS.delete().where(expected)).rowcount


def _counts(connection: Connection, now: datetime) -> int:
    """Rows that are only counts by now, and the audit, after a year and a month."""
    gone = 0
    for rows, at in ((INCOMING, "received_at"), (OUTGOING, "created_at"), (AUDIT, "at"), (CHECK_IN, "asked_at")):
        oldest = sa.select(rows.c.id).order_by(rows.c.id).limit(BATCH).subquery()
        old = sa.and_(rows.c.id.in_(sa.select(oldest.c.id)), rows.c[at] <= now - COUNTS)
        if "body" in rows.c:
            old = sa.and_(old, rows.c.body.is_(None))
        gone += connection.execute(rows.delete().where(old)).rowcount
    return gone


def scrub(database: Database, patience_ms: int = BUSY_MS) -> bool:
    """Leave no byte of what was deleted: not in the write-ahead log, not in free pages. Outside any transaction.

    SQLite overwrites freed pages itself (`secure_delete`), so the log is what is left. Who reads the database for longer
    than `patience_ms`, as a slow backup may, keeps the log from being emptied: then this is False, and logged. PostgreSQL
    keeps old versions of a row until a vacuum; its own write-ahead log is overwritten as the server recycles it.
    """
    if database.is_sqlite:
        with database.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute(f"PRAGMA busy_timeout={patience_ms}")
            try:
                busy = bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
            finally:
                raw.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        if busy:
            log.warning("another program reads the database: its log keeps what was erased until the next cleaning")
        return not busy
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for rows in SQLModel.metadata.sorted_tables:
            connection.execute(sa.text(f'VACUUM "{rows.name}"'))
    return True
