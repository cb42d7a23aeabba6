"""Uploads that can be resumed, and the parts that have come of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from roadworthy.database import Identity, Instant, metadata

uploads = Table(
    "uploads",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # in its URL; nobody guesses it
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("metadata", Text, nullable=False),  # as the client sent it
    Column("byte_size", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),  # bytes that are in storage
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),  # past: it takes no more, and goes
    Column(
        "blob_id", ForeignKey("blobs.id", ondelete="CASCADE"), index=True
    ),  # what it became, once it was whole
    sqlite_autoincrement=True,
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("upload_id", ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key", Text, nullable=False, unique=True),  # its name in storage
    Column("start", BigInteger, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("stored_at", Instant),  # null: its bytes may not be there, and do not count
    sqlite_autoincrement=True,
)
