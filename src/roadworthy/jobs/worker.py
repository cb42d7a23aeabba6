"""The worker of a server process: does what is due, one job after the other."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from roadworthy.database import Busy, Database, Unavailable
from roadworthy.jobs.job import LEASE, MOST_ATTEMPTS, Hopeless, Job, Recurring, retry_at
from roadworthy.jobs.queries import (
    claim_job,
    ensure_recurring,
    fail_job,
    finish_job,
    is_job_due,
    repeat_job,
)

log = structlog.get_logger()

Handler = Callable[[Mapping[str, Any]], Awaitable[None]]

POLL_SECONDS = 1.0


class WorkerEnded(Exception):
    """Every worker that took the job ended before the job did."""


class Worker:
    """Runs jobs with `handlers` (kind to what does it); `clock` gives the time, in UTC.

    A handler may run again for the same job: what it does twice must do no harm. One that raises
    `Hopeless` is not tried again.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        recurring: tuple[Recurring, ...],
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._handlers = handlers
        self._every = {each.kind: each.every for each in recurring}
        self._not_begun = list(self._every)
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """A job under way is left to whoever takes it when its lease ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def run_due(self) -> int:
        """Do everything that is due now: how many jobs."""
        await self._begin_recurring()
        done = 0
        while await self._database.read(is_job_due, self._clock()):
            job = await self._database.write(claim_job, self._clock())
            if job is None:
                break
            await self._run(job)
            done += 1
        return done

    async def _begin_recurring(self) -> None:
        while self._not_begun:
            await self._database.write(ensure_recurring, self._not_begun[-1], self._clock())
            self._not_begun.pop()

    async def _work(self) -> None:
        while True:
            try:
                await self.run_due()
            except (Unavailable, Busy):
                pass  # was logged where it was met
            except Exception:
                log.exception("worker")
            await asyncio.sleep(POLL_SECONDS)

    async def _run(self, job: Job) -> None:
        try:
            if job.attempts > MOST_ATTEMPTS:
                raise WorkerEnded  # noqa: TRY301 -- one place answers for every failure
            await self._handlers[job.kind](json.loads(job.payload))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the job waits or dies visibly
            await self._failed(job, error)
        else:
            await self._done(job)

    async def _done(self, job: Job) -> None:
        every = self._every.get(job.kind)
        if job.recurring and every:
            await self._database.write(repeat_job, job, self._clock() + every)
        else:
            await self._database.write(finish_job, job)

    async def _failed(self, job: Job, error: Exception) -> None:
        now = self._clock()
        again = None if isinstance(error, Hopeless) else retry_at(job.attempts, now)
        if job.recurring:
            again = again or now + self._every.get(job.kind, LEASE)  # it never dies
        # Its words may hold an address or a name: they stay in the database.
        log.warning("job failed", job=job.id, kind=job.kind, error=type(error).__name__)
        reason = f"{type(error).__name__}: {error}"[:500]
        await self._database.write(fail_job, job, reason, again, now)
