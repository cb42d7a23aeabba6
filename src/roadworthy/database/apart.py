"""A connection apart from the service's, for an operator's work that takes a while beside it."""

import asyncio
import sqlite3
from collections.abc import Callable

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from roadworthy.database.core import P, Query, T, Unavailable
from roadworthy.database.outage import driver_words, outage_reason
from roadworthy.database.postgresql import postgresql_engine
from roadworthy.database.sqlite import SQLITE, sqlite_engine
from roadworthy.database.transaction import in_transaction
from roadworthy.database.turn import Turn

NOT_ALLOWED = "42501"
"""SQLSTATE of PostgreSQL when a user lacks a right."""


class Apart:
    """Runs query functions on one connection, whose temporary tables nobody else sees."""

    def __init__(self, connection: Connection, turn: Turn | None):
        self._connection = connection
        self._turn = turn

    def stage(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in one transaction, which changes temporary tables only: no writer waits for it."""
        return self._in_transaction("BEGIN", lambda: query(self._connection, *args, **kwargs))

    def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in one transaction, durable when this returns, undone when the query raises.

        On SQLite every other writer waits meanwhile, in the same queue: be short.
        """
        if self._turn is None:
            return self._in_transaction("BEGIN", lambda: query(self._connection, *args, **kwargs))
        self._turn.wait()
        try:
            return self._in_transaction(
                "BEGIN IMMEDIATE", lambda: query(self._connection, *args, **kwargs)
            )
        finally:
            self._turn.end()

    def _in_transaction(self, begin: str, work: Callable[[], T]) -> T:
        return in_transaction(self._connection, begin, work)


def work_apart(url: str, work: Callable[[Apart], T]) -> T:
    """What `work` makes of a connection of its own to the database at `url`.

    Raises `Unavailable`, and what `work` raises.
    """
    try:
        if url.startswith(SQLITE):
            return _on_sqlite(url.removeprefix(SQLITE), work)
        return asyncio.run(_on_postgresql(url, work))
    except (DBAPIError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if outage_reason(error) is None and not _is_not_allowed(error):
            raise
        raise Unavailable(f"cannot use the database: {_words(error)}") from error


def _on_sqlite(path: str, work: Callable[[Apart], T]) -> T:
    turn = Turn(f"{path}-turn")
    try:
        with sqlite_engine(path).connect() as connection:
            return work(Apart(connection, turn))
    finally:
        turn.close()


async def _on_postgresql(url: str, work: Callable[[Apart], T]) -> T:
    engine = postgresql_engine(url, is_patient=True)
    try:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            return await connection.run_sync(lambda synchronous: work(Apart(synchronous, None)))
    finally:
        await engine.dispose()


def _words(error: BaseException) -> str:
    words = driver_words(error)
    if _is_not_allowed(error):
        return f"{words}: let ROADWORTHY_MIGRATION_DATABASE_URL name the owner of the tables"
    return words


def _is_not_allowed(error: BaseException) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) == NOT_ALLOWED
