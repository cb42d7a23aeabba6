"""SQLite, the embedded database: reads on the event loop's connection, writes in group commits."""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from roadworthy.database.core import Busy, Database, P, Query, T, Unavailable, is_outage
from roadworthy.telemetry import metrics

log = structlog.get_logger()

MOST_IN_A_COMMIT = 128
MOST_WAITING = 2048


class SQLite(Database):
    """One file. Every process has a reader on its event loop and one writer thread."""

    def __init__(self, path: str):
        self._path = path
        self._engine = sqlite_engine(path)
        self._writer: _Writer | None = None
        self._reader: Connection | None = None
        self._reporters = ThreadPoolExecutor(2, thread_name_prefix="report")

    async def open(self) -> None:
        self._writer = _Writer(self._engine, f"{self._path}-turn", asyncio.get_running_loop())

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            if self._reader is None:
                self._reader = self._engine.connect()
            return query(self._reader, *args, **kwargs)
        except DBAPIError as error:
            self._forget_reader()
            raise _judged(error) from error

    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def unit() -> T:
            try:
                with self._engine.connect() as connection:
                    return query(connection, *args, **kwargs)
            except DBAPIError as error:
                raise _judged(error) from error

        return await asyncio.get_running_loop().run_in_executor(self._reporters, unit)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._writer is None:
            raise Unavailable("the database is closed")
        return await self._writer.submit(lambda connection: query(connection, *args, **kwargs))

    async def close(self) -> None:
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
            self._writer = None
        self._reporters.shutdown()
        self._forget_reader()
        self._engine.dispose()

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def sqlite_engine(path: str) -> Engine:
    """An engine for the file at `path` whose transactions are begun by hand."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": 10},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _judged(error: DBAPIError) -> Exception:
    if not is_outage(error):
        return error
    log.error("database", reason=str(error.orig))
    return Unavailable(str(error.orig))


@dataclass(slots=True)
class _Job:
    run: Callable[[Connection], Any]
    answer: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Writer:
    """A thread that runs the writes that wait, each in a savepoint, and commits them together.

    Nobody is answered before the commit that holds their write is on disk.
    """

    def __init__(self, engine: Engine, turn: str, loop: asyncio.AbstractEventLoop):
        self._engine = engine
        self._turn = turn
        self._loop = loop
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    async def submit(self, run: Callable[[Connection], T]) -> T:
        if self._waiting.qsize() >= MOST_WAITING:
            raise Busy
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put(_Job(run, answer))
        return await answer

    def stop(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._gather()
            if batch:
                self._commit(batch)
                metrics.writer_batch.observe(len(batch))
                metrics.writer_queue.set(self._waiting.qsize())
                self._loop.call_soon_threadsafe(_answer, batch)
        self._forget_connection()

    def _gather(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._waiting.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MOST_IN_A_COMMIT:
                return batch, False
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Job]) -> None:
        try:
            connection = self._connection = self._connection or self._engine.connect()
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)  # noqa: S101 -- tells the type
            with _turn(self._turn):
                driver.execute("BEGIN IMMEDIATE")
                for job in batch:
                    self._run(job, connection, driver)
                driver.execute("COMMIT")
        except (sqlite3.Error, DBAPIError, OSError) as error:
            log.error("database", reason=str(getattr(error, "orig", error)))  # noqa: TRY400 -- one line
            self._forget_connection()
            for job in batch:
                job.error = Unavailable(str(error))

    def _run(self, job: _Job, connection: Connection, driver: sqlite3.Connection) -> None:
        driver.execute("SAVEPOINT one")
        try:
            job.result = job.run(connection)
        except BaseException as error:  # handed to the one who waits
            if not driver.in_transaction or (isinstance(error, DBAPIError) and is_outage(error)):
                raise sqlite3.OperationalError(str(getattr(error, "orig", error))) from error
            job.error = error
            driver.execute("ROLLBACK TO one")
        driver.execute("RELEASE one")

    def _forget_connection(self) -> None:
        """Closing also undoes what was not committed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _turn(path: str) -> Iterator[None]:
    """Queue behind the writers of other processes.

    SQLite's own lock is polled, up to 100 ms apart, and takes no turns; the kernel's wakes the
    next in line at once, and lets go by itself when a process dies.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _answer(batch: list[_Job]) -> None:
    for job in batch:
        if job.answer.cancelled():
            continue
        if job.error is not None:
            job.answer.set_exception(job.error)
        else:
            job.answer.set_result(job.result)
