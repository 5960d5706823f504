"""A row changed by its number: statements built once for each set of columns, because building one costs more than running it."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.prepared import Prepared


def change(connection: Connection, rows: sa.Table, row_id: int, **values: Any) -> None:
    """Set these columns of the row with that id."""
    statement, names = _statement(rows, tuple(values))
    statement.run(connection, {"p_id": row_id, **dict(zip(names, values.values(), strict=True))})


@cache
def _statement(rows: sa.Table, columns: tuple[str, ...]) -> tuple[Prepared, tuple[str, ...]]:
    """The statement that sets these columns, and the names of its parameters, which may not be the columns' own."""
    names = tuple(f"v_{name}" for name in columns)
    values = {c: sa.bindparam(name, type_=rows.c[c].type) for c, name in zip(columns, names, strict=True)}
    return Prepared(rows.update().where(rows.c.id == sa.bindparam("p_id")).values(values)), names
