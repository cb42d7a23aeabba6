"""Files and their places. `slot` is the documented name: `cv`, `dbs`, `driving_license`, …"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from roadworthy.database import Identity, Instant, metadata

blobs = Table(
    "blobs",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # its name in storage
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),  # base64 of the MD5, as clients send it
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Identity, primary_key=True),
    Column(
        "profile_id",
        ForeignKey("profiles.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("blob_id", ForeignKey("blobs.id"), nullable=False, index=True),
    Column("slot", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)
