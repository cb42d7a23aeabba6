"""Whose turn it is, of many who wait for little."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets in `at_once`; those who wait are let in place by place, so that however many wait of one
    place, those of others wait for one of each.
    """

    def __init__(self, at_once: int):
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By place, the one whose turn is next first."""

    @asynccontextmanager
    async def turn(self, place: str) -> AsyncIterator[None]:
        """Wait for the turn of who comes from `place`, and have it."""
        await self._wait(place)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, place: str) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(place, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()  # it was let in as it gave up
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            place = next(iter(self._waiting))
            theirs = self._waiting.pop(place)
            while theirs and theirs[0].done():  # who gave up
                theirs.popleft()
            if theirs:
                theirs.popleft().set_result(None)
                if theirs:
                    self._waiting[place] = theirs
                return
        self._free += 1
