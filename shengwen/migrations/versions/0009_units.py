"""Alerts count copies as the classify stage tells them, not by a fingerprint of their own

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("alert_facts", sa.Column("copies", sa.String(length=340), nullable=True))
    # The copies of the last day must not count one by one because the program was upgraded.
    op.execute(
        "UPDATE alert_facts SET copies = (SELECT g.name FROM copy_members m JOIN copy_groups g ON g.id = m.group_id "
        "WHERE m.mention_id = alert_facts.mention_id) WHERE any_negative"
    )
    op.drop_column("alert_facts", "simhash")


def downgrade() -> None:
    op.add_column("alert_facts", sa.Column("simhash", sa.BigInteger(), nullable=True))
    op.drop_column("alert_facts", "copies")
