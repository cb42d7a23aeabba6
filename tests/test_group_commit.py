"""The embedded database's writer: one fails alone, and who waits is answered, come what may."""

import asyncio
import fcntl
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, create_engine, text

from roadworthy.database import Busy, Database, Unavailable, group_commit, open_database
from roadworthy.database.held import HeldFiles
from roadworthy.database.sqlite import sqlite_engine
from roadworthy.telemetry.metrics import metrics_text

T = TypeVar("T")

COMMITS = "roadworthy_writer_batch_size_count "


def use(folder: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of a database with an empty table `numbers`."""
    file = f"{folder}/test.db"
    with sqlite_engine(file, create=True).connect() as connection:
        execute(connection, "CREATE TABLE IF NOT EXISTS numbers (n INTEGER UNIQUE)")

    async def run() -> T:
        database = open_database(f"sqlite:///{file}")
        try:
            return await asyncio.wait_for(work(database), 20)
        finally:
            await database.close()

    return asyncio.run(run())


def execute(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def insert(connection: Connection, number: int) -> int:
    execute(connection, f"INSERT INTO numbers VALUES ({number})")  # noqa: S608
    return number


def insert_and_fail(connection: Connection, number: int) -> int:
    insert(connection, number)
    raise KeyError(number)


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT n FROM numbers ORDER BY n")).scalars())


def no_such_function(connection: Connection) -> None:
    execute(connection, "SELECT no_such_function()")


def too_large(connection: Connection) -> None:
    execute(connection, "SELECT zeroblob(2000000000)")


def not_bound(connection: Connection) -> None:
    connection.connection.cursor().execute("SELECT ?", ())


@pytest.mark.parametrize("fault", [no_such_function, too_large, not_bound])
def test_a_statement_that_fails_is_undone_alone(
    tmp_path: Path, fault: Callable[[Connection], None]
) -> None:
    async def work(database: Database) -> tuple[list[object], list[int]]:
        answers = await asyncio.gather(
            database.write(insert, 1),
            database.write(insert_and_fail, 2),
            database.write(fault),
            database.write(insert, 1),
            database.write(insert, 3),
            return_exceptions=True,
        )
        return list(answers), await database.read(numbers)

    answers, kept = use(tmp_path, work)

    assert kept == [1, 3]
    assert (answers[0], answers[4]) == (1, 3)
    for failed in answers[1:4]:
        assert isinstance(failed, Exception)
        assert not isinstance(failed, Unavailable), "the database is well"


def test_who_was_answered_shares_the_next_commit(tmp_path: Path) -> None:
    """Three ask again; one comes between, and is not sent off with a commit of its own."""

    async def work(database: Database) -> float:
        between = list[asyncio.Task[int]]()

        def insert_with_company(connection: Connection, number: int) -> int:
            between.append(asyncio.ensure_future(database.write(insert, 100)))
            return insert(connection, number)

        async def ask_again(number: int) -> None:
            await database.write(insert_with_company if number == 1 else insert, number)
            await database.write(insert, number + 10)

        before = commits()
        await asyncio.gather(*map(ask_again, (1, 2, 3)))
        await between[0]
        return commits() - before

    assert use(tmp_path, work) == 2


def commits() -> float:
    text = metrics_text().decode()
    count = next(line for line in text.splitlines() if line.startswith(COMMITS))
    return float(count.removeprefix(COMMITS))


def test_one_statement_undoes_itself(tmp_path: Path) -> None:
    """All that it had done; what is committed with it stays."""

    async def work(database: Database) -> tuple[list[object], list[int]]:
        answers = await asyncio.gather(
            database.write_one(insert, 1),
            database.write_one(execute, "INSERT INTO numbers VALUES (7), (8), (1)"),
            database.write(insert_and_fail, 2),
            database.write_one(insert, 3),
            return_exceptions=True,
        )
        return list(answers), await database.read(numbers)

    answers, kept = use(tmp_path, work)

    assert kept == [1, 3]
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, True, False]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT gone FROM numbers",
        "INSERT INTO numbers (gone) VALUES (1)",
        "SELECT n FROM gone",
    ],
)
def test_what_was_taken_away_is_no_fault_of_ours(tmp_path: Path, statement: str) -> None:
    """As by who puts an older database in its place."""

    async def work(database: Database) -> None:
        for run in (database.read, database.report, database.write):
            with pytest.raises(Unavailable, match=r"no such|no column"):
                await run(execute, statement)

    use(tmp_path, work)


def test_when_the_log_fails_too_who_waits_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error on the same full disk: nobody hangs, and writing goes on when there is room."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def work(database: Database) -> list[int]:
        with monkeypatch.context() as full:
            full.setattr(group_commit, "_run", no_room)
            refused = await asyncio.gather(
                *(database.write(insert, n) for n in range(3)), return_exceptions=True
            )
            assert all(isinstance(each, Unavailable) for each in refused), refused
        await database.write(insert, 7)
        return await database.read(numbers)

    assert use(tmp_path, work) == [7]


def test_more_than_can_wait_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 4)

    async def work(database: Database) -> list[object]:
        writes = (database.write(insert, n) for n in range(10))
        return list(await asyncio.gather(*writes, return_exceptions=True))

    answers = use(tmp_path, work)

    assert answers[:4] == [0, 1, 2, 3]
    assert all(isinstance(answer, Busy) for answer in answers[4:]), answers


def test_it_writes_ahead_and_syncs_every_commit(tmp_path: Path) -> None:
    def pragmas(connection: Connection) -> tuple[str, int]:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        return mode, int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    full = 2
    assert use(tmp_path, lambda database: database.write(pragmas)) == ("wal", full)


def test_serving_never_makes_a_database(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/not there.db")

    for run in (database.read, database.report, database.write):
        with pytest.raises(Unavailable, match="unable to open database file"):
            asyncio.run(run(numbers))
    assert not (tmp_path / "not there.db").exists()


def test_who_waits_behind_a_lock_is_told_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one batch after the other, each after a wait of its own."""
    monkeypatch.setattr(group_commit, "MOST_IN_A_COMMIT", 2)

    async def work(database: Database) -> tuple[list[object], list[int]]:
        with _locked(tmp_path):
            refused = await asyncio.gather(
                *(database.write(insert, n) for n in range(12)), return_exceptions=True
            )
        await database.write(insert, 99)
        return list(refused), await database.read(numbers)

    refused, kept = use(tmp_path, work)  # six batches, one after the other, take 30 seconds

    assert [type(each) for each in refused] == [Unavailable] * 12
    assert kept == [99]


def test_a_process_that_keeps_the_turn_stops_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.1)

    async def work(database: Database) -> list[int]:
        with _turn_kept(tmp_path):
            for number in (1, 2):
                with pytest.raises(Unavailable, match=r"keeps .*-turn to itself"):
                    await database.write(insert, number)
        monkeypatch.setattr(group_commit, "TURN_SECONDS", 10)
        await database.write(insert, 3)
        await asyncio.sleep(0.1)
        with _turn_kept(tmp_path):  # it is free: what came too late was let go of again
            return await database.read(numbers)

    assert use(tmp_path, work) == [3]


