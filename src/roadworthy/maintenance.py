"""What an operator does beside serving: the work that is due, and the jobs that failed.

Raises `MigrationError` when the database is of another release, and `Unavailable`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from roadworthy.app import create_worker, going, storage_of
from roadworthy.database import Database, with_database
from roadworthy.documents import Going, Moved, Moving, size_stored
from roadworthy.jobs import FailedJob, find_failed_jobs, revive_job
from roadworthy.migrations import require_head
from roadworthy.settings import Settings
from roadworthy.storage import StorageAway, open_storage, place_of

T = TypeVar("T")


class Worked(NamedTuple):
    """How many jobs were done, and how many failed."""

    done: int
    failed: int


def run_due(settings: Settings) -> Worked:
    """Do the jobs that are due."""

    async def run(database: Database) -> Worked:
        storage = storage_of(settings)
        worker = create_worker(database, storage, settings)
        try:
            count = await worker.run_due()
            return Worked(count - worker.failures, worker.failures)
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


class CannotMove(Exception):
    """The files cannot be moved, or not all of them; the message says what to do."""


def move_files(
    settings: Settings,
    source_url: str,
    target_url: str,
    begin: Callable[[int], Callable[[int], None]],
    *,
    delete: bool,
) -> Moved:
    """Copy all files from one storage to the other, and `delete` them there once all are.

    `begin` is told how many bytes there are to do. Raises `CannotMove`.
    """
    _require_two_places(settings, source_url, target_url, delete=delete)

    async def run(database: Database) -> Moved:
        source, target = (
            open_storage(url, settings.incoming, settings.storage_credentials)
            for url in (source_url, target_url)
        )
        moving = Moving(database, source, target, begin(await database.report(size_stored)))
        try:
            await moving.copy()
            if delete:
                await moving.delete(datetime.now(UTC))
        finally:
            await source.close()
            await target.close()
        return moving.moved

    try:
        return _with_database(settings, run)
    except StorageAway as error:
        raise CannotMove(
            f"storage does not answer: {error}: what was copied stays, so start again when it does"
        ) from None


def _require_two_places(
    settings: Settings, source_url: str, target_url: str, *, delete: bool
) -> None:
    places = []
    for url in (source_url, target_url, settings.storage_url):
        try:
            places.append(place_of(url, settings.storage_credentials))
        except ValueError as error:
            raise CannotMove(f"the URL of a storage {error}") from None
    source, target, serving = places
    if source == target:
        raise CannotMove("both are the same storage: say with --from where the files are now")
    if delete and serving != target:
        raise CannotMove(
            "files are served from elsewhere than they are moved to: set ROADWORTHY_STORAGE_URL to "
            "the new storage and restart the service before you delete the old files"
        )


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
