"""Tombstones: what a restored backup must not revive, and where a copy of them is kept."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity, Instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "tombstones",
        sa.Column("id", Identity, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text()),
        sa.Column("expires_at", Instant()),
        sa.Column("user_id", sa.BigInteger()),
        sa.Column("happened_at", Instant()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tombstones_expires_at"), "tombstones", ["expires_at"])
    op.create_table(
        "backup_folders",
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("backed_up_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("folder", name=op.f("pk_backup_folders")),
    )
