"""SQLite, the embedded database: reads on the event loop's connection, writes in group commits."""

import asyncio
import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from roadworthy.database.core import Busy, Database, P, Query, T, Unavailable, write_nothing
from roadworthy.database.group_commit import GroupCommit
from roadworthy.database.held import HeldFiles
from roadworthy.database.outage import outage_reason
from roadworthy.telemetry import metrics

SQLITE = "sqlite:///"
"""How a URL of such a database begins; the rest is the path of its file."""

READER_WAIT_SECONDS = 0.25
"""Only at recovery, or for who locks the file for themselves, does it wait: the event loop too."""
READER_CACHE = "PRAGMA cache_size = -20000"  # it reads all over the file; writes add to its ends


class SQLite(Database):
    """One file. Every process has a reader on its event loop and one writer."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path
        self._engine = sqlite_engine(path)
        self._reading = sqlite_engine(path, wait_seconds=READER_WAIT_SECONDS)
        self._files = HeldFiles(path)
        self._writer = GroupCommit(self._engine, path, self._files, self._after_outage)
        self._reader: Connection | None = None
        self._looking: asyncio.Task[None] | None = None
        self._reporters = ThreadPoolExecutor(2, thread_name_prefix="report")

    async def open(self) -> None:
        self._start_sampling()

    def sample(self) -> None:
        metrics.writer_queue.set(self._writer.waiting)
        if not self._files.are_same and (self._looking is None or self._looking.done()):
            # First the writer, which may have to bring home what a log that was taken away holds.
            self._looking = asyncio.get_running_loop().create_task(self._look_again())

    async def _look_again(self) -> None:
        with contextlib.suppress(Busy, Unavailable):
            await self.write(write_nothing)
        self._forget_reader()

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return query(self._reader or self._connect_reader(), *args, **kwargs)
        except (DBAPIError, sqlite3.Error, FileNotFoundError) as error:
            self._forget_reader()
            self._raise_outage(error)
            raise

    def _connect_reader(self) -> Connection:
        self._reader = self._files.connect(self._reading)
        self._reader.exec_driver_sql(READER_CACHE)
        return self._reader

    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def unit() -> T:
            try:
                connection = self._files.connect(self._engine)
                try:
                    return query(connection, *args, **kwargs)
                finally:
                    self._files.close(connection)
            except (DBAPIError, sqlite3.Error, FileNotFoundError) as error:
                self._raise_outage(error)
                raise

        return await asyncio.get_running_loop().run_in_executor(self._reporters, unit)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writer.run(lambda connection: query(connection, *args, **kwargs))

    async def write_one(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writer.run(
            lambda connection: query(connection, *args, **kwargs), is_one=True
        )

    async def close(self) -> None:
        self._stop_sampling()
        await self._writer.close()
        self._reporters.shutdown()
        self._forget_reader()
        self._reading.dispose()
        self._engine.dispose()

    def _after_outage(self, reason: str) -> None:
        """Connections of a process share a file found read-only, until all of them let it go."""
        self._takes_writes = False
        self._complaints.say(reason)
        if any(sign in reason for sign in ("readonly", "put away", "was emptied")):
            self._forget_reader()

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._files.close(self._reader)
            self._reader = None
            self._lost()

    def _raise_outage(self, error: DBAPIError | sqlite3.Error | FileNotFoundError) -> None:
        reason = outage_reason(error)
        if reason:
            self._complaints.say(reason)
            raise Unavailable(reason) from error


def sqlite_engine(path: str, *, create: bool = False, wait_seconds: float = 10) -> Engine:
    """An engine for the file at `path`, made with `create`; transactions are begun by hand.

    Who locks it is waited for `wait_seconds` at most.
    """
    engine = create_engine(
        f"sqlite:///file:{quote(path)}?mode={'rwc' if create else 'rw'}&uri=true",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": wait_seconds},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        try:
            _use_log(connection, path, create=create)
            _set_pragmas(connection)
        except BaseException:
            connection.close()
            raise

    return engine


def _use_log(connection: sqlite3.Connection, path: str, *, create: bool) -> None:
    """Of an empty file SQLite would throw the log away, and write a first page there, perhaps over
    what is being put in its place.
    """
    if not create and Path(path).stat().st_size == 0:
        raise _emptied(path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        return
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not (pages or create):
        raise _emptied(path)
    connection.execute("PRAGMA journal_mode=WAL")


def _emptied(path: str) -> sqlite3.OperationalError:
    """As SQLite raises of a file that it cannot open."""
    error = sqlite3.OperationalError(f"{path} was emptied")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    return error


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-4000",
        "schema_version",  # reads, which makes the log where there is none
    ):
        connection.execute(f"PRAGMA {pragma}")
