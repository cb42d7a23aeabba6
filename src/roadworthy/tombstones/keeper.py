"""Keeps copies of the tombstones apart from the database, while it serves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import structlog

from roadworthy.database import Busy, Database, Unavailable
from roadworthy.tombstones.copy import COPY, Copy
from roadworthy.tombstones.queries import (
    MOST_AT_ONCE,
    find_backup_folders,
    find_lineage,
    find_tombstone_ids,
    find_tombstones,
)

log = structlog.get_logger()

EVERY_SECONDS = 5.0
STOP_SECONDS = 5.0


class Keeper:
    """A copy in `folder`, and one beside the last backups in each folder that can be reached.

    Each server process has its own: copies that several bring up to date are complete all the
    same, and on each of several machines there is one.
    """

    def __init__(self, database: Database, folder: Path):
        self._database = database
        self._copy = Copy(folder / COPY, make=True)
        self._beside: dict[Path, Copy] = {}
        self._at_work: dict[Path, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._said: dict[Path, str] = {}
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Keep them up to date until `stop`. One that hangs on its disk does not keep the other."""
        self._tasks = [
            asyncio.get_running_loop().create_task(self._until_stopped(keep))
            for keep in (self.keep, self.keep_beside_backups)
        ]

    async def stop(self) -> None:
        """Once what has happened until now is noted, or cannot be soon."""
        self._stopping.set()
        _, hanging = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in (*hanging, *self._at_work.values()):
            task.cancel()

    async def keep(self) -> None:
        """Bring the copy of our own up to date; what is amiss is logged.

        Raises `Unavailable` and `Busy`.
        """
        await self._keep(self._copy)

    async def keep_beside_backups(self) -> None:
        """The same for those beside the last backups, wherever they went.

        One that hangs on its disk is left to it, and keeps none of the others.
        """
        folders = await self._database.read(find_backup_folders)
        paths = [Path(folder) / COPY for folder in folders]
        self._beside = {path: self._beside.get(path) or Copy(path, make=False) for path in paths}
        hanging = {path: task for path, task in self._at_work.items() if not task.done()}
        begun = {
            path: asyncio.create_task(self._keep(copy))
            for path, copy in self._beside.items()
            if path not in hanging
        }
        self._at_work = hanging | begun
        if begun:
            done, _ = await asyncio.wait(begun.values(), timeout=EVERY_SECONDS)
            for error in [each.exception() for each in done]:  # each is asked for its own
                if error:
                    raise error

    async def _until_stopped(self, keep: Callable[[], Awaitable[None]]) -> None:
        stops = False
        while not stops:
            stops = self._stopping.is_set()  # then this round is the last
            try:
                await keep()
            except (Unavailable, Busy):
                pass  # was logged where it was met
            except Exception:
                log.exception("tombstones")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), EVERY_SECONDS)

    async def _keep(self, copy: Copy) -> None:
        try:
            await bring_up_to_date(self._database, copy)
        except OSError as error:
            self._say(copy.path, error.strerror or type(error).__name__)
        else:
            self._said.pop(copy.path, None)

    def _say(self, path: Path, reason: str) -> None:
        """Once, not every few seconds."""
        if self._said.get(path) != reason:
            self._said[path] = reason
            log.error("tombstones", file=str(path), reason=reason)


async def bring_up_to_date(database: Database, copy: Copy) -> None:
    """Add to `copy` what it lacks. Raises `OSError`, `Unavailable` and `Busy`."""
    now = datetime.now(UTC)
    lineage = await database.report(find_lineage)
    after = await asyncio.to_thread(copy.look, lineage)
    ids = await database.report(find_tombstone_ids, after)
    missing = iter(copy.lacks(ids))
    while some := list(islice(missing, MOST_AT_ONCE)):
        await asyncio.to_thread(copy.append, await database.report(find_tombstones, some))
    copy.has(ids[-1] if ids else after)
    await asyncio.to_thread(copy.is_complete, now)
