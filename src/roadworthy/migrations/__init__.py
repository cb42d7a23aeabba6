"""The database's schema, step by step. Works on both databases; all steps are one transaction."""

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from roadworthy.database.advice import advice
from roadworthy.database.outage import AWAY, driver_words
from roadworthy.database.postgresql import postgresql_engine
from roadworthy.database.sqlite import SQLITE, sqlite_engine
from roadworthy.database.transaction import in_transaction
from roadworthy.migrations.copies import CannotKeep, keep_copy

T = TypeVar("T")

VERSIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
)
HEAD = VERSIONS[-1]
"""The schema that this code works with."""


class MigrationError(Exception):
    """The database cannot be brought to, or used at, the schema of this code."""


def migrate(
    url: str, *, grant_to: str | None = None, keep_in: Path | None = None
) -> tuple[str | None, str]:
    """Bring the database at `url` to `HEAD`: the versions before and after.

    On PostgreSQL `grant_to` names the user who serves, when another one owns the tables. Of an
    SQLite file a copy from before is left in the folder `keep_in`. Raises `MigrationError`.
    """
    # Alembic is slow to load and a database that is served again needs none of it.
    from roadworthy.migrations.upgrade import upgrade, wait_for_others  # noqa: PLC0415

    def step(connection: Connection) -> str | None:
        wait_for_others(connection)
        before = _version(connection)
        require_known(before)
        if keep_in is not None and url.startswith(SQLITE) and before not in {None, HEAD}:
            keep_copy(Path(url.removeprefix(SQLITE)), keep_in, HEAD)
        upgrade(connection, grant_to)
        return before

    return _run(url, step), HEAD


def current_version(url: str) -> str | None:
    """The schema version of the database at `url`, `None` when it is empty.

    Raises `MigrationError` when it does not answer.
    """
    if url.startswith(SQLITE) and not _has_content(Path(url.removeprefix(SQLITE))):
        return None
    return _run(url, _version, writes=False)


def require_writable(url: str) -> None:
    """Raise `MigrationError` when nothing can be written to the embedded database at `url`."""
    file = Path(url.removeprefix(SQLITE))
    for path in (file, file.parent):
        if not os.access(path, os.W_OK):
            raise MigrationError(
                f"cannot use the database: {path} may only be read: let this user write to the "
                "file and its folder"
            )
    _run(url, lambda _: None)


def require_known(version: str | None) -> None:
    """Raise `MigrationError` when `version` is newer than this code."""
    if version is not None and version not in VERSIONS:
        raise MigrationError(
            f"the database is at version {version}, newer than this release knows ({HEAD}): "
            "install the release that made it"
        )


def require_head(url: str) -> None:
    """Raise `MigrationError` when the database at `url` is not at the schema of this code."""
    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not path.exists():
        raise MigrationError(
            f"there is no database at {path}: is ROADWORTHY_DATA_DIR right? (`roadworthy migrate` "
            "makes a new one there)"
        )
    version = current_version(url)
    require_known(version)
    if version != HEAD:
        found = f"at version {version}" if version else "empty"
        raise MigrationError(
            f"the database is {found}, this release needs {HEAD}: run `roadworthy migrate`"
        )


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(url: str, work: Callable[[Connection], T], *, writes: bool = True) -> T:
    """`work` in one transaction, all or nothing; without `writes` no writer is waited for."""
    try:
        if url.startswith(SQLITE):
            return _run_on_sqlite(url.removeprefix(SQLITE), work, writes=writes)
        return asyncio.run(_run_on_postgresql(url, work))
    except CannotKeep as error:
        raise MigrationError(str(error)) from None
    except (DBAPIError, sqlite3.Error, asyncpg.PostgresError, *AWAY) as error:
        reason = driver_words(error)
        if "unable to open" in reason:
            reason += f" {url.removeprefix(SQLITE)}"
        raise MigrationError(f"cannot use the database: {reason}: {advice(reason)}") from error


def _run_on_sqlite(path: str, work: Callable[[Connection], T], *, writes: bool) -> T:
    folder = Path(path).parent
    if not folder.is_dir():
        raise MigrationError(
            f"cannot use the database: there is no folder {folder}: make it, or mend "
            "ROADWORTHY_DATABASE_URL"
        )
    _refuse_emptied(path)
    if writes:
        _make_private(path)
    with sqlite_engine(path, create=True).connect() as connection:
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        return in_transaction(connection, begin, lambda: work(connection))


def _has_content(database: Path) -> bool:
    return database.exists() and database.stat().st_size > 0


def _refuse_emptied(path: str) -> None:
    """Who has written to a database has left the file of the writers' queue beside it."""
    database, queue = Path(path), Path(f"{path}-turn")
    if queue.exists() and not _has_content(database):
        raise MigrationError(
            f"{database} was emptied or taken away: put a backup in its place, or delete {queue} "
            "to begin anew"
        )


def _make_private(path: str) -> None:
    """What an earlier release made, others may read; SQLite makes what is beside alike."""
    for file in (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm")):
        with contextlib.suppress(OSError):  # there is none, or it is somebody else's
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & 0o077:
                file.chmod(mode & 0o700)


async def _run_on_postgresql(url: str, work: Callable[[Connection], T]) -> T:
    engine = postgresql_engine(url, is_patient=True)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
