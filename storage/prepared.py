"""Statements compiled once and run on the driver itself, for what happens with every message.

SQLAlchemy finds, binds and wraps a statement anew at each execution; measured on SQLite that costs some 60 us, ten times
what the database needs. A `Prepared` keeps what never changes between two runs (the text, the order of the parameters, how
each column is sealed or written) and does only the rest. Everything else stays SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.dml import Insert, UpdateBase
from sqlalchemy.sql.selectable import CompoundSelect, Select
from sqlmodel.sql.sqltypes import UTCDateTime

from storage.database import driver, wrapped
from storage.seal import Sealed, SealedJson, keeps_names

Row = dict[str, Any]
Statement = Select[Any] | CompoundSelect[Any] | UpdateBase
Process = Callable[[Any], Any]

_NOTHING = "SELECT 1 WHERE 1 = 0"  # what IN and NOT IN mean for an empty list


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement as one driver takes it: its text, what each parameter is made of, and what each column becomes."""

    sql: str
    by_place: bool  # how the driver takes parameters; else by name
    takes: tuple[str, ...]  # the parameters, in their order
    values: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # those of what is given, in that order
    writes: tuple[tuple[int, Process], ...]  # the places of those that are written differently than they are given
    constants: Mapping[str, Any]  # what was not given: defaults of columns that an INSERT did not name
    names: tuple[str, ...]
    gives: tuple[tuple[str, Process], ...]  # columns that are read differently than they are stored
    made: Callable[[tuple[Any, ...]], Any]  # what a row becomes; with `make`, kept for the same row again


Watcher = Callable[[str, Any], object]
_WATCHERS: dict[Engine, list[Watcher]] = {}


@contextmanager
def watched(engine: Engine, watcher: Watcher) -> Iterator[None]:
    """Within this block `watcher` sees every statement and its parameters, just before it runs; what it raises stops that."""

    def seen(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        watcher(statement, parameters)

    sa.event.listen(engine, "before_cursor_execute", seen)
    _WATCHERS.setdefault(engine, []).append(watcher)
    try:
        yield
    finally:
        _WATCHERS[engine].remove(watcher)
        if not _WATCHERS[engine]:
            del _WATCHERS[engine]
        sa.event.remove(engine, "before_cursor_execute", seen)


class Prepared:
    """One statement with bind parameters. `lists` names those that stand for a list (`IN`)."""

    __slots__ = ("_is_insert", "_lists", "_make", "_ready", "_statement")

    def __init__(
        self, statement: Statement, lists: Sequence[str] = (), make: Callable[[Row], Any] | None = None
    ) -> None:
        """It is compiled at its first run, for that kind of database. `make` is what `made` makes of a row."""
        self._statement = statement
        self._make = make
        self._is_insert = isinstance(statement, Insert)
        self._lists = tuple(lists)
        self._ready: dict[Any, _Ready] = {}

    def all(self, connection: Connection, args: Mapping[str, Any] | None = None) -> list[Row]:
        """Every row, by column name. Raises what SQLAlchemy raises, with the parameters hidden."""
        ready, cursor = self._run(connection, args or {})
        found = cursor.fetchall()
        if not found:
            return []
        return [_row(ready.names, ready.gives, values) for values in found]

    def made(self, connection: Connection, args: Mapping[str, Any]) -> list[Any]:
        """What `make` made of every row. The same row gives the same object, so it must be one that never changes.

        It holds names that were opened, so it is forgotten when those are.
        """
        ready, cursor = self._run(connection, args)
        return list(map(ready.made, cursor.fetchall()))

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
        shape: Any = dialect.name
        if self._is_insert:
            shape = (shape, *args)
        elif self._lists:
            shape = (shape, *(len(args[name]) for name in self._lists))
        ready = self._ready.get(shape)
        if ready is None:
            ready = self._ready[shape] = self._made(dialect, args)
        given = {**ready.constants, **args} if ready.constants else args
        if self._lists:
            given = {**given, **{f"{name}_{n}": one for name in self._lists for n, one in enumerate(args[name])}}
        values: Any = ready.values(given)
        if ready.writes:
            values = list(values)
            for place, process in ready.writes:
                values[place] = process(values[place])
        if not ready.by_place:
            values = dict(zip(ready.takes, values, strict=True))
        if _WATCHERS:
            for watcher in _WATCHERS.get(connection.engine, ()):
                watcher(ready.sql, values)
        try:
            raw = connection.get_execution_options().get("driver")  # as `driver` does, once less on the way
            return ready, (raw or driver(connection)).execute(ready.sql, values)
        except Exception as wrong:
            errors: Any = dialect.dbapi
            if not isinstance(wrong, errors.Error):
                raise
            raise wrapped(ready.sql, wrong, dialect) from wrong

    def _made(self, dialect: Dialect, args: Mapping[str, Any]) -> _Ready:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=list(args) if self._is_insert else None)
        sql = compiled.string
        by_place = compiled.positiontup is not None
        places = list(compiled.positiontup or ()) if by_place else list(compiled.params)
        constants: dict[str, Any] = {}
        writes: dict[str, Process | None] = {}
        for bind, name in compiled.bind_names.items():
            process = _writes(bind.type, dialect)
            if bind.expanding:
                listed = args[name] if name in self._lists else bind.value
                each = [f"{name}_{n}" for n in range(len(listed))]
                signs = ", ".join("?" if by_place else f"%({one})s" for one in each)
                sql = sql.replace(f"(__[POSTCOMPILE_{name}])", f"({signs or _NOTHING})")
                at = places.index(name)
                places[at : at + 1] = each
                writes |= dict.fromkeys(each, process)
                if name not in self._lists:
                    constants |= dict(zip(each, listed, strict=True))
            else:
                writes[name] = process
                if not bind.required:
                    constants[name] = bind.value
        for column in compiled.insert_prefetch if self._is_insert else ():
            if not column.default.is_scalar:
                raise TypeError(f"{column} is made anew for each row: name it in the INSERT")
            constants[column.key] = column.default.arg
        takes = tuple(places)
        reads = [(c.key, _reads(c.type, dialect)) for c in getattr(self._statement, "exported_columns", ())]
        names = tuple(name for name, _ in reads)
        gives = tuple((name, process) for name, process in reads if process is not None)
        return _Ready(
            sql,
            by_place,
            takes,
            _getter(takes),
            tuple((at, process) for at, name in enumerate(places) if (process := writes[name]) is not None),
            constants,
            names,
            gives,
            _maker(names, gives, self._make),
        )


