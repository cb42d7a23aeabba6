"""Keeps a server process told which kinds of digest its accounts have."""

import asyncio
import contextlib

import structlog

from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import find_digests_in_use
from roadworthy.database import Busy, Database, Unavailable

log = structlog.get_logger()

LOOK_SECONDS = 600
START_SECONDS = 1


class KindsInUse:
    """Looks at all accounts when it starts, and every ten minutes: some may have moved in."""

    def __init__(self, database: Database, passwords: Passwords):
        self._database = database
        self._passwords = passwords
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look, and go on looking until `stop`; who starts is not kept waiting for long."""
        first = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._look_often(first))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(first.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look_often(self, first: asyncio.Event) -> None:
        while True:
            try:
                self._passwords.expect(await self._database.report(find_digests_in_use))
            except (Unavailable, Busy):
                pass  # was logged where it was met
            except Exception:
                log.exception("kinds of digest")
            first.set()
            await asyncio.sleep(LOOK_SECONDS)
