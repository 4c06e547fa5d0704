"""Facts are found by their product, for the name that others give to it

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_alert_facts_product"), "alert_facts", ["product"])


def downgrade() -> None:
    op.drop_index(op.f("ix_alert_facts_product"), table_name="alert_facts")
