"""Files, their places, what was handed in, and who saw it.

`slot` and `kind` are the documented names: `cv`, `dbs`, `driving_license`, …
"""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, Table, Text

from roadworthy.database import Identity, Instant, metadata

blobs = Table(
    "blobs",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # its name in storage
    Column("filename", Text, nullable=False),  # for people, never a path
    Column("content_type", Text, nullable=False),  # as the client says
    Column("byte_size", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),  # base64 of the MD5, as clients send it
    Column("created_at", Instant, nullable=False),
    Column("user_id", ForeignKey("users.id"), index=True),  # who may attach it
    Column("service_name", Text),  # the storage it went to
    Column("detected_type", Text),  # as its bytes say: null until they were inspected
    Column("uploaded_at", Instant),  # null: its bytes are not, or no longer, in storage
    Column("unattached_since", Instant, index=True),  # it may be attached for a day, then it goes
    Column("purged_at", Instant, index=True),  # its bytes go, and are shown to nobody
    sqlite_autoincrement=True,  # an id is never given twice: signed ids name it
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
    Column("blob_id", ForeignKey("blobs.id"), nullable=False),
    Column("slot", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("uq_attachments_blob_id", "blob_id", unique=True),
    sqlite_autoincrement=True,
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("blob_id", ForeignKey("blobs.id"), nullable=False, index=True),  # the evidence
    Column("issued_on", Date),
    Column("expires_on", Date),
    Column("reference_number", Text),
    Column("created_at", Instant, nullable=False),
    Column("withdrawn_at", Instant),  # taken out of its slot before anybody decided on it
    sqlite_autoincrement=True,
)

file_views = Table(
    "file_views",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),  # whose file; outlives both
    Column("blob_id", BigInteger, nullable=False, index=True),
    Column("viewer_kind", Text, nullable=False),  # driver, staff
    Column("viewer_id", BigInteger, nullable=False),
    Column("manner", Text, nullable=False),  # attachment, inline
    Column("viewed_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)
