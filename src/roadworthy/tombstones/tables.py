"""Numbers and times only: a tombstone outlives the person, so it may not tell who it was."""

from sqlalchemy import BigInteger, Column, Table, Text

from roadworthy.database import Identity, Instant, metadata

tombstones = Table(
    "tombstones",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("kind", Text, nullable=False),  # token, password, account
    Column("jti", Text),  # of a token
    Column("expires_at", Instant, index=True),  # of a token: after it the row is not needed
    Column("user_id", BigInteger),  # of the others; outlives the user
    Column("happened_at", Instant),
    sqlite_autoincrement=True,
)

backup_folders = Table(
    "backup_folders",
    metadata,
    Column("folder", Text, primary_key=True),  # of one of the last backups
    Column("backed_up_at", Instant, nullable=False),
)

lineage = Table(
    "lineage",
    metadata,
    Column("name", Text, primary_key=True),  # random; the last is this database's
    Column("position", BigInteger, nullable=False),  # those before: of the backups it came from
)
