"""When a person logged in to a platform, and since when that is worth nothing

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("crawl_platforms", sa.Column("login_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("crawl_platforms", sa.Column("login_lost_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("crawl_platforms", "told_at")  # was written and never read


def downgrade() -> None:
    op.add_column("crawl_platforms", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("crawl_platforms", "login_lost_at")
    op.drop_column("crawl_platforms", "login_at")
