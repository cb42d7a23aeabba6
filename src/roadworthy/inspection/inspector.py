"""Looks into files that drivers hand in, in processes that may come to harm."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
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
from roadworthy.turns import Turns

T = TypeVar("T")

log = structlog.get_logger()

MOST_WAITING = 64
"""Files that may wait at once; with one more, come back."""
MOST_OF_ONE = 24
"""Of those, that came from one place: others shall find room too, and their turn."""

WAIT_SECONDS = 30
"""How long one waits for its turn."""

MOST_PHOTOGRAPHS = 20
"""That are joined into one PDF."""

ATTEMPTS = 2


class Inspector:
    """Says what a file is and whether we take it, joins photographs, renders pages.

    One a server process; a process of its own, started with the first file, forks for each file.
    Half as many files as there are processors, and two at least, are looked into at a time, half of
    them at most of one `place`, which is where those who ask come from. Pages are rendered beside
    that: who looks holds up nobody who hands in. Raises `NotStored` when a file was removed while
    it waited for its turn.
    """

    def __init__(
        self,
        scanner: ClamAV | None = None,
        limits: Limits | None = None,
        at_once: int = max(2, (os.cpu_count() or 1) // 2),
    ):
        """`scanner`: what looks at each file as well; `at_once`: files, of which one place may have
        half.
        """
        pages_at_once = at_once // 2
        self._scanner = scanner
        self._limits = limits or Limits()
        self._threads = ThreadPoolExecutor(at_once + pages_at_once, "inspection")
        self._turns = Turns(at_once, most_of_one=at_once // 2)
        self._turns_of_pages = Turns(pages_at_once)
        self._waiting = Counter[str]()
        self._starting = threading.Lock()
        self._parser: Parser | None = None
        self._is_closed = False

    async def inspect(self, path: Path, place: str = "") -> str:
        """The content type of the file, decided from its bytes: one of `TYPES`.

        Raises `FileRefused` for a file that we do not take, `InspectorBusy`, and `ScannerAway`
        when the scanner was to be asked and does not answer.
        """
        async with self._turn(self._turns, place):
            content_type = await self._off_loop(self._inspect, path)
        if self._scanner:
            await self._scanner.scan(path)
        return content_type

    async def join(
        self, paths: Sequence[Path], target: Path, most_bytes: int, place: str = ""
    ) -> None:
        """Make one PDF of photographs, in order, in the existing file `target`.

        They stand upright and are made smaller until the PDF has at most `most_bytes`, or 18 MB.
        When this raises, what is in `target` is of no use. Raises `FileRefused` and
        `InspectorBusy`.
        """
        if not 1 <= len(paths) <= MOST_PHOTOGRAPHS:
            raise FileRefused(Reason.TOO_MANY_PAGES)
        async with self._turn(self._turns, place):
            await self._off_loop(self._join, paths, target, most_bytes)

    async def page(self, path: Path, target: Path, number: int, place: str = "") -> None:
        """Render the page of that number, from 1, of a PDF, or a photograph, which is its page 1.

        A JPEG of at most 2000 pixels a side, in the existing file `target`. Raises `FileRefused`
        and `InspectorBusy`.
        """
        async with self._turn(self._turns_of_pages, place):
            await self._off_loop(self._page, path, target, number)

    def close(self) -> None:
        """Let go of processes, and of threads, which then wait for nothing any more."""
        with self._starting:
            self._is_closed = True
            if self._parser:
                self._parser.stop()
        self._threads.shutdown(cancel_futures=True)

    @asynccontextmanager
    async def _turn(self, turns: Turns, place: str) -> AsyncIterator[None]:
        if self._waiting.total() >= MOST_WAITING or self._waiting[place] >= MOST_OF_ONE:
            raise InspectorBusy
        self._count(place, +1)
        try:
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(WAIT_SECONDS):
                        await stack.enter_async_context(turns.turn(place))
                except TimeoutError:
                    raise InspectorBusy from None
                yield
        finally:
            self._count(place, -1)

    def _count(self, place: str, change: int) -> None:
        self._waiting[place] += change
        if not self._waiting[place]:
            del self._waiting[place]
        metrics.inspections_waiting.set(self._waiting.total())

    async def _off_loop(self, work: Callable[..., T], *values: object) -> T:
        """In a thread, which goes on when whoever waits for it is gone."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *values)

    def _inspect(self, path: Path) -> str:
        with opened(path) as file:
            found = self._ask("inspect", [file], self._limits)
        if found.get("type") not in TYPES:
            raise FileRefused(Reason.DAMAGED)
        return str(found["type"])

    def _join(self, paths: Sequence[Path], target: Path, most_bytes: int) -> None:
        with ExitStack() as stack:
            files: list[IO[bytes]] = [stack.enter_context(opened(path)) for path in paths]
            files.append(stack.enter_context(target.open("r+b")))
            files[-1].truncate()
            self._ask("join", files, self._limits.for_files(len(paths)), most_bytes)

    def _page(self, path: Path, target: Path, number: int) -> None:
        with opened(path) as file, target.open("r+b") as rendered:
            self._ask("page", [file, rendered], self._limits.for_page(), number)

    def _ask(
        self, task: str, files: list[IO[bytes]], limits: Limits, number: int = 0
    ) -> dict[str, Any]:
        """Of a process that runs; when it ends for no fault of the file, of another."""
        for _ in range(ATTEMPTS):
            parser = self._running()
            try:
                return parser.ask(task, files, limits, number)
            except ParserEnded:
                parser.stop()
                log.error("inspection", reason="its process ended")  # noqa: TRY400 -- no words
        raise InspectorBusy

    def _running(self) -> Parser:
        with self._starting:
            if self._is_closed:
                raise InspectorBusy
            if self._parser is not None and self._parser.has_ended:
                self._parser.stop()
                self._parser = None
            if self._parser is None:
                if not can_shut_ways_out():
                    log.warning("inspection", reason="this system cannot refuse system calls")
                self._parser = Parser()
            return self._parser
