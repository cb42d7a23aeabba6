"""What an operator does beside serving: the work that is due, and the jobs that failed.

Raises `MigrationError` when the database is of another release, and `Unavailable`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from roadworthy.app import create_worker, storage_of
from roadworthy.database import Database, with_database
from roadworthy.jobs import FailedJob, find_failed_jobs, revive_job
from roadworthy.migrations import require_head
from roadworthy.settings import Settings

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


def failed_jobs(settings: Settings) -> list[FailedJob]:
    """The jobs that failed: first those that were given up, the latest first."""
    return _with_database(settings, lambda database: database.report(find_failed_jobs))


def retry_job(settings: Settings, job_id: int) -> bool:
    """Whether there was such a job, which is now tried again."""
    now = datetime.now(UTC)
    return _with_database(settings, lambda database: database.write(revive_job, job_id, now))


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    require_head(settings.database_url)
    return with_database(settings.database_url, work)
