"""Runs the steps that a database has not had yet, with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_LOCK = 0x524F4144
"""So that two who migrate one PostgreSQL at once wait for each other."""


def wait_for_others(connection: Connection) -> None:
    """Until nobody else migrates, nor may before this transaction ends; SQLite waits by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def upgrade(connection: Connection, grant_to: str | None) -> None:
    """Every step up to the newest, in the caller's transaction; see `migrate`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if grant_to and connection.dialect.name == "postgresql":
        _grant(connection, grant_to)


def _grant(connection: Connection, user: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(user)
    for what in (
        "USAGE ON SCHEMA public",
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
        "USAGE ON ALL SEQUENCES IN SCHEMA public",
    ):
        connection.execute(text(f"GRANT {what} TO {quoted}"))
