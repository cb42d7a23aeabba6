"""How much each may ask for at once, so that others find room too."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from roadworthy.wire import Refusal, ServiceUnavailable

K = TypeVar("K", bound=Hashable)

WAIT_SECONDS = 30
RETRY_SECONDS = 10


class Rooms(Generic[K]):
    """Room for `most` of each at once. One more waits for `seconds`, and then gets `refusal`."""

    def __init__(self, most: int, seconds: float, refusal: Callable[[], Refusal]):
        self._most = most
        self._seconds = seconds
        self._refusal = refusal
        self._rooms: WeakValueDictionary[K, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, whose: K) -> AsyncIterator[None]:
        """Wait for room, and have it. Raises the `refusal`."""
        room = self._rooms.setdefault(whose, asyncio.Semaphore(self._most))
        try:
            async with asyncio.timeout(self._seconds):
                await room.acquire()
        except TimeoutError:
            raise self._refusal() from None
        try:
            yield
        finally:
            room.release()


class OneByOne(Rooms[K]):
    """Room for one: what each asks for is done one after the other. Who waits too long for what
    they asked before gets `ServiceUnavailable`.
    """

    def __init__(self) -> None:
        super().__init__(1, WAIT_SECONDS, lambda: ServiceUnavailable(RETRY_SECONDS))
