"""PostgreSQL's connections: who waits is answered, and what was answered is kept."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import asyncpg
import pytest
from sqlalchemy import Connection, text

from roadworthy.database import (
    Busy,
    Database,
    Unavailable,
    core,
    open_database,
    postgresql,
    with_database,
)
from roadworthy.database.outage import outage_reason
from tests.conftest import Place

T = TypeVar("T")

TLS_ASKED_FOR = bytes.fromhex("0000000804d2162f")
LET_IN = b"R\0\0\0\x08\0\0\0\0" + b"S\0\0\0\x18server_version\x0015.0\0" + b"Z\0\0\0\x05I"
SHORT = "SELECT pg_sleep(0.05)"


@pytest.fixture
def url(new_database: Callable[[str], Place]) -> str:
    return new_database("postgresql").url


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"postgresql://roadworthy@127.0.0.1:{listener.getsockname()[1]}/roadworthy"


@pytest.fixture
def frozen() -> Iterator[str]:
    """A server that lets everybody in, and then says no more."""
    held = []

    def let_in(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client, _ = listener.accept()
                held.append(client)
                while client.recv(4096) == TLS_ASKED_FOR:
                    client.sendall(b"N")
                client.sendall(LET_IN)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=let_in, args=(listener,))
        thread.start()
        yield f"postgresql://roadworthy@127.0.0.1:{listener.getsockname()[1]}/roadworthy"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for client in held:
        client.close()


def execute(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def execute_often(connection: Connection, statement: str) -> None:
    for _ in range(40):
        execute(connection, statement)


def count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM numbers")).scalar_one())


def test_who_waits_for_a_server_that_is_silent_is_told_with_the_first(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not eight at a time, each after a wait of their own."""
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 1)

    assert ask_at_once(silent, 200) == [Unavailable] * 200


def test_a_server_that_lets_in_and_says_no_more_keeps_nobody_for_long(
    frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 0.5)

    assert ask_at_once(frozen, 20) == [Unavailable] * 20


def ask_at_once(url: str, times: int) -> list[type]:
    """What so many who ask at once get."""

    async def ask() -> list[type]:
        database = open_database(url)
        reads = (database.read(count) for _ in range(times))
        answers = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), 10)
        await database.close()
        return [type(each) for each in answers]

    return asyncio.run(ask())


def test_closing_waits_no_longer_than_who_asks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "QUERY_SECONDS", 1)
    monkeypatch.setattr(core, "SAMPLE_SECONDS", 0.1)

    async def ask_and_close() -> object:
        database = open_database(url)
        await database.open()
        silent = asyncio.ensure_future(database.read(execute, "SELECT pg_sleep(60)"))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(database.close(), 20)
        return (await asyncio.gather(silent, return_exceptions=True))[0]

    assert isinstance(asyncio.run(ask_and_close()), Unavailable)


def test_a_command_takes_its_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No client waits for it, and to apply all tombstones takes a statement for each."""
    monkeypatch.setattr(postgresql, "QUERY_SECONDS", 0.2)
    monkeypatch.setattr(core, "SAMPLE_SECONDS", 0.1)

    with_database(url, lambda database: database.write(execute_often, SHORT))


def test_more_than_can_wait_are_told_to_come_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "MOST_WAITING", 4)

    async def work(database: Database) -> list[object]:
        reads = (database.read(execute, "SELECT 1") for _ in range(20))
        return list(await asyncio.gather(*reads, return_exceptions=True))

    answers = use(url, work)

    assert answers[:12] == [None] * 12
    assert [type(each) for each in answers[12:]] == [Busy] * 8


def test_who_waits_too_long_is_told_to_come_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(core, "SAMPLE_SECONDS", 0.1)

    async def work(database: Database) -> list[object]:
        reads = (database.read(execute, "SELECT pg_sleep(0.7)") for _ in range(12))
        answers = await asyncio.gather(*reads, return_exceptions=True)
        await database.read(execute, "SELECT 1")
        return list(answers)

    answers = use(url, work)

    assert answers[:8] == [None] * 8
    assert [type(each) for each in answers[8:]] == [Busy] * 4


def test_a_server_that_falls_silent_keeps_nobody_for_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "QUERY_SECONDS", 1)
    monkeypatch.setattr(core, "SAMPLE_SECONDS", 0.1)

    async def work(database: Database) -> list[object]:
        silent = (
            database.write(execute, "SELECT pg_sleep(60)"),
            database.read(execute_often, SHORT),
            database.read(execute, SHORT),
        )
        answers = await asyncio.gather(*silent, return_exceptions=True)
        await database.read(execute, "SELECT 1")
        return list(answers)

    answers = list(map(str, use(url, work)))

    assert answers == ["no answer within 1 seconds"] * 2 + ["None"]


@pytest.mark.parametrize(("asked", "kept"), [("0", "5s"), ("'9s'", "5s"), ("'200ms'", "200ms")])
def test_nobody_waits_for_a_lock_for_longer_than_a_while(url: str, asked: str, kept: str) -> None:
    """Nor longer than its operator allows."""
    assert _shown(url, "lock_timeout", asked) == kept


@pytest.mark.parametrize(("asked", "kept"), [("0", "30s"), ("'1h'", "30s"), ("'9s'", "9s")])
def test_the_server_goes_on_with_nothing_that_nobody_waits_for(
    url: str, asked: str, kept: str
) -> None:
    assert _shown(url, "statement_timeout", asked) == kept


@pytest.mark.parametrize(
    ("asked", "kept"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_what_is_answered_is_on_disk_whatever_the_server_is_told(
    url: str, asked: str, kept: str
) -> None:
    assert _shown(url, "synchronous_commit", asked) == kept


def _shown(url: str, setting: str, asked: str) -> str:
    """What a setting is for our queries, when the operator asks for something."""
    name = url.rpartition("/")[2]

    def show(connection: Connection) -> str:
        return str(connection.execute(text(f"SHOW {setting}")).scalar_one())

    async def work(database: Database) -> str:
        await database.write(execute, f'ALTER DATABASE "{name}" SET {setting} = {asked}')
        other = open_database(url)
        try:
            return await other.write(show)
        finally:
            await other.close()

    return use(url, work)


def test_after_a_write_that_was_cancelled_others_are_kept(url: str) -> None:
    """Wherever it was: at BEGIN, at the statement, at COMMIT."""

    async def work(database: Database) -> int:
        for step in range(48):
            cancelled = asyncio.create_task(database.write(execute, "SELECT pg_sleep(0.002)"))
            for _ in range(step % 12):
                await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            await database.write_one(execute, "INSERT INTO numbers VALUES (1)")
        other = open_database(url)
        kept = await other.read(count)
        await other.close()
        return kept

    assert use(url, work) == 48


def use(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of a database with an empty table `numbers`."""

    async def run() -> T:
        database = open_database(url)
        await database.open()
        await database.write(execute, "CREATE TABLE numbers (n INTEGER)")
        try:
            return await asyncio.wait_for(work(database), 60)
        finally:
            await database.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataCorruptedError,
        asyncpg.DiskFullError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.IndexCorruptedError,
        asyncpg.LockNotAvailableError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.InvalidSQLStatementNameError,
        asyncpg.ObjectNotInPrerequisiteStateError,
        asyncpg.TransactionTimeoutError,
        asyncpg.UndefinedColumnError,
        asyncpg.UndefinedTableError,
    ],
)
def test_what_ails_the_server_is_told_from_a_fault_of_ours(error: type[Exception]) -> None:
    assert outage_reason(error("its words")) == "its words"
    assert outage_reason(asyncpg.UniqueViolationError("taken")) is None
