"""Making a backup, while the service serves and writes."""

import errno
import fcntl
import io
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from roadworthy import __version__
from roadworthy.backup.archive import DATABASE, FILES, SECRET, Packer, Progress, walk
from roadworthy.backup.errors import BackupError
from roadworthy.backup.passphrase import require_strength
from roadworthy.backup.sealed import Sealer
from roadworthy.database import SQLITE, Database, take_snapshot, with_database
from roadworthy.disk import sync_folder
from roadworthy.migrations import HEAD, require_head
from roadworthy.settings import Settings, signing_secrets
from roadworthy.storage import folder_of
from roadworthy.tombstones import COPY, Copy, bring_up_to_date, find_lineage, remember_backup_folder

USE_POSTGRESQL = (
    "this database is PostgreSQL's, which has better means: pg_dump or pg_basebackup for the "
    "database, and a copy of the files, of ROADWORTHY_SECRET_KEY and ROADWORTHY_DEVISE_PEPPER, and "
    "of the tombstones"
)


_WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a disk says that has no hard links, such as one formatted as FAT."""


class Made(NamedTuple):
    """A backup, and what is in it."""

    path: Path
    size: int
    files: int
    vanished: int
    """Files that were deleted while it was made, and are not in it."""
    in_bucket: bool
    """Whether files are kept in a bucket, and none is in it."""


class _Copied(NamedTuple):
    """The copy of the database that goes into a backup."""

    snapshot: Path
    lineage: list[str]
    at: datetime


def require_embedded(settings: Settings) -> None:
    """Raise `BackupError` with what to use instead when the database is PostgreSQL's."""
    if not settings.embedded:
        raise BackupError(USE_POSTGRESQL)


def make_backup(
    settings: Settings, to: Path, passphrase: str, begin: Callable[[int], Progress]
) -> Made:
    """Write one file to the folder `to`, whole or not at all; it is on disk when this returns.

    `begin` is told how many bytes there are to do. Raises `BackupError`, `MigrationError` when
    the database is of another release, and `Unavailable`.
    """
    require_strength(passphrase)
    require_embedded(settings)
    require_head(settings.database_url)
    to = to.absolute()
    try:
        _prepare(settings, to)
        with _snapshot(settings) as snapshot:
            # Files are never changed, and each is there before its row: the snapshot goes first.
            now = datetime.now(UTC)
            folders = (settings.tombstones_dir, to)
            lineage = with_database(settings.database_url, lambda d: _keep_tombstones(d, folders))
            copied = _Copied(snapshot, lineage, now)
            made = _write(settings, copied, to, passphrase, begin)
        with_database(
            settings.database_url, lambda d: d.write(remember_backup_folder, str(to), now)
        )
    except OSError as error:
        raise BackupError(
            f"cannot write the backup: {error.filename or to}: {error.strerror or error}"
        ) from error
    return made


def _prepare(settings: Settings, to: Path) -> None:
    if to.resolve().is_relative_to(settings.data_dir.resolve()):
        raise BackupError(
            f"{to} is in the data folder, and would be lost with it: name a folder elsewhere, "
            "best on another disk"
        )
    to.mkdir(mode=0o700, exist_ok=True)
    settings.copies_dir.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Path]:
    """A consistent copy of the database; there is one backup at a time."""
    path = settings.copies_dir / "snapshot.db"
    lock = os.open(settings.copies_dir, os.O_RDONLY)
    try:
        _take(lock)
        try:
            path.unlink(missing_ok=True)  # of a backup that was killed
            take_snapshot(Path(settings.database_url.removeprefix(SQLITE)), path)
            yield path
        except sqlite3.Error as error:
            raise BackupError(f"cannot copy the database: {error}") from error
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError("another backup is being made: wait for it") from None


async def _keep_tombstones(database: Database, folders: tuple[Path, ...]) -> list[str]:
    """Before there is a backup that would need them; the lineage of what they are of."""
    for folder in folders:
        await bring_up_to_date(database, Copy(folder / COPY, make=True))
    return await database.report(find_lineage)


def _write(
    settings: Settings,
    copied: _Copied,
    to: Path,
    passphrase: str,
    begin: Callable[[int], Progress],
) -> Made:
    path = to / f"roadworthy-{copied.at:%Y%m%dT%H%M%SZ}.backup"
    unfinished = to / f".{path.name}.part"
    try:
        with os.fdopen(_new(unfinished), "wb") as file:
            made_at = f"{copied.at:%Y-%m-%d %H:%M:%S}Z"
            said = {"made_at": made_at, "release": __version__, "schema": HEAD}
            sealer = Sealer(file, passphrase, **said, lineage=copied.lineage)
            files, vanished = _pack(settings, copied.snapshot, sealer, begin)
            sealer.close()
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _name(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink()
    sync_folder(to)
    return Made(path, size, files, vanished, files_folder(settings) is None)


def _name(unfinished: Path, path: Path) -> None:
    """Never over another one."""
    try:
        os.link(unfinished, path)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        os.close(_new(path))
        unfinished.rename(path)


def files_folder(settings: Settings) -> Path | None:
    """Where the files are; `None` when they are in a bucket."""
    url = settings.storage_url
    return folder_of(url) if urlsplit(url).scheme == "file" else None


def _new(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)


def _pack(
    settings: Settings, snapshot: Path, sealer: Sealer, begin: Callable[[int], Progress]
) -> tuple[int, int]:
    folder = files_folder(settings)
    found = partial(walk, folder) if folder else tuple
    progress = begin(snapshot.stat().st_size + sum(size for _, size in found()))
    with closing(Packer(sealer, progress)) as packer:
        if not packer.add(DATABASE, snapshot):
            raise BackupError(f"somebody deleted {snapshot}: make the backup again")
        secret = (",".join(signing_secrets(settings)) + "\n").encode()
        packer.add_stream(SECRET, io.BytesIO(secret), len(secret), 0)
        added = Counter(
            folder is not None and packer.add(f"{FILES}/{name}", folder / name)
            for name, _ in found()
        )
        packer.finish()
    return added[True], added[False]
