"""Files on their way into storage: written to disk as they arrive, never held in memory."""

import asyncio
import base64
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import structlog

from roadworthy.storage.errors import StorageAway, TooLong

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

WRITTEN_AT_ONCE = 256 * 1024
THREADS = 8


@dataclass(frozen=True)
class SpooledFile:
    """A whole file on this machine's disk."""

    path: Path
    byte_size: int
    checksum: str
    """Base64 of the MD5, as clients send it."""


class Spool:
    """A folder of files on their way; what a crash leaves in it is swept."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")

    async def off_loop(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work`, which may wait for a disk, returns. Raises `StorageAway` for `OSError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, partial(work, *args, **kwargs)
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            log.error("storage", reason=reason)  # noqa: TRY400 -- one line, no traceback
            raise StorageAway(reason) from error

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
            with await self.off_loop(path.open, "wb", buffering=0) as file:
                size, checksum = await self._write(file, parts, most)
            yield SpooledFile(path, size, checksum)

    async def measure(self, path: Path) -> SpooledFile:
        """The file at `path`, with its size and checksum."""

        def work() -> SpooledFile:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, _md5)
                return SpooledFile(path, file.tell(), _base64(digest.digest()))

        return await self.off_loop(work)

    async def sweep(self, older_than: float) -> int:
        """Remove what has not changed for `older_than` seconds: how many files."""

        def work() -> int:
            if not self._folder.is_dir():
                return 0
            before = time.time() - older_than
            old = [each for each in self._folder.iterdir() if each.lstat().st_mtime < before]
            for each in old:
                shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
            return len(old)

        return await self.off_loop(work)

    def close(self) -> None:
        """Finish what is under way."""
        self._threads.shutdown()

    async def _write(
        self, file: BinaryIO, parts: AsyncIterator[bytes], most: int
    ) -> tuple[int, str]:
        """Large enough at a time that a thread is worth it, and while the next arrives."""
        digest, size, waiting = _md5(), 0, list[bytes]()
        async with self._one_at_a_time() as begin:
            held = 0
            async for part in parts:
                size += len(part)
                if size > most:
                    raise TooLong
                waiting.append(part)
                held += len(part)
                if held >= WRITTEN_AT_ONCE:
                    await begin(_write, file, digest, waiting)
                    waiting, held = [], 0
            await begin(_write, file, digest, waiting)
        return size, _base64(digest.digest())

    @asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        """Work off the loop, each begun when the one before is done; in the end all are."""
        last: asyncio.Future[None] | None = None

        async def begin(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
            nonlocal last
            if last:
                await last
            last = asyncio.ensure_future(self.off_loop(work, *args, **kwargs))

        try:
            yield begin
            if last:
                await last
        finally:
            if last and not last.done():
                await asyncio.wait([last])


def _create(path: Path) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _write(file: BinaryIO, digest: "hashlib._Hash", parts: Sequence[bytes]) -> None:
    content = memoryview(b"".join(parts))
    digest.update(content)
    while content:  # a disk that fills up takes some of it first
        content = content[file.write(content) :]


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)  # as clients send it; it finds accidents


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
