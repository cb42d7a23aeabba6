"""Throttling: tries that are counted, and from where accounts are signed in to."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity, Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "known_addresses",
        sa.Column("user_id", Identity, nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_known_addresses_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "place", name=op.f("pk_known_addresses")),
    )
    op.create_index(op.f("ix_known_addresses_seen_at"), "known_addresses", ["seen_at"])
    op.create_table(
        "throttles",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("clear_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
    )
    op.create_index(op.f("ix_throttles_clear_at"), "throttles", ["clear_at"])
