"""SQLite's writer: writes that wait share one commit, and nobody is answered before it is on disk.

Statements run on the event loop, as a thread of their own would fight it for the interpreter
(measured: three times the processor time). What may wait, for a disk or for another process,
runs in a thread.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from roadworthy.database.core import Busy, Unavailable
from roadworthy.database.held import HeldFiles
from roadworthy.database.outage import outage_reason
from roadworthy.database.turn import Turn
from roadworthy.telemetry import metrics

T = TypeVar("T")

MOST_IN_A_COMMIT = 128
MOST_WAITING = 2048
TURN_SECONDS = 5
FEW = 2
PAUSE_SECONDS = 0.001
"""After a commit of more than a few writes, before the next: who was answered asks again at once.
A commit takes as much processor time as two creates, and half as many are needed (measured)."""

_DO_NOT_WAIT = "PRAGMA busy_timeout = 0"
_WAIT = "PRAGMA busy_timeout = 5000"


@dataclass(slots=True)
class _Write:
    run: Callable[[Connection], Any]
    answer: asyncio.Future[Any]
    is_one: bool
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """Runs each write in a savepoint of one transaction; one that fails is undone alone. What is
    one statement needs none.

    `path` is the database's file; writers of all processes queue on another one beside it.
    `on_outage` is called with what ails the database when that is found out.
    """

    def __init__(
        self, engine: Engine, path: str, files: HeldFiles, on_outage: Callable[[str], None]
    ):
        self._engine = engine
        self._files = files
        self._on_outage = on_outage
        self._turn = Turn(f"{path}-turn")
        self._waiting: deque[_Write] = deque()
        self._at_hand = 0
        self._at_work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "commit")
        self._connection: Connection | None = None
        self._last_count = 0

    @property
    def waiting(self) -> int:
        """How many writes wait for a commit, be it the one that is being made."""
        return len(self._waiting) + self._at_hand

    async def run(self, write: Callable[[Connection], T], *, is_one: bool = False) -> T:
        """What `write` returns, once it is durable. Raises `Busy` and `Unavailable`.

        What `is_one` statement needs no savepoint: if it fails, SQLite undoes it.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Write(write, answer, is_one))
        if self._at_work is None:
            self._at_work = loop.create_task(self._work())
        return await answer

    async def close(self) -> None:
        """Finish the writes that wait, then let go of the file."""
        if self._at_work is not None:
            await self._at_work
        self._thread.shutdown()
        self._disconnect()
        self._turn.close()

    async def _work(self) -> None:
        try:
            while self._waiting:
                if self._last_count > FEW and len(self._waiting) < MOST_IN_A_COMMIT:
                    await asyncio.sleep(PAUSE_SECONDS)
                count = min(len(self._waiting), MOST_IN_A_COMMIT)
                batch = [self._waiting.popleft() for _ in range(count)]
                self._at_hand = count
                await self._commit(batch)
                self._at_hand = 0
                _answer(batch)
                self._last_count = count
                metrics.writer_batch.observe(count)
        finally:
            self._at_work = None

    async def _commit(self, batch: list[_Write]) -> None:
        try:
            connection, driver = await self._begin()
            for write in batch:
                _run(write, connection, driver)
            await self._off_loop(lambda: driver.execute("COMMIT"))
        except Exception as error:  # noqa: BLE001 -- whatever it is, those who wait are answered
            reason = outage_reason(error) or type(error).__name__
            batch += self._waiting  # they would only find out one batch after the other
            self._waiting.clear()
            for write in batch:
                write.error = Unavailable(reason)
            await self._rescue()
            self._disconnect()
            self._on_outage(reason)
        finally:
            self._turn.end()

    async def _begin(self) -> tuple[Connection, sqlite3.Connection]:
        await self._turn.take(TURN_SECONDS)
        if self._connection is None:
            self._connection = await self._off_loop(lambda: self._files.connect(self._engine))
        else:
            self._files.require_same()
        driver: Any = self._connection.connection.driver_connection
        # Nobody of ours holds the lock now; somebody else's tool may, for five seconds.
        await self._begin_immediate(driver)
        return self._connection, driver

    async def _rescue(self) -> None:
        """Bring home what is in a log that was taken away: it is open here, and nowhere else."""
        if self._connection is None or not self._files.log_is_lost:
            return
        driver: Any = self._connection.connection.driver_connection
        with contextlib.suppress(sqlite3.Error):
            driver.rollback()
            driver.execute(_WAIT)
            await self._off_loop(lambda: driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close())

    async def _begin_immediate(self, driver: sqlite3.Connection) -> None:
        driver.execute(_DO_NOT_WAIT)
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            driver.execute(_WAIT)
            await self._off_loop(lambda: driver.execute("BEGIN IMMEDIATE"))

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _disconnect(self) -> None:
        """Closing also undoes what was not committed; the next turn is in the line that then is."""
        if self._connection is not None:
            self._files.close(self._connection)
            self._connection = None
        self._turn.close()


def _run(write: _Write, connection: Connection, driver: sqlite3.Connection) -> None:
    if write.is_one:
        _attempt(write, connection, driver)
        return
    driver.execute("SAVEPOINT one")
    if not _attempt(write, connection, driver):
        driver.execute("ROLLBACK TO one")
    driver.execute("RELEASE one")


def _attempt(write: _Write, connection: Connection, driver: sqlite3.Connection) -> bool:
    """Whether it succeeds. Raises what is the database's fault: then all of them are undone."""
    try:
        write.result = write.run(connection)
    except Exception as error:
        if not driver.in_transaction or outage_reason(error):
            raise
        write.error = error
        return False
    return True


def _answer(batch: list[_Write]) -> None:
    for write in batch:
        if write.answer.cancelled():
            continue
        if write.error is not None:
            write.answer.set_exception(write.error)
        else:
            write.answer.set_result(write.result)
