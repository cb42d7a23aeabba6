"""Downloads of everything that is held about a driver."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity, Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "data_exports",
        sa.Column("id", Identity, nullable=False),
        sa.Column("user_id", Identity, nullable=False),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("blob_id", Identity),
        sa.Column("expires_at", Instant()),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name=op.f("fk_data_exports_blob_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_data_exports_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_exports")),
        sqlite_autoincrement=True,
    )
    for name in ("user_id", "requested_at", "blob_id", "expires_at"):
        op.create_index(op.f(f"ix_data_exports_{name}"), "data_exports", [name])
