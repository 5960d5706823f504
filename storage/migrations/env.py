"""Alembic's way in: always with a connection handed over by `Database.migrate` (or the one that makes a new revision)."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel

from storage import tables  # the tables register themselves on import
from storage.seal import Sealed, SealedJson

assert tables.Person.metadata is SQLModel.metadata


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """A sealed column is bytes to the database; a migration must not depend on our types of another day."""
    return "sa.LargeBinary()" if kind == "type" and isinstance(item, Sealed | SealedJson) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
