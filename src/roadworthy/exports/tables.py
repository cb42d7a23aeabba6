"""What drivers asked to download: each is a row, and once it is made a file in storage."""

from sqlalchemy import Column, ForeignKey, Table

from roadworthy.database import Identity, Instant, metadata

data_exports = Table(
    "data_exports",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("requested_at", Instant, nullable=False, index=True),
    Column("blob_id", ForeignKey("blobs.id"), index=True),  # null: it is still to be made
    Column("expires_at", Instant, index=True),  # then it goes
    sqlite_autoincrement=True,
)
