"""Passwords: argon2id, off the event loop, a few at a time."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from roadworthy.telemetry import metrics
from roadworthy.wire import ServiceUnavailable

T = TypeVar("T")

MOST_WAITING = 256
"""Password checks that may wait at once; one more is told to come back."""

RETRY_SECONDS = 5


class Passwords:
    """Hashes and verifies on half of the processors, so that the rest answer requests.

    Their threads are as important as the event loop's: one that stepped back (measured, with
    `nice`) may be left waiting for a processor while it holds the interpreter.
    """

    def __init__(self) -> None:
        # OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, 2 iterations, 1 lane.
        self._hasher = PasswordHash(
            [Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)]
        )
        workers = max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(workers, "password")
        self._waiting = 0
        self._nobodys_digest = self._hasher.hash(os.urandom(16).hex())

    async def digest(self, password: str) -> str:
        """The digest to store. Raises a 503 `Refusal` when too many wait."""
        return await self._off_loop(lambda: self._hasher.hash(password))

    async def verify(self, password: str, digest: str | None) -> bool:
        """Whether `digest` is of `password`; with no digest it takes as long and is not.

        Raises a 503 `Refusal` when too many wait.
        """
        against = digest or self._nobodys_digest
        same = await self._off_loop(lambda: self._is_of(password, against))
        return same and digest is not None

    def _is_of(self, password: str, digest: str) -> bool:
        try:
            return self._hasher.verify(password, digest)
        except UnknownHashError:  # moved in from elsewhere, or closed: opens for nobody
            self._hasher.verify(password, self._nobodys_digest)
            return False

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise ServiceUnavailable(RETRY_SECONDS)
        self._count(+1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.passwords_waiting.set(self._waiting)
