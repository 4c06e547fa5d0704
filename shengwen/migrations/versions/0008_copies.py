"""Fingerprints of texts, to find copies

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "copy_groups",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=340), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("skeleton", sa.BigInteger(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("bands", sa.LargeBinary(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copy_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_copy_groups_name")),
    )
    op.create_index(op.f("ix_copy_groups_author"), "copy_groups", ["author"])
    op.create_table(
        "copy_members",
        sa.Column("mention_id", sa.String(length=300), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("likeness", sa.String(length=10), nullable=True),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("skeleton", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("mention_id", name=op.f("pk_copy_members")),
    )
    for column in ("group_id", "skeleton", "author", "seen_at"):
        op.create_index(op.f(f"ix_copy_members_{column}"), "copy_members", [column])
    op.create_table(
        "copy_keys",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "group_id", name=op.f("pk_copy_keys")),
    )


def downgrade() -> None:
    op.drop_table("copy_keys")
    op.drop_table("copy_members")
    op.drop_table("copy_groups")
