"""Work that waits, and work that failed for good."""

from sqlalchemy import Column, Index, Integer, Table, Text

from roadworthy.database import Identity, Instant, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("recurring", Text, unique=True),  # its kind, for the one row of work that comes again
    Column("run_at", Instant, nullable=False),
    Column("leased_until", Instant),  # a worker has it until then, or died with it
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("died_at", Instant),  # given up: the dead letter
    Column("created_at", Instant, nullable=False),
    Index("ix_jobs_due", "kind", "died_at", "run_at"),
    sqlite_autoincrement=True,
)
