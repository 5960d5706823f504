"""Whether the bot was really at work: its heartbeat, the gaps in it, who else runs on this database, and who leads."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from storage import tables
from storage.scene import table

HEARTBEAT, OUTAGE, SETTING = table(tables.Heartbeat), table(tables.Outage), table(tables.Setting)

ALL = "all"  # the row of all processes together, on the calendar
GAP = timedelta(minutes=10)  # a silence of our own that is longer than this is kept as an outage
ALIVE = timedelta(seconds=45)  # a process that did not beat this long is gone


def beat(
    connection: Connection, now: datetime, real: datetime, process: str, patience: timedelta = GAP
) -> timedelta | None:
    """We are at work. Returns how long nobody was, when that was longer than `patience`; then it is kept as an outage.

    `now` is on the calendar, because an outage is something that people noticed; `real` is for who runs beside us.
    """
    last = connection.execute(sa.select(HEARTBEAT.c.at).where(HEARTBEAT.c.name == ALL).with_for_update()).scalar()
    gap = now - last if last is not None and now - last > patience else None
    if gap is not None and last is not None:
        connection.execute(OUTAGE.insert(), {"since": last, "until": now})
    _write(connection, ALL, now)
    here(connection, real, process)
    return gap


def has_run(connection: Connection) -> bool:
    """True when a bot was ever at work on this database."""
    return connection.execute(sa.select(HEARTBEAT.c.name).limit(1)).first() is not None


def here(connection: Connection, real: datetime, process: str) -> None:
    """This process is there, and can write."""
    _write(connection, f"run:{process}", real)


def processes(connection: Connection, real: datetime) -> int:
    """How many processes are alive, at least 1; the rows of those that are gone are taken away."""
    runs = HEARTBEAT.c.name.startswith("run:")
    connection.execute(HEARTBEAT.delete().where(runs, HEARTBEAT.c.at < real - 10 * ALIVE))
    count = connection.execute(
        sa.select(sa.func.count()).select_from(HEARTBEAT).where(runs, HEARTBEAT.c.at > real - ALIVE)
    ).scalar_one()
    return max(1, int(count))


def leave(connection: Connection, process: str, role: str) -> None:
    """This process stops; another may take over at once what it led."""
    connection.execute(HEARTBEAT.delete().where(HEARTBEAT.c.name == f"run:{process}"))
    connection.execute(
        SETTING.delete().where(SETTING.c.name == f"lead:{role}", SETTING.c.value.startswith(process + " "))
    )


def lead(connection: Connection, real: datetime, process: str, role: str) -> bool:
    """True when this process does what only one may do; it has to ask again within ALIVE to keep it."""
    name, mine = f"lead:{role}", f"{process} {real.isoformat()}"
    insert = (sqlite_insert if connection.dialect.name == "sqlite" else pg_insert)(SETTING)
    connection.execute(insert.on_conflict_do_nothing(), {"name": name, "value": mine})
    value = connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == name).with_for_update()).scalar_one()
    owner, _, at = value.partition(" ")
    if owner != process and real - datetime.fromisoformat(at) < ALIVE:
        return False
    connection.execute(SETTING.update().where(SETTING.c.name == name).values(value=mine))
    return True


def _write(connection: Connection, name: str, at: datetime) -> None:
    moved = connection.execute(HEARTBEAT.update().where(HEARTBEAT.c.name == name).values(at=at)).rowcount
    if not moved:
        insert = (sqlite_insert if connection.dialect.name == "sqlite" else pg_insert)(HEARTBEAT)
        connection.execute(insert.on_conflict_do_nothing(), {"name": name, "at": at, "started_at": at})
