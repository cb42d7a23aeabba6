"""A folder on this machine, or one that several share."""

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path

from roadworthy.storage.core import (
    PIECE_BYTES,
    Storage,
    Stored,
    is_key,
    require_key,
)
from roadworthy.storage.errors import NotStored
from roadworthy.storage.spool import Spool

INCOMING = "incoming"
BATCH = 500


class LocalStorage(Storage):
    """Files in folders by the first letters of their keys, so that none grows without bound."""

    name = "local"

    def __init__(self, root: Path, incoming: Path):
        """`incoming`: where files are on their way to another storage, or were."""
        # On the same disk, so that a file is moved at once.
        super().__init__(Spool(root / INCOMING, stays=True, others=[incoming]))
        self._root = root

    async def put(self, key: str, path: Path) -> None:
        target = self._path(key)
        await self.spool.off_loop(self._move, path, target)

    async def read(
        self, key: str, start: int, stop: int, piece_bytes: int = PIECE_BYTES
    ) -> AsyncGenerator[bytes, None]:
        async with self.spool.opened(partial(_open, self._path(key))) as opened:
            file = opened.fileno()
            while start < stop:
                size = min(piece_bytes, stop - start)
                piece = _in_memory(file, start, size)
                if piece is None:
                    piece = await self.spool.to_its_end(os.pread, file, size, start)
                if not piece:
                    raise NotStored
                start += len(piece)
                yield piece

    @asynccontextmanager
    async def fetched(self, key: str) -> AsyncIterator[Path]:
        if await self.size(key) is None:
            raise NotStored
        yield self._path(key)

    async def size(self, key: str) -> int | None:
        status = await self.spool.off_loop(_status, self._path(key))
        return status and status.st_size

    async def delete(self, key: str) -> None:
        path = self._path(key)

        def work() -> None:
            if path.exists():
                path.unlink(missing_ok=True)
                _sync(path.parent)

        await self.spool.off_loop(work)

    async def batches(self) -> AsyncIterator[list[Stored]]:
        found = self._walk()
        while batch := await self.spool.off_loop(lambda: list(islice(found, BATCH))):
            yield batch

    async def accept(self, key: str) -> str | None:
        return None if await self.size(key) is None else key

    async def close(self) -> None:
        self.spool.close()

    def _path(self, key: str) -> Path:
        require_key(key)
        return self._root / key[:2] / key[2:4] / key

    def _move(self, path: Path, target: Path) -> None:
        """On disk, and in its folder, before anybody is told."""
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync(path)
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(path)
        path.unlink()
        for folder in (target.parent, target.parent.parent, self._root):
            _sync(folder)

    def _walk(self) -> Iterator[Stored]:
        for path in self._paths():
            status = _status(path)
            if status:
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield Stored(path.name, status.st_size, modified)

    def _paths(self) -> Iterator[Path]:
        """Folder by folder: there may be a million of them."""
        for outer in self._root.glob("??"):
            for inner in outer.glob("??"):
                yield from (path for path in inner.iterdir() if is_key(path.name))


def _status(path: Path) -> os.stat_result | None:
    """`None` when there is no such file, or no longer."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _open(path: Path) -> FileIO:
    try:
        return FileIO(path)
    except FileNotFoundError:
        raise NotStored from None


def _in_memory(file: int, start: int, size: int) -> bytes | None:
    """What needs no disk: a thread for each piece costs more than the piece.

    Whether its first and last byte are in memory is asked: Linux reads, and forgets, what lies
    between them with one or the other.
    """
    try:
        for at in (start, start + size - 1):
            os.preadv(file, [bytearray(1)], at, os.RWF_NOWAIT)
    except OSError:  # it is not in memory, or this disk's driver cannot tell
        return None
    return os.pread(file, size, start)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
