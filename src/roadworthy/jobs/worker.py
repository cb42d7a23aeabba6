"""The worker of a server process: does what is due, a few jobs of each kind at once."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from roadworthy.database import Busy, Database, Unavailable
from roadworthy.jobs.job import (
    LEASE,
    MOST_ATTEMPTS,
    ClockWatch,
    Handler,
    Hopeless,
    Incomplete,
    Job,
    latest_run,
    retry_at,
)
from roadworthy.jobs.queries import (
    claim_job,
    fail_job,
    find_due_kinds,
    find_recurring,
    finish_job,
    plan_recurring,
    renew_lease,
    repeat_job,
)

log = structlog.get_logger()

POLL_SECONDS = 1.0
MOST_OF_A_KIND = 4


class WorkerEnded(Exception):
    """Every worker that took the job ended before the job did."""


class TookTooLong(Exception):
    """The job was not done within its limit."""


class Worker:
    """Does the jobs of which it has `handlers`, by kind; `clock` gives the time, in UTC.

    No kind waits for another, however long that takes. What is done or fails while the database
    is away is done again once its lease has ended.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._watch = ClockWatch()
        self._polling: asyncio.Task[None] | None = None
        self._lines: dict[str, set[asyncio.Task[None]]] = {kind: set() for kind in handlers}
        self.failures = 0
        """Jobs that failed here."""

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._polling = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Jobs under way are left to whoever takes them when their leases end."""
        if self._polling is not None:
            await _cancel(self._polling)
        for line in set().union(*self._lines.values()):
            await _cancel(line)

    async def run_due(self) -> int:
        """Do everything that is due now: how many jobs, with those that failed."""
        await self._plan_recurring()
        try:
            async with asyncio.TaskGroup() as group:
                lines = [group.create_task(self._do_due(kind)) for kind in self._handlers]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return sum(line.result() for line in lines)

    async def _poll(self) -> None:
        while True:
            await _survive(self._open_lines())
            await asyncio.sleep(POLL_SECONDS)

    async def _open_lines(self) -> None:
        """One more for each kind that is due; each goes on until nothing of its kind is."""
        await self._plan_recurring()
        now = self._clock()
        in_doubt = self._is_in_doubt(now)
        for kind in await self._database.read(find_due_kinds, self._handlers, now):
            has_place = len(self._lines[kind]) < MOST_OF_A_KIND
            if has_place and not (self._handlers[kind].every and in_doubt):
                self._open_line(kind)

    def _open_line(self, kind: str) -> None:
        line = asyncio.create_task(_survive(self._do_due(kind)))
        self._lines[kind].add(line)
        line.add_done_callback(self._lines[kind].discard)

    async def _plan_recurring(self) -> None:
        planned = await self._database.read(find_recurring)
        now = self._clock()
        for kind, handler in self._handlers.items():
            every = handler.every
            if every and (kind not in planned or planned[kind] > latest_run(every, now)):
                await self._database.write(plan_recurring, kind, every, now)

    async def _do_due(self, kind: str) -> int:
        done = 0
        while job := await self._claim(kind):
            await self._run(job)
            done += 1
        return done

    async def _claim(self, kind: str) -> Job | None:
        now = self._clock()
        if self._handlers[kind].every and self._is_in_doubt(now):
            return None
        if not await self._database.read(find_due_kinds, (kind,), now):
            return None
        return await self._database.write(claim_job, kind, now)

    def _is_in_doubt(self, now: datetime) -> bool:
        return self._watch.is_in_doubt(now, time.monotonic())

    async def _run(self, job: Job) -> None:
        holding = asyncio.create_task(self._hold(job))
        try:
            await self._try(job)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the job waits or dies visibly
            await self._failed(job, error)
        else:
            await self._done(job)
        finally:
            holding.cancel()

    async def _hold(self, job: Job) -> None:
        """Renew the lease each time that the clock has moved by a third of it, even backwards."""
        renewed_at = job.begun_at
        while True:
            await asyncio.sleep(POLL_SECONDS)
            now = self._clock()
            if abs(now - renewed_at) >= LEASE / 3:
                with contextlib.suppress(Unavailable, Busy):
                    await self._database.write(renew_lease, job, now)
                    renewed_at = now

    async def _try(self, job: Job) -> None:
        if job.attempts > MOST_ATTEMPTS and not job.recurring:
            raise WorkerEnded
        handler = self._handlers[job.kind]
        try:
            async with asyncio.timeout(handler.limit.total_seconds()) as limit:
                await handler.run(json.loads(job.payload))
        except TimeoutError:
            if limit.expired():
                raise TookTooLong(f"more than {handler.limit}") from None
            raise

    async def _done(self, job: Job) -> None:
        if every := self._every(job):
            await self._database.write(repeat_job, job, self._clock() + every)
        else:
            await self._database.write(finish_job, job)

    async def _failed(self, job: Job, error: Exception) -> None:
        # Its words may hold an address or a name: they stay in the database.
        log.warning("job failed", job=job.id, kind=job.kind, error=type(error).__name__)
        self.failures += 1
        reason = f"{type(error).__name__}: {error}"[:500]
        now, every = self._clock(), self._every(job)
        if isinstance(error, Incomplete) and every:
            await self._database.write(repeat_job, job, now + every, reason)
            return
        again = retry_at(job.attempts, every, now)
        if isinstance(error, Hopeless) and not job.recurring:
            again = None
        await self._database.write(fail_job, job, reason, again, now)

    def _every(self, job: Job) -> timedelta | None:
        return self._handlers[job.kind].every if job.recurring else None


async def _survive(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except (Unavailable, Busy):
        pass  # was logged where it was met
    except Exception:
        log.exception("worker")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
