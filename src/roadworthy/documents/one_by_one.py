"""Requests of one that take turns."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from roadworthy.wire import ServiceUnavailable

K = TypeVar("K", bound=Hashable)

WAIT_SECONDS = 30
RETRY_SECONDS = 10


class OneByOne(Generic[K]):
    """What each asks for is done one after the other, so that others find room too."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[K, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, whose: K) -> AsyncIterator[None]:
        """Wait for what they asked for before. Raises `ServiceUnavailable` when that takes long."""
        lock = self._locks.setdefault(whose, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await lock.acquire()
        except TimeoutError:
            raise ServiceUnavailable(RETRY_SECONDS) from None
        try:
            yield
        finally:
            lock.release()
