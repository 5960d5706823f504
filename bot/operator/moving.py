"""Moving everything to another database, sealed as it is, counted and checked on both sides."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from bot.opening import KEY_ID, write_setting
from bot.operator.problem import OperatorProblem
from storage import tables
from storage.database import Database
from storage.scene import table
from storage.seal import Sealed, SealedJson

BATCH = 1_000
AWAKE = timedelta(minutes=3)  # a bot that was at work this short ago still is, or its sender is
_SUM = 1 << 256

Told = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


def raw_tables() -> list[sa.TableClause]:
    """Every table, parents first, with its sealed columns as the bytes they are: moving needs no key."""
    return [
        sa.table(
            t.name,
            *(
                sa.column(c.name, sa.LargeBinary() if isinstance(c.type, Sealed | SealedJson) else c.type)
                for c in t.columns
            ),
        )
        for t in SQLModel.metadata.sorted_tables
    ]


def migrate_database(source_url: str, target_url: str, told: Told) -> list[dict[str, Any]]:
    """Copy everything to an empty database, SQLite or PostgreSQL; returns per table its rows and checksum.

    One transaction on each side: when a count or checksum differs nothing was moved. Raises OperatorProblem when the
    bot is at work, when there is no such source, or when the target has data already.
    """
    source, target = Database(source_url), Database(target_url)
    try:
        if _where(source) == _where(target):
            raise OperatorProblem("FROM and TO are the same database.")
        if source.path and not source.path.exists():
            raise OperatorProblem(f"There is no database {source.path}.")
        source.migrate()
        target.migrate()
        with asleep(source), source.transaction() as reading, target.transaction() as writing:
            make_ready(writing, target_url)
            return copy(reading, writing, told)
    finally:
        source.close()
        target.close()


def _where(database: Database) -> Path | sa.URL:
    """What two spellings of one database have in common."""
    return database.path.resolve() if database.path else sa.make_url(database.url)


def copy(reading: Connection, writing: Connection, told: Told) -> list[dict[str, Any]]:
    """Copy every table between two open transactions and compare. Raises OperatorProblem for a difference."""
    if reading.dialect.name == "postgresql":
        reading.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    moved = []
    for rows in raw_tables():
        total = reading.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
        done, checksum = 0, 0
        for values in _parts(reading, rows):
            writing.execute(rows.insert(), values)
            checksum = (checksum + sum(map(_digest, values))) % _SUM
            done += len(values)
            told(rows.name, done, total)
        moved.append({"table": rows.name, "rows": done, "checksum": f"{checksum:064x}"})
    for entry, rows in zip(moved, raw_tables(), strict=True):
        arrived = checksum_of(writing, rows)
        if arrived != (entry["rows"], entry["checksum"]):
            raise OperatorProblem(f"Table {rows.name} did not arrive as it was. Nothing was moved.")
    if writing.dialect.name == "postgresql":
        _set_sequences(writing)
    return moved


def checksum_of(connection: Connection, rows: sa.TableClause) -> tuple[int, str]:
    """How many rows, and a checksum of their contents that is the same in any order and on both kinds of database."""
    count, checksum = 0, 0
    for values in _parts(connection, rows):
        checksum = (checksum + sum(map(_digest, values))) % _SUM
        count += len(values)
    return count, f"{checksum:064x}"


def _parts(connection: Connection, rows: sa.TableClause) -> Iterator[list[dict[str, Any]]]:
    """All rows of a table, some at a time, so that ten million fit in any memory."""
    with connection.execute(sa.select(rows), execution_options={"yield_per": BATCH}) as result:
        for part in result.mappings().partitions():
            yield [dict(row) for row in part]


@contextlib.contextmanager
def asleep(database: Database, now: datetime | None = None) -> Iterator[None]:
    """A block in which no bot works on this database: it would write behind our back.

    Raises RunProblem on SQLite, where one process holds the database and ours now does, and OperatorProblem on
    PostgreSQL, where a bot that was at work a moment ago is taken to be there still.
    """
    if database.is_sqlite:
        from bot.run import alone

        with alone(database):
            yield
        return
    heartbeat = table(tables.Heartbeat)
    with database.transaction() as connection:
        last = connection.execute(sa.select(sa.func.max(heartbeat.c.at))).scalar()
    ago = (now or datetime.now(UTC)) - last if last else AWAKE
    if timedelta(0) <= ago < AWAKE:
        raise OperatorProblem(
            f"The bot was at work {int(ago.total_seconds())} seconds ago. "
            f"Stop it, wait {int(AWAKE.total_seconds() // 60)} minutes, and try again."
        )
    yield


def shown_url(url: str) -> str:
    """A database's address without its password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def make_ready(connection: Connection, url: str) -> None:
    """A database takes the rows of another only when there is nothing in it; raises OperatorProblem otherwise.

    One that was only opened, as doctor does, remembers with which key: that is no data, and makes place here.
    """
    write_setting(connection, KEY_ID, None)
    for rows in raw_tables():
        if connection.execute(sa.select(sa.literal(1)).select_from(rows).limit(1)).first():
            raise OperatorProblem(f"{shown_url(url)} already has data in it ({rows.name}). Use an empty database.")


def _digest(row: dict[str, Any]) -> int:
    plain = json.dumps(row, default=_plain, sort_keys=True, ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(plain.encode()).digest())


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return bytes(value).hex()


def _set_sequences(connection: Connection) -> None:
    """PostgreSQL counts apart from the rows: without this the next new row would get the id of an old one."""
    for t in SQLModel.metadata.sorted_tables:
        if "id" in t.c:
            connection.execute(
                sa.text(
                    f"SELECT setval(pg_get_serial_sequence('\"{t.name}\"', 'id'), "
                    f'GREATEST((SELECT COALESCE(MAX(id), 0) FROM "{t.name}"), 1), '
                    f'EXISTS (SELECT 1 FROM "{t.name}"))'
                )
            )
