"""Passwords: argon2id and what moved in, off the event loop, a few at a time."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from roadworthy.accounts.digests import TODAY, kind_of, nobodys_digest
from roadworthy.settings import PREFIX
from roadworthy.telemetry import metrics
from roadworthy.turns import Turns
from roadworthy.wire import ServiceUnavailable, site_of

log = structlog.get_logger()

MOST_WAITING = 512
"""Password checks that may wait at once; one more is told to come back."""
MOST_OF_ONE = 200
"""Of those, who come from one site: others shall find room too, and their turn."""

RETRY_SECONDS = 5
STOP_SECONDS = 5

_KEPT_MEMORY = ":".join(
    (
        "glibc.malloc.mmap_threshold=33554432",
        "glibc.malloc.trim_threshold=134217728",
        "glibc.malloc.hugetlb=1",
    )
)
"""The memory that a hash fills is kept for the next, in large pages (mallopt(3)): measured, a tenth
of its time is spent on getting it. Where there is no glibc, it means nothing.
"""


class Passwords:
    """Hashes and verifies in processes of their own, as many as half of the processors.

    `pepper` is that of Devise's digests. Whoever is refused waits as long, whether the account
    exists and whatever its digest: for one digest of each kind that is in use, of which
    `kinds_in_use` tells.
    """

    def __init__(self, kinds_in_use: Callable[[], Awaitable[set[str]]], pepper: str = "") -> None:
        self.kinds_in_use = kinds_in_use
        self._turns = Turns(max(1, (os.cpu_count() or 1) // 2))
        self._pepper = pepper
        self._started: list[_Process] = []
        self._idle: list[_Process] = []
        self._waiting = 0
        self._sites: Counter[str] = Counter()

    @contextmanager
    def in_line(self, client: str) -> Iterator["Line"]:
        """Stand in line for who asks from there. Raises a 503 `Refusal` when too many do."""
        site = site_of(client)
        if self._waiting >= MOST_WAITING or self._sites[site] >= MOST_OF_ONE:
            raise ServiceUnavailable(RETRY_SECONDS)
        self._sites[site] += 1
        try:
            yield Line(self, site)
        finally:
            self._sites[site] -= 1
            if not self._sites[site]:
                del self._sites[site]

    async def close(self) -> None:
        """Let go of the processes."""
        for process in self._started:
            await process.stop()

    async def ask(self, site: str, *question: object) -> Any:
        """What a process answers to `question`. Raises a 503 `Refusal` when too many wait."""
        if self._waiting >= MOST_WAITING:
            raise ServiceUnavailable(RETRY_SECONDS)
        self._count(+1)
        try:
            async with self._turns.turn(site):
                process = await self._free()
                try:
                    return await process.ask(question)
                finally:
                    self._idle.append(process)
        except (OSError, ValueError):
            log.error("hashing", reason="its process ended")  # noqa: TRY400 -- no words of it
            raise ServiceUnavailable(RETRY_SECONDS) from None
        finally:
            self._count(-1)

    async def _free(self) -> "_Process":
        """One that nobody asks; started when it is first needed, and again if it ends."""
        while self._idle:
            process = self._idle.pop()
            if not process.has_ended:
                return process
            self._started.remove(process)
        process = await _Process.start(self._pepper)
        self._started.append(process)
        return process

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.passwords_waiting.set(self._waiting)


class Line:
    """The place in line of one request, who has everything hashed that it needs."""

    def __init__(self, passwords: Passwords, site: str):
        self._passwords = passwords
        self._site = site

    async def digest(self, password: str) -> str:
        """The digest to store. Raises a 503 `Refusal` when too many wait."""
        return str(await self._passwords.ask(self._site, password))

    async def verify(self, password: str, digest: str | None) -> bool:
        """Whether `digest` is of `password`; with no digest it takes as long and is not.

        Raises a 503 `Refusal` when too many wait, `Unavailable` and `Busy`.
        """
        is_right, _ = await self.verify_and_renew(password, digest)
        return is_right

    async def verify_and_renew(self, password: str, digest: str | None) -> tuple[bool, str | None]:
        """The same, and the digest to store in its place when it is of an older kind.

        Raises a 503 `Refusal` when too many wait, `Unavailable` and `Busy`.
        """
        kind = kind_of(digest) if digest else None
        digests, own = _one_of_each(digest, kind, await self._passwords.kinds_in_use())
        is_right, renewed = await self._passwords.ask(
            self._site, password, digests, own, kind != TODAY
        )
        return is_right, renewed


def _one_of_each(digest: str | None, kind: str | None, in_use: set[str]) -> tuple[list[str], int]:
    """Digests of each kind that is `in_use`: `digest`, which is of `kind`, and nobody's for the
    others; and its number among them, -1 without one.

    Always in the same order, as the next is slower or faster for what the last did to caches.
    """
    others = in_use | ({kind} if kind else set())
    kinds = [TODAY, *sorted(others - {TODAY})]
    own = kinds.index(kind) if kind else -1
    digests = [nobodys_digest(each) for each in kinds]
    if digest and kind:
        digests[own] = digest
    return digests, own


class _Process:
    """One `hashing.py` at work; asked by one at a time."""

    def __init__(self, process: asyncio.subprocess.Process, pepper: str) -> None:
        assert process.stdin  # noqa: S101 -- tells the type
        assert process.stdout  # noqa: S101
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._owed = 0
        self._tell(pepper)

    @classmethod
    async def start(cls, pepper: str) -> "_Process":
        """Raises `OSError` when the system has none to give."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(Path(__file__).with_name("hashing.py")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_without_secrets(), "GLIBC_TUNABLES": _KEPT_MEMORY},
            start_new_session=True,  # Ctrl-C is for the service, which then ends it in order
        )
        return cls(process, pepper)

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None or self._stdout.at_eof()

    async def ask(self, question: tuple[object, ...]) -> Any:
        """Raises `OSError` or `ValueError` when it ended."""
        self._tell(question)
        self._owed += 1
        while True:
            line = await self._stdout.readline()
            self._owed -= 1
            if not self._owed:  # before it come those that nobody waited for any more
                return json.loads(line)

    def _tell(self, value: object) -> None:
        self._stdin.write(json.dumps(value).encode() + b"\n")

    async def stop(self) -> None:
        self._stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _without_secrets() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if PREFIX not in name}
