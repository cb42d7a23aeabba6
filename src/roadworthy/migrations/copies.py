"""The embedded database as it was before a migration, for who must go back."""

import contextlib
import sqlite3
from pathlib import Path

from roadworthy.database import take_snapshot
from roadworthy.disk import sync_folder

KEPT = 3


class CannotKeep(Exception):
    """There is no copy, so there may be no migration."""


def keep_copy(database: Path, folder: Path, version: str) -> None:
    """Copy `database` to `folder/before-<version>.db`, and let the oldest copies go.

    Raises `CannotKeep`.
    """
    path = folder / f"before-{version}.db"
    unfinished = path.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        take_snapshot(database, unfinished)
        unfinished.replace(path)
        sync_folder(folder)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CannotKeep(
            f"cannot keep a copy of the database before it is migrated, in {folder}: {reason}: "
            "make room there, and let this user write to it"
        ) from error
    for old in _oldest_first(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def _oldest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("before-*.db"), key=lambda path: path.stat().st_mtime_ns)
