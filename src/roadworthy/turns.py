"""Whose turn it is, of many who wait for little."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets in `at_once`, of one place `most_of_one`; those who wait are let in place by place, so
    that however many wait of one place, those of others wait for one of each.
    """

    def __init__(self, at_once: int, most_of_one: int | None = None):
        self._free = at_once
        self._most_of_one = most_of_one or at_once
        self._inside = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By place, the one whose turn is next first."""

    @asynccontextmanager
    async def turn(self, place: str) -> AsyncIterator[None]:
        """Wait for the turn of who comes from `place`, and have it."""
        await self._wait(place)
        try:
            yield
        finally:
            self._leave(place)

    async def _wait(self, place: str) -> None:
        if self._has_room(place):
            self._enter(place)
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(place, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._leave(place)  # it was let in as it gave up
            raise

    def _has_room(self, place: str) -> bool:
        return self._free > 0 and self._inside[place] < self._most_of_one

    def _enter(self, place: str) -> None:
        self._free -= 1
        self._inside[place] += 1

    def _leave(self, place: str) -> None:
        self._free += 1
        self._inside[place] -= 1
        if not self._inside[place]:
            del self._inside[place]
        for waiting in tuple(self._waiting):
            if self._has_room(waiting):
                self._let_in(waiting)

    def _let_in(self, place: str) -> None:
        theirs = self._waiting.pop(place)
        while theirs and theirs[0].done():  # who gave up
            theirs.popleft()
        if theirs:
            self._enter(place)
            theirs.popleft().set_result(None)
        if theirs:
            self._waiting[place] = theirs
