"""The database: opened, migrated, and asked for transactions that know how to fail."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from storage import tables

BUSY_MS = 30_000  # how long a writer of another process waits; a bot with a long queue leaves it only small gaps
STATEMENTS = 512  # of SQLite that are kept compiled; we have about three hundred, and the driver would keep 128
MIGRATIONS = Path(__file__).parent / "migrations"
# A file is named after its revision.
VERSIONS = frozenset(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("0*.py"))
NEWEST = max(VERSIONS)

BEGIN = "BEGIN IMMEDIATE"  # a writer waits at the start, not half-way where it would fail
COMMIT = "COMMIT"

_CROSSED = frozenset({"40P01", "40001"})  # deadlock detected, serialization failure
_HOOD_LOCK = sa.text("SELECT pg_advisory_xact_lock(7412501, :hood)")


class DatabaseProblem(RuntimeError):
    """The database cannot be used; the message says why and what to do."""


class Conflict(Exception):
    """A guarded write found that somebody was first. The turn is rolled back and thought again."""


class Database:
    """One open database. `transaction()` gives a connection whose block is one transaction."""

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        """Opens `sqlite:///…` or `postgresql+psycopg://…`. Raises DatabaseProblem for another scheme or a bad path.

        `synchronous` is SQLite's: FULL is safe when the power goes; only a made-up neighbourhood may do with OFF.
        """
        self.url = url
        try:
            parsed = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):  # the second for a port that is no number
            raise DatabaseProblem("DATABASE_URL is not a database address. Use sqlite:///data/binnenbuurt.db") from None
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if parsed.drivername not in ("sqlite", "postgresql+psycopg") or (self.is_sqlite and parsed.host):
            raise DatabaseProblem("DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://")
        if self.is_sqlite and (parsed.database in (None, "", ":memory:") or parsed.query):
            raise DatabaseProblem("DATABASE_URL must name a file, and nothing after it: sqlite:///data/binnenbuurt.db")
        self.path = Path(str(parsed.database)) if self.is_sqlite else None
        if self.path:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as wrong:
                raise DatabaseProblem(f"The folder {self.path.parent} cannot be made: {wrong.strerror}.") from None
        try:
            self.engine = (
                _sqlite_engine(url, synchronous=synchronous)
                if self.is_sqlite
                else sa.create_engine(url, pool_pre_ping=True, pool_size=4, hide_parameters=True)
            )
        except ImportError:
            raise DatabaseProblem(
                'The driver of PostgreSQL is not there. Run: pip install "binnenbuurt[postgres]"'
            ) from None
        self._open: list[Connection] = []
        """To SQLite, between two transactions: a visit to the pool costs more than one."""

    def migrate(self) -> None:
        """Bring the tables up to this version.

        Raises DatabaseProblem when the database is not ours, is of a newer version, or cannot be written; its tables
        are then as they were.
        """
        self._make_file()
        engine = _sqlite_engine(self.url, foreign_keys=False) if self.is_sqlite else self.engine
        try:
            with engine.begin() as connection:
                if not self.is_sqlite:  # two processes that start together: one migrates, the other waits
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7412500)"))
                if not sa.inspect(connection).get_table_names():
                    make(connection)
                elif (version := _version(connection)) not in VERSIONS:
                    raise DatabaseProblem(
                        "The database is of a newer Binnenbuurt, or of something else. "
                        "Update Binnenbuurt, or check DATABASE_URL."
                    )
                elif version != NEWEST:
                    upgrade(connection)
        except sa.exc.DBAPIError as wrong:
            raise DatabaseProblem(
                f"The database cannot be opened: {wrong.orig}. Check DATABASE_URL, its folder, and the room on the disk."
            ) from None
        finally:
            if engine is not self.engine:
                engine.dispose()

    def _make_file(self) -> None:
        """A new SQLite file is its owner's from the first byte, and so are the log and index that SQLite puts beside it."""
        if self.path is not None:
            with contextlib.suppress(OSError):  # it is there already, or SQLite will say why it cannot be
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def transaction(self) -> contextlib.AbstractContextManager[Connection]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Raises Conflict when PostgreSQL ended it because of another one: nothing was wrong with it, so it is thought again.
        """
        return _OnSqlite(self.engine, self._open) if self.is_sqlite else self._on_postgresql()

    @contextlib.contextmanager
    def _on_postgresql(self) -> Iterator[Connection]:
        try:
            with self.engine.begin() as connection:  # the pool asks first whether the server is still there
                yield connection
        except sa.exc.OperationalError as wrong:
            if getattr(wrong.orig, "sqlstate", "") in _CROSSED:
                raise Conflict from None
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look at one moment, for what writes nothing: on SQLite it waits for no writer and holds none up."""
        with self.engine.connect().execution_options(reading=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        while self._open:
            self._open.pop().close()
        self.engine.dispose()


class _OnSqlite(contextlib.AbstractContextManager[Connection]):
    """A transaction on SQLite. SQLAlchemy sees one long one; the driver begins and ends those inside it, at a third of the
    cost."""

    __slots__ = ("_connection", "_engine", "_open")

    def __init__(self, engine: Engine, open_: list[Connection]) -> None:
        self._engine, self._open = engine, open_

    def __enter__(self) -> Connection:
        try:
            self._connection, is_new = self._open.pop(), False
        except IndexError:
            self._connection, is_new = self._connected(), True
        try:
            if is_new:
                self._connection.begin()
            else:
                _send(self._connection, BEGIN)
        except BaseException:
            self._connection.close()
            raise
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._connection.close()  # which rolls back
            return
        try:
            _send(self._connection, COMMIT)
        except BaseException:
            self._connection.close()
            raise
        self._open.append(self._connection)

    def _connected(self) -> Connection:
        connection = self._engine.connect()
        return connection.execution_options(driver=connection.connection.driver_connection)


def driver(connection: Connection) -> Any:
    """The driver's own connection; one of ours to SQLite has it at hand, because the way there through the pool is long."""
    return connection.get_execution_options().get("driver") or connection.connection.driver_connection


def _send(connection: Connection, frame: str) -> None:
    """Begin or end a transaction of SQLite. Raises what SQLAlchemy raises."""
    try:
        driver(connection).execute(frame)
    except sqlite3.Error as wrong:
        raise wrapped(frame, wrong, connection.dialect) from wrong


def wrapped(statement: str, wrong: Exception, dialect: sa.Dialect) -> BaseException:
    """An error of the driver as SQLAlchemy raises it, without the parameters: those are people's words."""
    errors: Any = dialect.dbapi
    return sa.exc.DBAPIError.instance(statement, None, wrong, errors.Error, hide_parameters=True, dialect=dialect)


@contextlib.contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """A part of a transaction on SQLite: undone alone by an exception of its own."""
    raw = driver(connection)
    raw.execute("SAVEPOINT part")  # not SQLAlchemy's, which costs as much as ten statements
    try:
        yield
    except Exception:
        raw.execute("ROLLBACK TO part")
        raise
    raw.execute("RELEASE part")


def hold(connection: Connection, hood: int | None) -> None:
    """One transaction at a time in a neighbourhood: its people write to each other's rows, and two would cross.

    Neighbourhoods do not wait for each other. SQLite has one writer anyway.
    """
    if hood is not None and connection.dialect.name == "postgresql":
        connection.execute(_HOOD_LOCK, {"hood": hood})


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def make(connection: Connection) -> None:
    """Today's tables on an empty database, without the road that led to them; a test looks that both end the same."""
    tables.Person.metadata.create_all(connection)
    connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(sa.text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})


def upgrade(connection: Connection) -> None:
    """Bring older tables to today's version. Raises DatabaseProblem when that would leave rows that point nowhere."""
    from alembic import command  # 15 MB and a quarter of a second, which a start with nothing to do is spared
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite" and connection.execute(sa.text("PRAGMA foreign_key_check")).first():
        raise DatabaseProblem("The migration left rows that point nowhere. Restore the last backup.")


def _sqlite_engine(url: str, *, foreign_keys: bool = True, synchronous: str = "FULL") -> Engine:
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000, "cached_statements": STATEMENTS},
        pool_reset_on_return=None,  # every transaction of ours has ended by then
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # else the driver begins transactions by itself, too late
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _began(connection: Connection) -> None:
        _send(connection, "BEGIN" if connection.get_execution_options().get("reading") else BEGIN)

    return engine
