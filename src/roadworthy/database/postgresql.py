"""PostgreSQL over asyncpg: the same synchronous query functions, run by SQLAlchemy's greenlets."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from sqlalchemy import Connection, NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only, greenlet_spawn

from roadworthy.database.advice import Complaints
from roadworthy.database.core import Busy, Database, P, Query, T, Unavailable
from roadworthy.database.outage import AWAY, driver_words, outage_reason
from roadworthy.telemetry import metrics

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = structlog.get_logger()

CONNECTIONS = 8
MOST_WAITING = 2048
WAIT_SECONDS = 3
"""How long a query may wait for a connection; behind a locked table it would for minutes, and when
its turn came, who asked would be gone."""
CONNECT_SECONDS = 5
QUERY_SECONDS = 30
"""How long a query function keeps a connection, with all its statements, where clients wait."""
COMMAND_SECONDS = 60 * 60
"""The same where an operator does: a restore has as many statements as tombstones."""

_BOUND_STATEMENTS = """
SELECT set_config(name, most || 'ms', false) FROM pg_settings
JOIN (VALUES ('lock_timeout', 5000), ('statement_timeout', 30000)) AS bound (name, most)
USING (name) WHERE setting::int NOT BETWEEN 1 AND most
"""
"""Who waits for a table or row that is locked keeps a connection; and the server is not to go on
with what nobody waits for."""

_LASTING = """
SELECT set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, false)
FROM pg_settings WHERE name = 'synchronous_commit'
"""
"""What is answered is on disk, also where the server is told not to wait for that, now or later."""


class PostgreSQL(Database):
    """Keeps connections open, some for reads and some for writes, so that neither waits for both.

    Each commits by itself; a write begins and ends its transaction by hand, as on SQLite.
    """

    def __init__(self, url: str, *, for_command: bool = False):
        super().__init__()
        self._engine = postgresql_engine(url).execution_options(isolation_level="AUTOCOMMIT")
        seconds = COMMAND_SECONDS if for_command else QUERY_SECONDS
        self._readers, self._writers = (
            _Connections(self._engine, name, seconds, self._lost, self._complaints)
            for name in ("read", "write")
        )

    async def open(self) -> None:
        self._start_sampling()

    def sample(self) -> None:
        for connections in (self._readers, self._writers):
            connections.sample()
            connections.end_what_is_late()

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._readers.run(query, *args, **kwargs)

    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._readers.run(query, *args, **kwargs)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writers.run(_in_transaction, query, *args, **kwargs)

    async def write_one(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writers.run(query, *args, **kwargs)

    async def close(self) -> None:
        try:  # which what is late needs to be ended
            await self._writers.close()
            await self._readers.close()
        finally:
            self._stop_sampling()
        await self._engine.dispose()


def postgresql_engine(url: str, *, is_patient: bool = False) -> "AsyncEngine":
    """An engine for `url`, which asyncpg itself reads: libpq's `sslmode` and the like work.

    One that `is_patient` gives a statement all the time it takes.
    """
    # It brings the ORM along, for which no process that serves from SQLite should have to wait.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    async def connect() -> asyncpg.Connection:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            server_settings={"timezone": "UTC", "application_name": f"roadworthy {os.getpid()}"},
        )
        try:
            await connection.execute(_LASTING)
            if not is_patient:
                await connection.execute(_BOUND_STATEMENTS)
        except BaseException:
            connection.terminate()
            raise
        return connection

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        poolclass=NullPool,
        hide_parameters=True,
    )


def _in_transaction(
    connection: Connection, query: Query[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    driver: Any = connection.connection.driver_connection
    await_only(driver.execute("BEGIN"))
    try:
        result = query(connection, *args, **kwargs)
    except BaseException:
        if not driver.is_closed():
            await_only(driver.execute("ROLLBACK"))
        raise
    await_only(driver.execute("COMMIT"))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A connection as SQLAlchemy's two faces and the driver know it."""

    asynchronous: "AsyncConnection"
    synchronous: Connection
    driver: Any


@dataclass(frozen=True, slots=True)
class _Turn:
    """Who waits for a connection, and until when."""

    came: asyncio.Future[None]
    deadline: float

    @property
    def has_come(self) -> bool:
        return self.came.done() and not self.came.cancelled() and not self.came.exception()


