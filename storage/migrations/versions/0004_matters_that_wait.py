"""An index of the matters that wait for a yes, by when we asked."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    waits = sa.text("dialogue = 'help'")
    op.create_index("ix_talk_waits", "talk", ["asked_at"], sqlite_where=waits, postgresql_where=waits)
