"""The database's schema, step by step. Works on both databases; every step is one transaction."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from roadworthy.database.postgresql import AWAY, postgresql_engine
from roadworthy.database.sqlite import sqlite_engine

T = TypeVar("T")

HEAD = "0001"
"""The schema that this code works with."""

_LOCK = 0x524F4144
"""So that two who migrate one PostgreSQL at once wait for each other."""


class MigrationError(Exception):
    """The database cannot be brought to, or used at, the schema of this code."""


def migrate(url: str, *, grant_to: str | None = None) -> tuple[str | None, str]:
    """Bring the database at `url` to `HEAD`: the versions before and after.

    On PostgreSQL `grant_to` names the user who serves, when another one owns the tables.
    Raises `MigrationError`.
    """
    return _run(url, lambda connection: _upgrade(connection, grant_to))


def current_version(url: str) -> str | None:
    """The schema version of the database at `url`, `None` when it is empty."""
    return _run(url, _version)


def require_known(version: str | None) -> None:
    """Raise `MigrationError` when `version` is newer than this code."""
    known = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        raise MigrationError(
            f"the database is at version {version}, newer than this release knows ({HEAD}): "
            "install the release that made it"
        )


def _upgrade(connection: Connection, grant_to: str | None) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    before = _version(connection)
    require_known(before)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
    if grant_to and connection.dialect.name == "postgresql":
        _grant(connection, grant_to)
    return before, HEAD


def _grant(connection: Connection, user: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(user)
    for what in (
        "USAGE ON SCHEMA public",
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
        "USAGE ON ALL SEQUENCES IN SCHEMA public",
    ):
        connection.execute(text(f"GRANT {what} TO {quoted}"))


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def _run(url: str, work: Callable[[Connection], T]) -> T:
    """`work` in one transaction, all or nothing."""
    try:
        if url.startswith("sqlite:///"):
            return _run_on_sqlite(url.removeprefix("sqlite:///"), work)
        return asyncio.run(_run_on_postgresql(url, work))
    except (DBAPIError, *AWAY) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        raise MigrationError(f"the database does not answer: {reason}") from error


def _run_on_sqlite(path: str, work: Callable[[Connection], T]) -> T:
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            result = work(connection)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
        return result


async def _run_on_postgresql(url: str, work: Callable[[Connection], T]) -> T:
    engine = postgresql_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
