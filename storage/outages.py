"""Our own outages: recognised when we are at work again, and never read as anybody's silence."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from flows import silence
from flows.contract import Message, Person, Scene
from flows.texts import Texts
from storage.alive import ALL, GAP, HEARTBEAT, OUTAGE
from storage.apply import Writer
from storage.prepared import Prepared
from storage.scene import CASE, PERSON

TELL = timedelta(minutes=45)  # a shorter absence is nothing that anybody noticed
SETTLE = timedelta(hours=1)  # after an outage: what people wrote meanwhile comes in first

_LAST = Prepared(sa.select(HEARTBEAT.c.at).where(HEARTBEAT.c.name == ALL).with_for_update())
_CONTACTS = sa.select(PERSON.c.id).where(
    PERSON.c.role.in_(("contact", "coordinator")), PERSON.c.left_at.is_(None), PERSON.c.joined
)


def notice(connection: Connection, texts: Texts, now: datetime, gap: timedelta = GAP) -> timedelta | None:
    """Look, before anything that is due, whether we were away; returns how long, None when we were not.

    The outage is kept, which moves every step of silence; silences that contacts look after wait as well, and the
    contacts hear it. The heartbeat is set to now, so that it is noticed once.
    """
    last: datetime | None = _LAST.scalar(connection)
    if last is None or now - last <= gap:
        return None
    connection.execute(HEARTBEAT.update().where(HEARTBEAT.c.name == ALL).values(at=now))
    long = now - last >= TELL
    connection.execute(OUTAGE.insert(), {"since": last, "until": now, "told_at": now if long else None})
    connection.execute(
        CASE.update()
        .where(CASE.c.kind == "silence", CASE.c.due_at <= now + SETTLE, CASE.c.state.in_(("open", "claimed")))
        .values(due_at=now + SETTLE)
    )
    if long:
        scene = Scene(now, Person(0, ""), Message(""))
        people = (Person(i, "") for i in connection.execute(_CONTACTS).scalars())
        Writer(connection, texts, now).apply(scene, silence.outage(tuple(people), last, now))
    return now - last
