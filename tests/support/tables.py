"""Direct access to the tables of a running service: to set a stage and to see what happened."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Executable,
    NullPool,
    Table,
    create_engine,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

import roadworthy.app  # noqa: F401 -- declares every table
from roadworthy.database import metadata

Row = dict[str, Any]
T = TypeVar("T")


class Tables(ABC):
    """The same calls on both databases; each is one transaction."""

    url: str

    @abstractmethod
    def inspect(self, work: Callable[[Connection], T]) -> T:
        """What `work` makes of a connection."""

    def execute(self, statement: Executable) -> list[Row]:
        """The rows that `statement` gives, if it gives any."""
        return self.inspect(lambda connection: _run(connection, statement))

    @abstractmethod
    def set_next_id(self, table: str, number: int) -> None:
        """The next row of `table` gets the id `number`."""

    @abstractmethod
    def close(self) -> None: ...

    def __getitem__(self, name: str) -> Table:
        return metadata.tables[name]

    def rows(self, name: str, **equal: Any) -> list[Row]:
        """The rows of a table in the order of their keys."""
        table = self[name]
        return self.execute(select(table).filter_by(**equal).order_by(*table.primary_key))

    def add(self, name: str, **values: Any) -> int:
        """The id of a new row."""
        table = self[name]
        return int(self.execute(insert(table).values(**values).returning(table.c.id))[0]["id"])

    def count(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows each of the tables has."""
        counts = [
            select(func.count()).select_from(self[name]).scalar_subquery().label(name)
            for name in names
        ]
        return self.execute(select(*counts))[0]


class SQLiteTables(Tables):
    def __init__(self, path: str):
        self.url = f"sqlite:///{path}"
        self._engine = create_engine(self.url, poolclass=NullPool, connect_args={"timeout": 10})

    def inspect(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    def set_next_id(self, table: str, number: int) -> None:
        self.execute(text("DELETE FROM sqlite_sequence WHERE name = :t").bindparams(t=table))
        self.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:t, :n)").bindparams(
                t=table, n=number - 1
            )
        )

    def close(self) -> None:
        self._engine.dispose()


class PostgreSQLTables(Tables):
    def __init__(self, url: str):
        self.url = url
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1)  # in the test's own, a browser's loop may be running
        self._engine = create_async_engine(
            url.replace("postgresql:", "postgresql+asyncpg:"),
            pool_size=1,
            max_overflow=0,
            # A plan kept from before a migration would fail after it.
            connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0},
        )

    def inspect(self, work: Callable[[Connection], T]) -> T:
        async def unit() -> T:
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

        return self._thread.submit(lambda: self._loop.run_until_complete(unit())).result()

    def set_next_id(self, table: str, number: int) -> None:
        self.execute(
            text("SELECT setval(pg_get_serial_sequence(:t, 'id'), :n, false)").bindparams(
                t=table, n=number
            )
        )

    def close(self) -> None:
        disposing = self._engine.dispose()
        self._thread.submit(lambda: self._loop.run_until_complete(disposing)).result()
        self._thread.shutdown()
        self._loop.close()


def open_tables(url: str) -> Tables:
    if url.startswith("sqlite:///"):
        return SQLiteTables(url.removeprefix("sqlite:///"))
    return PostgreSQLTables(url)


def _run(connection: Connection, statement: Executable) -> list[Row]:
    result = connection.execute(statement)
    return [dict(row) for row in result.mappings()] if result.returns_rows else []