class _Connections:
    """At most `CONNECTIONS`; the one used last goes first, as its statements are warm.

    Whether anybody has waited for too long is looked at now and then, not by a timer for each: two
    of them took a tenth of a create's processor time.
    """

    def __init__(
        self,
        engine: "AsyncEngine",
        name: str,
        query_seconds: float,
        on_loss: Callable[[], None],
        complaints: Complaints,
    ):
        self._engine = engine
        self._name = name
        self._query_seconds = query_seconds
        self._complaints = complaints
        self._on_loss = on_loss
        self._idle: list[_Kept] = []
        self._at_work: dict[_Kept, float] = {}
        """By when each has to be done."""
        self._in_use = 0
        self._waiting: deque[_Turn] = deque()

    async def run(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._take_place(WAIT_SECONDS)
        kept: _Kept | None = None
        try:
            kept = await self._connection()
            self._at_work[kept] = time.monotonic() + self._query_seconds
            result = await greenlet_spawn(
                lambda connection: query(connection, *args, **kwargs), kept.synchronous
            )
        except BaseException as error:
            reason = self._reason(error, kept)
            if reason is not None:
                self._on_loss()
            if kept is not None:
                # Who was cancelled leaves a connection whose state nobody knows.
                cancelled = not isinstance(error, Exception)
                await self._put_back(kept, broken=reason is not None or cancelled)
            if reason is None:
                raise
            if kept is None:
                self._disappoint(reason)
            self._complaints.say(reason)
            raise Unavailable(reason) from error
        else:
            self._idle.append(kept)
            return result
        finally:
            if kept is not None:
                del self._at_work[kept]
            self._leave_place()

    def _reason(self, error: BaseException, kept: _Kept | None) -> str | None:
        """What ails the server: no statement of ours can be at fault before there is a connection.

        What was ended for being late says only that its connection is gone.
        """
        if kept is None:
            return driver_words(error) if isinstance(error, Exception) else None
        reason = outage_reason(error)
        is_late = reason is not None and time.monotonic() > self._at_work[kept]
        return f"no answer within {self._query_seconds} seconds" if is_late else reason

    def end_what_is_late(self) -> None:
        """Close the connections that keep somebody waiting for too long, and send away who waits
        for one."""
        now = time.monotonic()
        for kept, deadline in self._at_work.items():
            if deadline < now:
                kept.driver.terminate()
        for turn in self._waiting:
            if turn.deadline < now and not turn.came.done():
                turn.came.set_exception(Busy())

    async def close(self) -> None:
        """Wait for what is under way, then let go of every connection."""
        for _ in range(CONNECTIONS):
            await self._take_place(2 * self._query_seconds)
        for kept in self._idle:
            await _discard(kept)
        self._idle.clear()

    def sample(self) -> None:
        metrics.pool_in_use.labels(self._name).set(self._in_use)
        metrics.pool_waiting.labels(self._name).set(len(self._waiting))

    async def _take_place(self, seconds: float) -> None:
        if self._in_use < CONNECTIONS:
            self._in_use += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            raise Busy
        turn = _Turn(asyncio.get_running_loop().create_future(), time.monotonic() + seconds)
        self._waiting.append(turn)
        try:
            await turn.came
        except asyncio.CancelledError:
            if turn.has_come:
                self._leave_place()
            raise

    def _leave_place(self) -> None:
        """The first who waits gets it; only when nobody does is it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.came.done():
                turn.came.set_result(None)
                return
        self._in_use -= 1

    def _disappoint(self, reason: str) -> None:
        """There is no connecting: who waits would only find that out one after the other."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.came.done():
                turn.came.set_exception(Unavailable(reason))

    async def _connection(self) -> _Kept:
        while self._idle:
            kept = self._idle.pop()
            if not kept.driver.is_closed():
                return kept
            self._on_loss()
            await _discard(kept)
        async with asyncio.timeout(2 * CONNECT_SECONDS):  # with what is asked and told at first
            connection = await self._engine.connect()
        synchronous = connection.sync_connection
        assert synchronous is not None  # noqa: S101 -- it has just been opened
        return _Kept(connection, synchronous, synchronous.connection.driver_connection)

    async def _put_back(self, kept: _Kept, *, broken: bool) -> None:
        """After an error: kept only when it works and no transaction is left open on it."""
        if broken or kept.driver.is_closed() or kept.driver.is_in_transaction():
            await asyncio.shield(_discard(kept))
        else:
            self._idle.append(kept)


async def _discard(kept: _Kept) -> None:
    try:
        await kept.asynchronous.invalidate()
        await kept.asynchronous.close()
    except (*AWAY, asyncpg.PostgresError, DBAPIError):
        log.info("database", reason="a broken connection was dropped")
