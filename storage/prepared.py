"""Statements compiled once and run on the driver itself, for what happens with every message.

SQLAlchemy finds, binds and wraps a statement anew at each execution; measured on SQLite that costs some 60 us, ten times
what the database needs. A `Prepared` keeps what never changes between two runs (the text, the order of the parameters, how
each column is sealed or written) and does only the rest. Everything else, also the transaction, stays SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.dml import Insert, UpdateBase
from sqlalchemy.sql.selectable import Select
from sqlmodel.sql.sqltypes import UTCDateTime

Row = dict[str, Any]
Statement = Select[Any] | UpdateBase
Process = Callable[[Any], Any]

_NOTHING = "SELECT 1 WHERE 1 = 0"  # what IN and NOT IN mean for an empty list


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement as one driver takes it: its text, what each parameter is made of, and what each column becomes."""

    sql: str
    places: tuple[str, ...] | None  # the parameters by place, None where the driver takes them by name
    takes: tuple[tuple[str, Process], ...]  # parameters that are written differently than they are given
    constants: Mapping[str, Any]  # defaults of columns that an INSERT did not name
    names: tuple[str, ...]
    gives: tuple[tuple[str, Process], ...]  # columns that are read differently than they are stored


class Prepared:
    """One statement with bind parameters. `lists` names those that stand for a list (`IN`)."""

    __slots__ = ("_is_insert", "_lists", "_ready", "_statement")

    def __init__(self, statement: Statement, lists: Sequence[str] = ()) -> None:
        """It is compiled at its first run, for that kind of database."""
        self._statement = statement
        self._is_insert = isinstance(statement, Insert)
        self._lists = tuple(lists)
        self._ready: dict[Any, _Ready] = {}

    def all(self, connection: Connection, args: Mapping[str, Any] | None = None) -> list[Row]:
        """Every row, by column name. Raises what SQLAlchemy raises, with the parameters hidden."""
        ready, cursor = self._run(connection, args or {})
        names, gives = ready.names, ready.gives
        rows = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
        for row in rows:
            for name, process in gives:
                value = row[name]
                if value is not None:
                    row[name] = process(value)
        return rows

    def first(self, connection: Connection, args: Mapping[str, Any] | None = None) -> Row | None:
        """The first row, or None."""
        rows = self.all(connection, args)
        return rows[0] if rows else None

    def one(self, connection: Connection, args: Mapping[str, Any] | None = None) -> Row:
        """The one row. Raises NoResultFound when there is none."""
        rows = self.all(connection, args)
        if not rows:
            raise sa.exc.NoResultFound("No row was found when one was required")
        return rows[0]

    def scalar(self, connection: Connection, args: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        row = self.first(connection, args)
        return next(iter(row.values())) if row else None

    def run(self, connection: Connection, args: Mapping[str, Any]) -> int:
        """Write; returns how many rows it touched."""
        return int(self._run(connection, args)[1].rowcount)

    def _run(self, connection: Connection, args: Mapping[str, Any]) -> tuple[_Ready, Any]:
        dialect = connection.dialect
        shape = (dialect.name, *(args if self._is_insert else (len(args[name]) for name in self._lists)))
        ready = self._ready.get(shape)
        if ready is None:
            ready = self._ready[shape] = self._made(dialect, args)
        given = {**ready.constants, **args}
        for name in self._lists:
            given |= {f"{name}_{n}": value for n, value in enumerate(args[name])}
        for name, process in ready.takes:
            given[name] = process(given[name])
        values = given if ready.places is None else [given[name] for name in ready.places]
        for listener in connection.engine.dispatch.before_cursor_execute:  # who watches statements sees these as well
            listener(connection, None, ready.sql, values, None, False)
        driver: Any = connection.connection.driver_connection
        errors: Any = dialect.dbapi
        try:
            return ready, driver.execute(ready.sql, values)
        except errors.Error as wrong:
            raise sa.exc.DBAPIError.instance(
                ready.sql, None, wrong, errors.Error, hide_parameters=True, dialect=dialect
            ) from wrong

    def _made(self, dialect: Dialect, args: Mapping[str, Any]) -> _Ready:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=list(args) if self._is_insert else None)
        sql, places = compiled.string, compiled.positiontup and list(compiled.positiontup)
        constants: dict[str, Any] = {}
        takes: dict[str, Process] = {}  # by name: a parameter may stand in several places
        for bind, name in compiled.bind_names.items():
            process = _writes(bind.type, dialect)
            if bind.expanding:
                listed = args[name] if name in self._lists else bind.value
                each = [f"{name}_{n}" for n in range(len(listed))]
                signs = ", ".join("?" if places else f"%({one})s" for one in each)
                sql = sql.replace(f"(__[POSTCOMPILE_{name}])", f"({signs or _NOTHING})")
                if places:
                    at = places.index(name)
                    places[at : at + 1] = each
                if name not in self._lists:
                    constants |= {one: process(value) for one, value in zip(each, listed, strict=True)}
            elif not bind.required:
                constants[name] = process(bind.value)
            elif process is not _as_it_is:
                takes[name] = process
        for column in compiled.insert_prefetch if self._is_insert else ():
            if not column.default.is_scalar:
                raise TypeError(f"{column} is made anew for each row: name it in the INSERT")
            process = _writes(column.type, dialect)
            constants[column.key] = process(column.default.arg)
        columns = list(getattr(self._statement, "exported_columns", ()))
        reads = [(c.key, c.type.dialect_impl(dialect).result_processor(dialect, None)) for c in columns]
        return _Ready(
            sql,
            tuple(places) if places else None if compiled.positiontup is None else (),
            tuple(takes.items()),
            constants,
            tuple(name for name, _ in reads),
            tuple((name, process) for name, process in reads if process is not None),
        )


def _writes(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process:
    """What a value of this type becomes on its way in."""
    if isinstance(kind, UTCDateTime) and dialect.name == "sqlite":
        return _moment
    return kind.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: datetime | None) -> str | None:
    """A moment as SQLAlchemy writes it for SQLite, in a fifth of the time; naive ones are refused here as well."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a moment needs its zone")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
