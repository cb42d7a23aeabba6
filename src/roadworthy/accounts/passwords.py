"""Passwords: argon2id, off the event loop, a few at a time."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from roadworthy.telemetry import metrics
from roadworthy.wire import ServiceUnavailable

log = structlog.get_logger()

MOST_WAITING = 256
"""Password checks that may wait at once; one more is told to come back."""

RETRY_SECONDS = 5
STOP_SECONDS = 5


class Passwords:
    """Hashes and verifies in processes of their own, as many as half of the processors."""

    def __init__(self) -> None:
        workers = max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(workers, "password")
        self._own = threading.local()
        self._started: list[_Process] = []
        self._waiting = 0
        self._nobodys_digest: str | None = None

    async def digest(self, password: str) -> str:
        """The digest to store. Raises a 503 `Refusal` when too many wait."""
        return str(await self._ask(password))

    async def verify(self, password: str, digest: str | None) -> bool:
        """Whether `digest` is of `password`; with no digest it takes as long and is not.

        Raises a 503 `Refusal` when too many wait.
        """
        if self._nobodys_digest is None:
            self._nobodys_digest = await self.digest(os.urandom(16).hex())
        same = await self._ask(password, digest or self._nobodys_digest)
        return bool(same) and digest is not None

    def close(self) -> None:
        """Let go of threads and processes."""
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.stop()

    async def _ask(self, *question: str) -> object:
        if self._waiting >= MOST_WAITING:
            raise ServiceUnavailable(RETRY_SECONDS)
        self._count(+1)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._ask_own, question)
        except (OSError, ValueError):
            log.error("hashing", reason="its process ended")  # noqa: TRY400 -- no words of it
            raise ServiceUnavailable(RETRY_SECONDS) from None
        finally:
            self._count(-1)

    def _ask_own(self, question: tuple[str, ...]) -> object:
        """Each thread has a process, started when it is first needed and again if it ends."""
        process: _Process | None = getattr(self._own, "process", None)
        if process is None or process.has_ended:
            process = self._own.process = _Process()
            self._started.append(process)
        return process.ask(question)

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.passwords_waiting.set(self._waiting)


class _Process:
    """One `hashing.py` at work; used by one thread at a time."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("hashing.py")
        self._popen = subprocess.Popen(  # noqa: S603 -- our own script
            [sys.executable, "-I", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the service, which then ends it in order
        )

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(self, question: tuple[str, ...]) -> object:
        """Raises `OSError` or `ValueError` when it ended."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None  # noqa: S101 -- tells the type
        assert stdout is not None  # noqa: S101
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

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