def _row(names: tuple[str, ...], gives: tuple[tuple[str, Process], ...], values: tuple[Any, ...]) -> Row:
    """One row by column name, each value as it was given."""
    row = dict(zip(names, values, strict=True))
    for name, process in gives:
        if (value := row[name]) is not None:
            row[name] = process(value)
    return row


def _getter(takes: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """The values of these names as a tuple; `itemgetter` gives one for two names and more."""
    return itemgetter(*takes) if len(takes) > 1 else lambda given: tuple(given[name] for name in takes)


def _maker(
    names: tuple[str, ...], gives: tuple[tuple[str, Process], ...], make: Callable[[Row], Any] | None
) -> Callable[[tuple[Any, ...]], Any]:
    if make is None:
        return lambda values: _row(names, gives, values)
    return keeps_names(lambda values: make(_row(names, gives, values)))


def _writes(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    """What a value of this type becomes on its way in; None when it stays as it is."""
    if isinstance(kind, (Sealed, SealedJson)):
        return kind.seal
    if isinstance(kind, UTCDateTime) and dialect.name == "sqlite":
        return _moment
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reads(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    """What a value of this type becomes on its way out; None when it stays as it is."""
    if isinstance(kind, (Sealed, SealedJson)):
        return kind.open
    if isinstance(kind, UTCDateTime) and dialect.name == "sqlite":
        return _utc
    if isinstance(kind, sa.JSON) and dialect.name == "sqlite":
        return orjson.loads
    return kind.dialect_impl(dialect).result_processor(dialect, None)


@lru_cache(maxsize=256)  # the moment of a turn is written many times
def _moment(value: datetime | None) -> str | None:
    """A moment as SQLAlchemy writes it for SQLite; naive ones are refused here as well."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a moment needs its zone")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    written = orjson.dumps(value)[1 : -len('+00:00"')].decode()  # a quarter of what isoformat takes
    return f"{written[:10]} {written[11:]}{'' if value.microsecond else '.000000'}"


def _utc(text: str) -> datetime:
    """A moment as SQLite keeps it; aware UTC."""
    return datetime.fromisoformat(text + "+00:00")
