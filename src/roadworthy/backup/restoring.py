"""Putting a backup back: into an empty data folder, verified, all or nothing."""

import fcntl
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from roadworthy.accounts import Applied, has_digests_of_devise
from roadworthy.backup.archive import DATABASE, SECRET, Progress, unpack
from roadworthy.backup.copies import Told, read_copies
from roadworthy.backup.errors import BackupError
from roadworthy.backup.queries import settle_restored
from roadworthy.backup.sealed import Header, Opener, newer
from roadworthy.database import SQLITE, with_database
from roadworthy.disk import sync_folder
from roadworthy.migrations import VERSIONS, migrate, require_head
from roadworthy.settings import Settings
from roadworthy.tombstones import COPY, Tombstone, find_lineage

MOST_SHOWN = 5

_FOR_DISKS = "lost+found"
"""What a freshly made disk has in it."""


class Restored(NamedTuple):
    """What was put back."""

    header: Header
    files: int
    applied: Applied | None
    """`None`: there were no tombstones, so everybody was signed out."""
    told: Told
    has_digests_of_devise: bool


def restore_backup(
    settings: Settings,
    backup: Path,
    passphrase: str,
    copies: Sequence[Path] | None,
    begin: Callable[[int], Progress],
    *,
    are_latest: bool = False,
) -> Restored:
    """Put `backup` back into the data folder, which is empty.

    What is in `copies` of tombstones, in the one beside the backup and in that of
    `ROADWORTHY_TOMBSTONES_DIR` stays dead; `None`: do without any, and sign everybody out. Those
    that may lack some are taken only when the operator says that there `are_latest` ones.
    Raises `BackupError`, and `MigrationError` when the database cannot be brought to this release.
    """
    database = _database_name(settings)
    if not backup.is_file():
        raise BackupError(f"{backup} is no file: name the backup itself")
    try:
        with backup.open("rb") as file, _empty_folder(settings) as folder:
            opener = Opener(file, passphrase, str(backup))
            told = _told(settings, backup, copies, opener.header.lineage, are_latest=are_latest)
            files = _unpack(backup, opener, folder, begin)
            applied, has_devises = _make_ready(folder / DATABASE, told.tombstones)
            (folder / DATABASE).rename(folder / database)
            os.sync()
            _move(folder, settings.data_dir, last=database)
    except OSError as error:
        raise BackupError(
            f"cannot restore: {error.filename or settings.data_dir}: {error.strerror or error}"
        ) from error
    return Restored(opener.header, files, applied, told, has_devises)


def apply_copies(
    settings: Settings, copies: Sequence[Path], *, are_latest: bool
) -> tuple[Applied, Told]:
    """What a restore does, to a database that was put back by other means.

    How many were found alive, and what the copies say. Raises `BackupError`, `MigrationError` and
    `Unavailable`.
    """
    url = settings.migration_database_url
    require_head(url)
    lineage = with_database(url, lambda database: database.report(find_lineage))
    told = read_copies(copies, lineage, are_latest=are_latest)
    applied = _settle(url, told.tombstones)
    assert applied is not None  # noqa: S101 -- there were tombstones, be it none
    return applied, told


def _database_name(settings: Settings) -> str:
    if not settings.embedded:
        raise BackupError(
            "a backup is restored to the embedded database: unset ROADWORTHY_DATABASE_URL"
        )
    path = Path(settings.database_url.removeprefix(SQLITE)).absolute()
    if path.parent != settings.data_dir:
        raise BackupError(
            f"a backup is restored to {settings.data_dir}: unset ROADWORTHY_DATABASE_URL, and "
            "move the database afterwards"
        )
    return path.name


def _told(
    settings: Settings,
    backup: Path,
    given: Sequence[Path] | None,
    lineage: Sequence[str],
    *,
    are_latest: bool,
) -> Told:
    if given is None:
        return Told(None, None, 0)
    known = (backup.absolute().parent / COPY, settings.tombstones_dir / COPY)
    copies = [*given, *(copy for copy in dict.fromkeys(known) if copy.exists())]
    if not copies:
        raise BackupError(
            f"there is no {COPY} file beside {backup}, so nobody knows what must stay revoked: "
            "give the newest with --tombstones, or take --without-tombstones, which signs "
            "everybody out"
        )
    return read_copies(copies, lineage, are_latest=are_latest)


@contextmanager
def _empty_folder(settings: Settings) -> Iterator[Path]:
    """A folder in the empty data folder, which nobody serves from as long as it is there.

    Not beside it: the data folder may be a disk of its own, or stand in one that is not ours.
    """
    data, folder = settings.data_dir, settings.restoring_dir
    made = _make(data)
    lock = os.open(data, os.O_RDONLY)
    try:
        _take(lock, data)
        _require_empty(settings)
        shutil.rmtree(folder, ignore_errors=True)  # of a restore that was killed
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            sync_folder(data)
    except BaseException:
        if made:
            with suppress(OSError):
                data.rmdir()
        raise
    finally:
        os.close(lock)


def _make(data: Path) -> bool:
    if data.exists():
        return False
    data.mkdir(parents=True, mode=0o700)
    return True


def _take(lock: int, data: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(f"another restore into {data} is at work") from None


def _require_empty(settings: Settings) -> None:
    there = sorted(
        path.name
        for path in settings.data_dir.iterdir()
        if path != settings.restoring_dir and path.name != _FOR_DISKS
    )
    if there:
        shown = ", ".join(there[:MOST_SHOWN]) + (", …" if len(there) > MOST_SHOWN else "")
        raise BackupError(
            f"{settings.data_dir} is not empty: {shown}: name an empty folder with "
            "ROADWORTHY_DATA_DIR"
        )


def _unpack(backup: Path, opener: Opener, folder: Path, begin: Callable[[int], Progress]) -> int:
    if opener.header.schema not in VERSIONS:
        raise newer(str(backup))
    files = unpack(opener, folder, begin(backup.stat().st_size))
    if not (folder / DATABASE).exists() or not (folder / SECRET).exists():
        raise BackupError(f"{backup} holds no {DATABASE} or no {SECRET}")
    return files


def _make_ready(
    database: Path, tombstones: Sequence[Tombstone] | None
) -> tuple[Applied | None, bool]:
    """Sound, of this release, and reviving nothing; and whether digests of Devise are in it."""
    url = f"{SQLITE}{database}"
    _require_sound(database)
    migrate(url)
    applied = _settle(url, tombstones)
    has_devises = with_database(url, lambda opened: opened.report(has_digests_of_devise))
    for beside in database.parent.glob(f"{database.name}-*"):
        beside.unlink()  # what it needs only while it is in use
    return applied, has_devises


def _require_sound(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            (found,), *_ = connection.execute("PRAGMA integrity_check(1)")
            unmatched = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"the database in the backup is damaged: {error}") from error
    if found != "ok" or unmatched:
        reason = found if found != "ok" else f"{unmatched[0]} names a row that is not there"
        raise BackupError(f"the database in the backup is damaged: {reason}")


def _settle(url: str, tombstones: Sequence[Tombstone] | None) -> Applied | None:
    now, name = datetime.now(UTC), secrets.token_hex(8)
    return with_database(
        url, lambda database: database.write(settle_restored, tombstones, name, now)
    )


def _move(folder: Path, data: Path, *, last: str) -> None:
    for path in sorted(folder.iterdir(), key=lambda path: path.name == last):
        path.rename(data / path.name)
