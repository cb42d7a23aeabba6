"""Files on their way into storage: written to disk as they arrive, never held in memory."""

import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from roadworthy.storage.arriving import Arriving
from roadworthy.storage.checksum import checksum_of, md5
from roadworthy.storage.errors import TooLong
from roadworthy.storage.threads import Threads

GATHERED_BYTES = 8 * 1024 * 1024
MOST_AT_ONCE = 1024 * 1024
"""What a file has gathered before a thread takes it: a share of the first, up to the second."""


@dataclass(frozen=True)
class SpooledFile:
    """A whole file on this machine's disk."""

    path: Path
    byte_size: int
    checksum: str
    """Base64 of the MD5, as clients send it."""


class Stranded(NamedTuple):
    """What is left of a file that never arrived whole."""

    name: str
    modified_at: datetime


class Spool(Threads):
    """A folder of files on their way; what a crash leaves in it, or in `others`, is swept.

    With `stays`, they stay on its disk when they have arrived.
    """

    def __init__(self, folder: Path, *, stays: bool = False, others: Sequence[Path] = ()):
        super().__init__("files")
        self._folder = folder
        self._stays = stays
        self._others = others
        self._receiving = 0

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[Path]:
        """An empty file, which is removed afterwards if it is still there."""
        path = self._folder / secrets.token_hex(16)
        await self.off_loop(_create, path)
        try:
            yield path
        finally:
            await self.off_loop(path.unlink, missing_ok=True)

    @asynccontextmanager
    async def receive(self, parts: AsyncIterator[bytes], most: int) -> AsyncIterator[SpooledFile]:
        """The file that arrives as `parts`, removed afterwards unless storage took it.

        Raises `TooLong` when it has more than `most` bytes.
        """
        async with self.empty() as path:
            async with self.opened(partial(FileIO, path, "r+")) as file:
                size, checksum = await self._write(file, parts, most)
            yield SpooledFile(path, size, checksum)

    async def measure(self, path: Path) -> SpooledFile:
        """The file at `path`, with its size and checksum."""

        def work() -> SpooledFile:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, md5)
                return SpooledFile(path, file.tell(), checksum_of(digest))

        return await self.off_loop(work)

    async def stranded(self, before: datetime) -> list[Stranded]:
        """What has not changed since `before`."""

        def work() -> list[Stranded]:
            return [Stranded(path.name, modified) for path, modified in self._old(before)]

        return await self.off_loop(work)

    async def sweep(self, before: datetime) -> None:
        """Remove that."""

        def work() -> None:
            for path, _ in self._old(before):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

        await self.off_loop(work)

    def _old(self, before: datetime) -> Iterator[tuple[Path, datetime]]:
        for folder in filter(Path.is_dir, (self._folder, *self._others)):
            for path in folder.iterdir():
                with suppress(FileNotFoundError):  # it has arrived since
                    modified = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
                    if modified < before:
                        yield path, modified

    async def _write(self, file: FileIO, parts: AsyncIterator[bytes], most: int) -> tuple[int, str]:
        """Large enough at a time that a thread is worth it, and while the next arrives."""
        arriving = Arriving(file, past_memory=self._stays)
        size, waiting, held = 0, list[bytes](), 0
        self._receiving += 1
        try:
            async with self.one_at_a_time() as begin:
                async for part in parts:
                    size += len(part)
                    if size > most:
                        raise TooLong
                    waiting.append(part)
                    held += len(part)
                    if held >= self._at_once:
                        await begin(arriving.take, waiting)
                        waiting, held = [], 0
                await begin(arriving.end, waiting)
        finally:
            self._receiving -= 1
        return size, arriving.checksum

    @property
    def _at_once(self) -> int:
        return min(GATHERED_BYTES // self._receiving, MOST_AT_ONCE)


def _create(path: Path) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
