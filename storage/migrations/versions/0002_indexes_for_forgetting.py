"""Indexes for forgetting: what somebody wrote, and what is past its term, are found without reading everything."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_index("ix_case_words_author_id", "case_words", ["author_id"])
    op.create_index("ix_audit_at", "audit", ["at"])
