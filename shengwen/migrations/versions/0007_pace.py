"""Pages by day, targets with their pace, places to go on from, what each hour brought

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ingest.state import UtcDateTime

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COUNTS = ("runs", "short", "planned", "got", "new", "duplicate", "dead", "unreached", "pages")


def upgrade() -> None:
    op.create_table(
        "crawl_days",
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "day", name=op.f("pk_crawl_days")),
    )
    op.create_table(
        "crawl_targets",
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("looked_at", UtcDateTime(), nullable=False),
        sa.Column("every", sa.Float(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "key", name=op.f("pk_crawl_targets")),
    )
    op.create_table(
        "crawl_places",
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("kept_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "key", name=op.f("pk_crawl_places")),
    )
    op.create_table(
        "source_hours",
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("query", sa.String(length=400), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "query", "hour", name=op.f("pk_source_hours")),
    )
    op.create_index(op.f("ix_source_hours_hour"), "source_hours", ["hour"])


def downgrade() -> None:
    op.drop_table("source_hours")
    op.drop_table("crawl_places")
    op.drop_table("crawl_targets")
    op.drop_table("crawl_days")
