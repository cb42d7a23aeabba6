"""Accounts: sessions, links sent by mail, and what an account has been through."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity, Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("confirmed_at", "password_changed_at", "closed_at"):
        op.add_column("users", sa.Column(name, Instant()))
    op.create_table(
        "sessions",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("user_id", Identity, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_table(
        "mailed_links",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("user_id", Identity, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_mailed_links_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_mailed_links")),
    )
    op.create_index(op.f("ix_mailed_links_user_id"), "mailed_links", ["user_id"])
    op.create_index(op.f("ix_mailed_links_expires_at"), "mailed_links", ["expires_at"])
