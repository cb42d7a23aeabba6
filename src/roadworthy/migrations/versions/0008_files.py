"""Files: whose a blob is and whether its bytes are there, submissions, who saw what."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity, Instant

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    whose = sa.ForeignKey("users.id", name=op.f("fk_blobs_user_id"))
    op.add_column("blobs", sa.Column("user_id", Identity, whose), inline_references=True)
    for name in ("service_name", "detected_type"):
        op.add_column("blobs", sa.Column(name, sa.Text()))
    for name in ("uploaded_at", "unattached_since", "purged_at"):
        op.add_column("blobs", sa.Column(name, Instant()))
    for name in ("user_id", "unattached_since", "purged_at"):
        op.create_index(op.f(f"ix_blobs_{name}"), "blobs", [name])
    op.drop_index(op.f("ix_attachments_blob_id"), "attachments")
    op.create_index("uq_attachments_blob_id", "attachments", ["blob_id"], unique=True)
    op.create_table(
        "submissions",
        sa.Column("id", Identity, nullable=False),
        sa.Column("user_id", Identity, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("blob_id", Identity, nullable=False),
        sa.Column("issued_on", sa.Date()),
        sa.Column("expires_on", sa.Date()),
        sa.Column("reference_number", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("withdrawn_at", Instant()),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name=op.f("fk_submissions_blob_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_submissions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_submissions_blob_id"), "submissions", ["blob_id"])
    op.create_index(op.f("ix_submissions_user_id"), "submissions", ["user_id"])
    op.create_table(
        "file_views",
        sa.Column("id", Identity, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), nullable=False),
        sa.Column("viewer_kind", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.BigInteger(), nullable=False),
        sa.Column("manner", sa.Text(), nullable=False),
        sa.Column("viewed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_views")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_file_views_user_id"), "file_views", ["user_id"])
    op.create_index(op.f("ix_file_views_blob_id"), "file_views", ["blob_id"])
