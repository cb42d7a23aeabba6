"""What an operator does beside serving: the work that is due, and the jobs that failed.

Raises `MigrationError` when the database is of another release, and `Unavailable`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from roadworthy.app import create_worker, going, storage_of
from roadworthy.database import Database, open_database
from roadworthy.documents import Going
from roadworthy.jobs import FailedJob, find_failed_jobs, revive_job
from roadworthy.migrations import require_head
from roadworthy.settings import Settings
from roadworthy.telemetry import configure_logs

T = TypeVar("T")


def run_due(settings: Settings) -> int:
    """Do the jobs that are due: how many."""

    async def run(database: Database) -> int:
        storage = storage_of(settings)
        try:
            return await create_worker(database, storage, settings).run_due()
        finally:
            await storage.close()

    return _with_database(settings, run)


def show_going(settings: Settings, show: Callable[[Going], None]) -> int:
    """Show what of files and closed accounts would go now, and change nothing: how many."""

    async def run(database: Database) -> int:
        storage, count = storage_of(settings), 0
        try:
            async for each in going(database, storage, settings):
                show(each)
                count += 1
        finally:
            await storage.close()
        return count

    return _with_database(settings, run)


def failed_jobs(settings: Settings) -> list[FailedJob]:
    """The jobs that failed: first those that were given up, the latest first."""
    return _with_database(settings, lambda database: database.report(find_failed_jobs))


def retry_job(settings: Settings, job_id: int) -> bool:
    """Whether there was such a job, which is now tried again."""
    now = datetime.now(UTC)
    return _with_database(settings, lambda database: database.write(revive_job, job_id, now))


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    require_head(settings.database_url)
    configure_logs()

    async def run() -> T:
        database = open_database(settings.database_url)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
