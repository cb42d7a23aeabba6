"""The interface that both databases meet."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection

from roadworthy.database.advice import Complaints

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]


class Unavailable(Exception):
    """The database cannot answer now.

    A write was undone, unless the connection broke while it was committed: then nobody can tell,
    and who tries again should do so in a way that may be done twice (`wire.Idempotency`).
    """


class Busy(Exception):
    """More waits than the database can take; try again in a second."""


SAMPLE_SECONDS = 1


class Database(ABC):
    """Runs query functions. Raises `Unavailable`, `Busy` and what the function raises.

    A write should be short: on SQLite its statements run on the event loop, and all writers wait.
    """

    def __init__(self) -> None:
        self._sampling: asyncio.Task[None] | None = None
        self._forgetting: list[Callable[[], None]] = []
        self._takes_writes = False
        self._complaints = Complaints()

    @abstractmethod
    async def open(self) -> None:
        """Call once, on the event loop that will use it. Succeeds while the database is away."""

    def when_lost(self, forget: Callable[[], None]) -> None:
        """Call `forget` whenever what is read next may be of another database: one that was
        restored in its place, say, where a version may stand for other content.
        """
        self._forgetting.append(forget)

    @abstractmethod
    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a point look-up: a statement that an index answers."""

    @abstractmethod
    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that may scan; never on the event loop."""

    @abstractmethod
    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in one transaction, durable when this returns, undone when the query raises."""

    @abstractmethod
    async def write_one(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a query of one statement, which is a transaction by itself.

        Of several, each could be kept without the others.
        """

    async def require_writable(self) -> None:
        """Raise `Unavailable` when it takes no writes: by one that changes nothing, unless none has
        failed, and nothing was lost, since the last that was tried.
        """
        if not self._takes_writes:
            await self.write(write_nothing)
            self._takes_writes = True

    @abstractmethod
    async def close(self) -> None:
        """Finish the writes that wait, then let go of every connection."""

    @abstractmethod
    def sample(self) -> None:
        """Set the gauges that say what is at work and what waits."""

    def _lost(self) -> None:
        self._takes_writes = False
        for forget in self._forgetting:
            forget()

    def _start_sampling(self) -> None:
        self._sampling = asyncio.get_running_loop().create_task(self._sample())

    def _stop_sampling(self) -> None:
        if self._sampling is not None:
            self._sampling.cancel()

    async def _sample(self) -> None:
        """Once in a while is enough for a gauge, and costs no request anything."""
        while True:
            try:
                self.sample()
            except Exception:
                log.exception("fault")  # the next one may do better
            await asyncio.sleep(SAMPLE_SECONDS)


def write_nothing(connection: Connection) -> None:
    """What a full disk and a standby refuse as they do any write, and leaves all as it was."""
    if connection.dialect.name == "sqlite":
        # SQLite writes no row that is as it was, and this, which nobody reads, always: into an
        # emptied file too, as into a new database, but for the table that is not in it.
        connection.exec_driver_sql("SELECT version_num FROM alembic_version").close()
        connection.exec_driver_sql("PRAGMA user_version = 0")
    else:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
