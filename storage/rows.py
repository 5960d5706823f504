"""A row changed by its number: statements built once for each set of columns, because building one costs more than running it."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.prepared import Prepared


def change(connection: Connection, rows: sa.Table, row_id: int, **values: Any) -> None:
    """Set these columns of the row with that id."""
    given = {f"v_{name}": value for name, value in values.items()}
    _statement(rows, tuple(values)).run(connection, {"p_id": row_id, **given})


@cache
def _statement(rows: sa.Table, names: tuple[str, ...]) -> Prepared:
    columns = {name: sa.bindparam(f"v_{name}", type_=rows.c[name].type) for name in names}
    return Prepared(rows.update().where(rows.c.id == sa.bindparam("p_id")).values(columns))
