"""Work that waits, for a disk or for another machine, while the event loop goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from io import FileIO
from typing import Any, ParamSpec, TypeVar

import structlog

from roadworthy.storage.errors import StorageAway

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 8
COMPUTING = 4
"""Each waits for the disk about as long as it computes; more would only take each other's turns."""


class Threads:
    """A few threads. What fails there for an `OSError` raises `StorageAway`."""

    def __init__(self, name: str):
        self._threads = ThreadPoolExecutor(WAITING, thread_name_prefix=name)
        self._computing = ThreadPoolExecutor(COMPUTING, thread_name_prefix=f"{name}-computing")

    async def off_loop(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns. It goes on without who is cancelled."""
        with _or_away():
            return await asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))

    async def to_its_end(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns. Who is cancelled waits for it, and may then close what it uses."""
        return await _result(self._threads.submit(work, *args, **kwargs))

    @asynccontextmanager
    async def opened(self, open_file: Callable[[], FileIO]) -> AsyncIterator[FileIO]:
        """What `open_file` opens, closed afterwards; who is cancelled before leaves none open."""
        opening = self._threads.submit(open_file)
        try:
            with _or_away():
                file = await asyncio.wrap_future(opening)
            yield file
        finally:
            opening.add_done_callback(_close)

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        """Work that computes, off the loop, each begun when the one before is done; in the end all
        are.
        """
        last: Future[None] | None = None

        async def begin(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
            nonlocal last
            if last:
                await _result(last)
            last = self._computing.submit(work, *args, **kwargs)

        try:
            yield begin
            if last:
                await _result(last)
        finally:
            if last:
                await _end(last)

    def close(self) -> None:
        """Finish what is under way."""
        self._computing.shutdown()
        self._threads.shutdown()


async def _result(work: Future[T]) -> T:
    try:
        with _or_away():
            return await asyncio.wrap_future(work)
    except asyncio.CancelledError:
        await _end(work)
        raise


async def _end(work: Future[Any]) -> None:
    """Wait for it, whoever is cancelled meanwhile: no thread can be stopped."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.gather(asyncio.wrap_future(work), return_exceptions=True)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled


def _close(opening: Future[FileIO]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


@contextmanager
def _or_away() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        log.error("storage", reason=reason)  # noqa: TRY400 -- one line, no traceback
        raise StorageAway(reason) from error
