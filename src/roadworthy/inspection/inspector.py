"""Looks into files that drivers hand in, in processes that may come to harm."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import structlog

from roadworthy.inspection.clamav import ClamAV
from roadworthy.inspection.confinement import can_shut_ways_out
from roadworthy.inspection.kinds import TYPES
from roadworthy.inspection.opening import opened
from roadworthy.inspection.parser import Limits, Parser, ParserEnded
from roadworthy.inspection.refusals import FileRefused, InspectorBusy, Reason
from roadworthy.telemetry import metrics

T = TypeVar("T")

log = structlog.get_logger()

MOST_WAITING = 64
"""Files that may wait at once; with one more, come back."""

WAIT_SECONDS = 30
"""How long one waits for its turn."""

MOST_PHOTOGRAPHS = 20
"""That are joined into one PDF."""

ATTEMPTS = 2


class Inspector:
    """Says what a file is and whether we take it, joins photographs, renders pages.

    One a server process; a process of its own, started with the first file, forks for each file.
    At most half as many files as there are processors, and two, are looked into at a time. Raises
    `NotStored` when a file was removed while it waited for its turn.
    """

    def __init__(self, scanner: ClamAV | None = None, limits: Limits | None = None):
        """`scanner`: what looks at each file as well."""
        at_once = max(2, (os.cpu_count() or 1) // 2)
        self._scanner = scanner
        self._limits = limits or Limits()
        self._threads = ThreadPoolExecutor(at_once, "inspection")
        self._turns = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._starting = threading.Lock()
        self._parser: Parser | None = None

    async def inspect(self, path: Path) -> str:
        """The content type of the file, decided from its bytes: one of `TYPES`.

        Raises `FileRefused` for a file that we do not take, `InspectorBusy`, and `ScannerAway`
        when the scanner was to be asked and does not answer.
        """
        content_type = await self._do(self._inspect, path)
        if self._scanner:
            await self._scanner.scan(path)
        return content_type

    async def join(self, paths: Sequence[Path], target: Path) -> None:
        """Make one PDF of photographs, in order, in the existing file `target`.

        They stand upright and are made smaller until the PDF has at most 18 MB. When this raises,
        what is in `target` is of no use. Raises `FileRefused` and `InspectorBusy`.
        """
        if not 1 <= len(paths) <= MOST_PHOTOGRAPHS:
            raise FileRefused(Reason.TOO_MANY_PAGES)
        await self._do(self._join, paths, target)

    async def page(self, path: Path, target: Path, number: int) -> None:
        """Render the page of that number, from 1, of a PDF, or a photograph, which is its page 1.

        A JPEG of at most 2000 pixels a side, in the existing file `target`. Raises `FileRefused`
        and `InspectorBusy`.
        """
        await self._do(self._page, path, target, number)

    def close(self) -> None:
        """Let go of threads and processes."""
        self._threads.shutdown(cancel_futures=True)
        if self._parser:
            self._parser.stop()

    async def _do(self, work: Callable[..., T], *values: object) -> T:
        """In a thread, which goes on when whoever waits for it is gone."""
        async with self._turn():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, *values)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise InspectorBusy
        self._count(+1)
        try:
            await asyncio.wait_for(self._turns.acquire(), WAIT_SECONDS)
            try:
                yield
            finally:
                self._turns.release()
        except TimeoutError:
            raise InspectorBusy from None
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.inspections_waiting.set(self._waiting)

    def _inspect(self, path: Path) -> str:
        with opened(path) as file:
            found = self._ask("inspect", [file], self._limits)
        if found.get("type") not in TYPES:
            raise FileRefused(Reason.DAMAGED)
        return str(found["type"])

    def _join(self, paths: Sequence[Path], target: Path) -> None:
        with ExitStack() as stack:
            files: list[IO[bytes]] = [stack.enter_context(opened(path)) for path in paths]
            files.append(stack.enter_context(target.open("r+b")))
            files[-1].truncate()
            self._ask("join", files, self._limits.for_files(len(paths)))

    def _page(self, path: Path, target: Path, number: int) -> None:
        with opened(path) as file, target.open("r+b") as rendered:
            self._ask("page", [file, rendered], self._limits, number)

    def _ask(
        self, task: str, files: list[IO[bytes]], limits: Limits, page: int = 0
    ) -> dict[str, Any]:
        """Of a process that runs; when it ends for no fault of the file, of another."""
        for _ in range(ATTEMPTS):
            parser = self._running()
            try:
                return parser.ask(task, files, limits, page)
            except ParserEnded:
                parser.stop()
                log.error("inspection", reason="its process ended")  # noqa: TRY400 -- no words
        raise InspectorBusy

    def _running(self) -> Parser:
        with self._starting:
            if self._parser is not None and self._parser.has_ended:
                self._parser.stop()
                self._parser = None
            if self._parser is None:
                if not can_shut_ways_out():
                    log.warning("inspection", reason="this system cannot refuse system calls")
                self._parser = Parser()
            return self._parser
