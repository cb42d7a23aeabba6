"""What is in a backup: a tar of the database, the secret and the files, and the manifest last."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, cast

import msgspec

from roadworthy.backup.errors import BackupError
from roadworthy.backup.sealed import CHUNK, Opener, Sealer

DATABASE = "roadworthy.db"
SECRET = "secret"  # noqa: S105 -- what it is called
FILES = "files"
MANIFEST = "manifest"

PIECE = 64 * 1024
"""What the tar writes at once: it gathers it by copying what it has again and again."""

INCOMING = "incoming"
"""Among the files, a folder of those on their way: nobody was told yet that we have them."""

Progress = Callable[[int], None]
"""Told how many bytes more are done."""


class _Line(msgspec.Struct, frozen=True):
    """A file in the manifest."""

    name: str
    size: int
    sha256: str


class Packer:
    """Puts files into `sealer`, then `finish`; `close` it in any case."""

    def __init__(self, sealer: Sealer, progress: Progress):
        self._tar = tarfile.open(  # noqa: SIM115 -- closed by `finish`
            mode="w|", fileobj=cast("IO[bytes]", sealer), bufsize=PIECE, format=tarfile.PAX_FORMAT
        )
        self._manifest = TemporaryFile()  # noqa: SIM115 -- gone with us
        self._progress = progress

    def add(self, name: str, path: Path) -> bool:
        """Add the file at `path` as `name`: whether it was still there."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            found = os.fstat(file.fileno())
            self.add_stream(name, file, found.st_size, found.st_mtime)
        return True

    def add_stream(self, name: str, file: IO[bytes], size: int, modified: float) -> None:
        """Add `size` bytes of `file` as `name`. Raises `OSError` when there are fewer."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime, entry.mode = size, modified, 0o600
        reader = _Hashing(file, self._progress)
        self._tar.addfile(entry, reader)
        _forget_members(self._tar)
        self._manifest.write(msgspec.json.encode(_Line(name, size, reader.digest)) + b"\n")

    def finish(self) -> None:
        """Add the manifest and end the archive."""
        size = self._manifest.tell()
        self._manifest.seek(0)
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = size, 0o600
        self._tar.addfile(entry, self._manifest)
        self._tar.close()
        self.close()

    def close(self) -> None:
        """Let go of the manifest."""
        self._manifest.close()


class _Hashing:
    """Reads a file, and knows the SHA-256 of what was read."""

    def __init__(self, file: IO[bytes], progress: Progress):
        self._file = file
        self._progress = progress
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        content = self._file.read(size)
        self._hash.update(content)
        self._progress(len(content))
        return content

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def unpack(opener: Opener, folder: Path, progress: Progress) -> int:
    """Write what is in a backup to `folder`, hold it to its manifest: how many files.

    Raises `BackupError` and `OSError`.
    """
    with TemporaryFile() as found, TemporaryFile() as manifest:
        count = 0
        try:
            for name, content in _entries(opener):
                if name == MANIFEST:
                    _write(content, manifest, progress)
                    continue
                line = _unpack_one(name, content, folder, progress)
                found.write(msgspec.json.encode(line) + b"\n")
                count += name.startswith(f"{FILES}/")
        except tarfile.TarError as error:
            raise BackupError(f"what the backup holds cannot be read: {error}") from error
        opener.finish()
        found.seek(0)
        manifest.seek(0)
        for unpacked, listed in zip_longest(found, manifest):
            if unpacked != listed:
                name = msgspec.json.decode(listed or unpacked, type=_Line).name
                raise BackupError(f"{name} is not what the backup's manifest says it is")
    return count


def _entries(opener: Opener) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(mode="r|", fileobj=cast("IO[bytes]", opener), bufsize=CHUNK) as tar:
        while entry := tar.next():
            content = tar.extractfile(entry) if entry.isreg() else None
            if content is None or not _is_ours(entry.name):
                raise BackupError(f"the backup holds {entry.name!r}, which is none of ours")
            yield entry.name, content
            _forget_members(tar)


def _forget_members(tar: tarfile.TarFile) -> None:
    """It would remember each, and there may be millions."""
    members: list[tarfile.TarInfo] = vars(tar)["members"]
    members.clear()


def _is_ours(name: str) -> bool:
    """Nothing may be written outside of the folder, whoever made the backup."""
    path = PurePosixPath(name)
    is_plain = not path.is_absolute() and ".." not in path.parts and str(path) == name
    is_file = len(path.parts) > 1 and path.parts[0] == FILES
    return is_plain and (is_file or name in {DATABASE, SECRET, MANIFEST})


def _unpack_one(name: str, content: IO[bytes], folder: Path, progress: Progress) -> _Line:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        size, digest = _write(content, file, progress)
    return _Line(name, size, digest)


def _write(content: IO[bytes], file: IO[bytes], progress: Progress) -> tuple[int, str]:
    reader = _Hashing(content, progress)
    size = 0
    while part := reader.read(CHUNK):
        size += file.write(part)
    return size, reader.digest


def walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Every file below `folder`, by its name from there, and its size; 0 when it is gone."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        if Path(parent) == folder and INCOMING in folders:
            folders.remove(INCOMING)
        for name in sorted(names):
            path = Path(parent, name)
            size = _size(path)
            if size is not None:
                yield path.relative_to(folder).as_posix(), size


def _size(path: Path) -> int | None:
    """`None` of what is no file, as a link."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else None