def test_a_read_that_meets_a_lock_hardly_waits(tmp_path: Path) -> None:
    """The event loop waits with it, from the reader's first moment on."""

    def wait(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    async def work(database: Database) -> tuple[int, list[int]]:
        first = await database.read(wait)
        await database.close()
        other = sqlite3.connect(f"{tmp_path}/test.db", isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            await database.read(numbers)
        other.close()
        return first, await database.read(numbers)

    assert use(tmp_path, work) == (250, [])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(f"{folder}/test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@contextmanager
def _turn_kept(folder: Path) -> Iterator[None]:
    with (folder / "test.db-turn").open("ab") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@pytest.mark.parametrize("log", ["left", "deleted"])
def test_into_an_emptied_file_goes_nothing(tmp_path: Path, log: str) -> None:
    """SQLite writes what is in its log there, when its last connection closes."""
    file = tmp_path / "test.db"

    async def work(database: Database) -> list[int]:
        for number in range(20):
            await database.write(insert, number)
        pages = file.read_bytes()
        file.write_bytes(b"")
        if log == "deleted":
            (tmp_path / "test.db-wal").unlink()
        for _ in range(3):
            with pytest.raises(Unavailable, match="was emptied"):
                await database.write(insert, 20)
            with pytest.raises(Unavailable, match="was emptied"):
                await database.read(numbers)
            assert file.stat().st_size == 0
        if log == "deleted":
            return []
        file.write_bytes(pages)
        await database.write(insert, 20)
        return await database.read(numbers)

    assert use(tmp_path, work) == list(range(21 if log == "left" else 0))


def test_a_folder_that_is_none_shows_no_database(tmp_path: Path) -> None:
    """Whatever the disk says of it: who looks goes on looking."""
    (tmp_path / "folder").write_text("")
    files = HeldFiles(str(tmp_path / "folder" / "roadworthy.db"))
    connection = files.connect(create_engine("sqlite://"))
    assert files.are_same
    files.close(connection)
