"""Passwords: argon2id and what moved in, off the event loop, a few at a time."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from roadworthy.accounts.digests import TODAY, kind_of, nobodys_digest
from roadworthy.settings import PREFIX
from roadworthy.telemetry import metrics
from roadworthy.wire import ServiceUnavailable

log = structlog.get_logger()

MOST_WAITING = 512
"""Password checks that may wait at once; one more is told to come back."""
MOST_OF_ONE = 200
"""Of those, who come from one place: others shall find room too."""

RETRY_SECONDS = 5
STOP_SECONDS = 5


class Passwords:
    """Hashes and verifies in processes of their own, as many as half of the processors.

    `pepper` is that of Devise's digests. Whoever is refused waits as long, whether the account
    exists and whatever its digest: for one digest of each kind that is in use.
    """

    def __init__(self, pepper: str = "") -> None:
        workers = max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(workers, "password")
        self._pepper = pepper
        self._own = threading.local()
        self._started: list[_Process] = []
        self._waiting = 0
        self._places: Counter[bytes] = Counter()
        self._kinds = {TODAY}

    async def digest(self, password: str) -> str:
        """The digest to store. Raises a 503 `Refusal` when too many wait."""
        return str(await self._ask(password))

    async def verify(self, password: str, digest: str | None) -> bool:
        """Whether `digest` is of `password`; with no digest it takes as long and is not.

        Raises a 503 `Refusal` when too many wait.
        """
        is_right, _ = await self.verify_and_renew(password, digest)
        return is_right

    async def verify_and_renew(self, password: str, digest: str | None) -> tuple[bool, str | None]:
        """The same, and the digest to store in its place when it is of an older kind.

        Raises a 503 `Refusal` when too many wait.
        """
        kind = kind_of(digest) if digest else None
        if kind:
            self._kinds.add(kind)
        others = [nobodys_digest(each) for each in sorted(self._kinds) if each != kind]
        digests = [digest, *others] if kind else others
        is_right, renewed = await self._ask(password, digests, kind != TODAY)
        return (True, renewed) if is_right and kind else (False, None)

    def expect(self, digests: Iterable[str]) -> None:
        """From now on these, one of each kind, are the kinds that are in use beside today's."""
        self._kinds = {TODAY, *filter(None, map(kind_of, digests))}

    def require_room(self) -> None:
        """Raise a 503 `Refusal` when too many wait."""
        if self._waiting >= MOST_WAITING:
            raise ServiceUnavailable(RETRY_SECONDS)

    @contextmanager
    def in_line(self, place: bytes) -> Iterator[None]:
        """Stand in line for who asks from `place`. Raises a 503 `Refusal` when too many do."""
        self.require_room()
        if self._places[place] >= MOST_OF_ONE:
            raise ServiceUnavailable(RETRY_SECONDS)
        self._places[place] += 1
        try:
            yield
        finally:
            self._places[place] -= 1
            if not self._places[place]:
                del self._places[place]

    def close(self) -> None:
        """Let go of threads and processes."""
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.stop()

    async def _ask(self, *question: object) -> Any:
        self.require_room()
        self._count(+1)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._ask_own, question)
        except (OSError, ValueError):
            log.error("hashing", reason="its process ended")  # noqa: TRY400 -- no words of it
            raise ServiceUnavailable(RETRY_SECONDS) from None
        finally:
            self._count(-1)

    def _ask_own(self, question: tuple[object, ...]) -> Any:
        """Each thread has a process, started when it is first needed and again if it ends."""
        process: _Process | None = getattr(self._own, "process", None)
        if process is None or process.has_ended:
            process = self._own.process = _Process(self._pepper)
            self._started.append(process)
        return process.ask(question)

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.passwords_waiting.set(self._waiting)


class _Process:
    """One `hashing.py` at work; used by one thread at a time."""

    def __init__(self, pepper: str) -> None:
        script = Path(__file__).with_name("hashing.py")
        self._popen = subprocess.Popen(  # noqa: S603 -- our own script
            [sys.executable, "-I", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if PREFIX not in name},
            start_new_session=True,  # Ctrl-C is for the service, which then ends it in order
        )
        self._tell(pepper)

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(self, question: tuple[object, ...]) -> Any:
        """Raises `OSError` or `ValueError` when it ended."""
        self._tell(question)
        stdout = self._popen.stdout
        assert stdout is not None  # noqa: S101 -- tells the type
        return json.loads(stdout.readline())

    def _tell(self, value: object) -> None:
        stdin = self._popen.stdin
        assert stdin is not None  # noqa: S101 -- tells the type
        stdin.write(json.dumps(value) + "\n")
        stdin.flush()

    def stop(self) -> None:
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
