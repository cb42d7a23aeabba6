"""Files on their way out of this process, not more at once than there is memory for."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

import structlog

from roadworthy.documents.access import Viewer
from roadworthy.storage import NotStored
from roadworthy.wire import NotFound, ServiceUnavailable, TooManyRequests

log = structlog.get_logger()

MOST_LEAVING = 96
"""Who takes a file slowly holds some memory of ours, which is as much as sixteen pieces."""
MOST_TO_ONE = 8
"""Of those, who look on behalf of one: others shall find room too."""
FEW_LEAVING = 16
PIECE_OF_FEW, PIECE_OF_MANY = 256 * 1024, 64 * 1024
"""Large pieces go out faster, and are for as many as there is memory for."""


class Leaving:
    """Counts the files that this process hands out, whoever asked."""

    def __init__(self) -> None:
        self._to: Counter[Viewer] = Counter()

    @contextmanager
    def one(self, to: Viewer) -> Iterator[int]:
        """For as long as one more leaves: in pieces of how many bytes.

        Raises `TooManyRequests` when too many go to them, `ServiceUnavailable` when too many do.
        """
        if self._to[to] >= MOST_TO_ONE:
            raise TooManyRequests(1)
        if self._to.total() >= MOST_LEAVING:
            raise ServiceUnavailable
        self._to[to] += 1
        try:
            yield PIECE_OF_FEW if self._to.total() <= FEW_LEAVING else PIECE_OF_MANY
        finally:
            self._to[to] -= 1
            if not self._to[to]:
                del self._to[to]


async def begun(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same parts, of which there is one: whatever is wrong shows before we answer.

    Raises `NotFound`, and what `parts` does.
    """
    try:
        first = await anext(parts)
    except NotStored:
        log.error("storage", reason="a file is missing")  # noqa: TRY400 -- no traceback
        raise NotFound from None
    return _after(first, parts)


async def _after(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(parts):
        yield first
        async for part in parts:
            yield part
