"""PostgreSQL over asyncpg: the same synchronous query functions, run by SQLAlchemy's greenlets."""

import asyncio
import os

import asyncpg
import structlog
from sqlalchemy import Connection, NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from roadworthy.database.core import Busy, Database, P, Query, T, Unavailable, is_outage
from roadworthy.telemetry import metrics

log = structlog.get_logger()

CONNECTIONS = 8
MOST_WAITING = 2048
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class PostgreSQL(Database):
    """Connections kept open: some that commit by themselves, for reads, and some for writes."""

    def __init__(self, url: str):
        engine = postgresql_engine(url)
        self._engine = engine
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._readers = _Connections(reading, "read")
        self._writers = _Connections(engine, "write")
        self._sampling: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._sampling = asyncio.get_running_loop().create_task(self._sample())

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._readers.run(query, *args, **kwargs)

    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._readers.run(query, *args, **kwargs)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def unit(connection: Connection) -> T:
            with connection.begin():
                return query(connection, *args, **kwargs)

        return await self._writers.run(unit)

    async def close(self) -> None:
        if self._sampling is not None:
            self._sampling.cancel()
        await self._writers.close()
        await self._readers.close()
        await self._engine.dispose()

    async def _sample(self) -> None:
        """Once a second is enough for a gauge, and costs no request anything."""
        while True:
            self._readers.sample()
            self._writers.sample()
            await asyncio.sleep(1)


def postgresql_engine(url: str) -> AsyncEngine:
    """An engine for `url`, which asyncpg itself reads: libpq's `sslmode` and the like work."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={"timezone": "UTC", "application_name": f"roadworthy {os.getpid()}"},
        )

    return create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
    )


class _Connections:
    """At most `CONNECTIONS` open ones; taking the one used last keeps its statements warm."""

    def __init__(self, engine: AsyncEngine, name: str):
        self._engine = engine
        self._name = name
        self._in_use = 0
        self._idle: list[AsyncConnection] = []
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._waiting = 0

    async def run(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._take_place()
        connection: AsyncConnection | None = None
        self._in_use += 1
        try:
            connection = await self._connection()
            result = await connection.run_sync(query, *args, **kwargs)
        except BaseException as error:
            if connection is not None:
                await self._put_back(connection)
            raise _judged(error) from error
        else:
            self._idle.append(connection)
            return result
        finally:
            self._in_use -= 1
            self._room.release()

    def sample(self) -> None:
        metrics.pool_in_use.labels(self._name).set(self._in_use)
        metrics.pool_waiting.labels(self._name).set(self._waiting)

    async def close(self) -> None:
        for _ in range(CONNECTIONS):
            await self._room.acquire()
        for connection in self._idle:
            await connection.close()
        self._idle.clear()

    async def _take_place(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1

    async def _connection(self) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if _alive(connection):
                return connection
            await connection.invalidate()
            await connection.close()
        return await self._engine.connect()

    async def _put_back(self, connection: AsyncConnection) -> None:
        """After an error: kept only when nothing is left open on it."""
        if _alive(connection) and not connection.in_transaction():
            self._idle.append(connection)
            return
        await asyncio.shield(_discard(connection))


async def _discard(connection: AsyncConnection) -> None:
    try:
        await connection.invalidate()
        await connection.close()
    except (*AWAY, DBAPIError):
        log.info("database", reason="a broken connection was dropped")


def _alive(connection: AsyncConnection) -> bool:
    if connection.closed or connection.invalidated:
        return False
    raw = connection.sync_connection
    if raw is None:
        return False
    driver = raw.connection.driver_connection
    return driver is not None and not driver.is_closed()


def _judged(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError):
        if not is_outage(error) and not error.connection_invalidated:
            return error
        reason = str(error.orig)
    elif isinstance(error, AWAY):
        reason = str(error)
    else:
        return error
    log.error("database", reason=reason)
    return Unavailable(reason)
