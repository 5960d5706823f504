"""An index of the messages that wait, in order: the oldest is found without passing by all that were ever handled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    waits = sa.text("handled_at IS NULL")
    op.create_index("ix_incoming_oldest", "incoming", ["id"], sqlite_where=waits, postgresql_where=waits)
