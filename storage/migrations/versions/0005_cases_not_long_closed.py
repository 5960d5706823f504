"""Indexes of cases by when they were closed: whoever has had many is read as fast as who has had few."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; the one on the person alone is part of a longer one now."""
    op.create_index("ix_case_of_neighbourhood", "case", ["neighbourhood_id", "closed_at"])
    op.create_index("ix_case_of_person", "case", ["person_id", "closed_at"])
    op.create_index("ix_case_of_claimer", "case", ["claimed_by", "closed_at"])
    op.create_index("ix_case_escalated", "case", ["escalated", "closed_at"])
    op.drop_index("ix_case_person_id", "case")
