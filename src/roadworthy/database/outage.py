"""Whether an error speaks of the database's condition, or of the statement that met it."""

import re
import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError

AWAY = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a driver raises when there is no server, or no more."""

_SQLITE_CONDITIONS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_TAKEN_AWAY = re.compile(r"no such (table|column)|table \S+ has no column")
"""As of a file that was emptied in its place; SQLite has no code of its own for it."""
_POSTGRESQL_CONDITIONS = (
    "08",  # connection
    "0A000",  # a statement was prepared before the schema changed
    "25006",  # a standby, which only reads
    "25P03",  # its operator lets no transaction stay idle
    "25P04",  # nor last
    "26000",  # a statement that was prepared is gone
    "28",  # who we are is not accepted
    "3D",  # there is no such database
    "40",  # a deadlock, or another serialisation failure
    "42501",  # a right we need was taken away
    "42703",  # a column we need was taken away
    "42P01",  # a table
    "53",  # out of disk, memory or connections
    "55000",  # it takes no connections
    "55P03",  # something else holds a lock for longer than its operator allows
    "57",  # shutting down, starting up, or cancelled by its operator
    "58",  # its files or its system
    "XX",  # what it keeps is corrupt, or it is itself at fault
)
"""Beginnings of SQLSTATE (PostgreSQL manual, appendix A)."""


def outage_reason(error: BaseException) -> str | None:
    """What ails the database, if that is what `error`, raw or wrapped by SQLAlchemy, speaks of."""
    return driver_words(error) if _is_outage(error) else None


def driver_words(error: BaseException) -> str:
    """What the driver said; its error's name where it said nothing, as of a timeout."""
    cause = _cause(error)
    return str(cause) or type(cause).__name__


def _cause(error: BaseException) -> BaseException:
    return (error.orig if isinstance(error, DBAPIError) else None) or error


def _is_outage(error: BaseException) -> bool:
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in _SQLITE_CONDITIONS or _TAKEN_AWAY.match(str(cause)) is not None
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_POSTGRESQL_CONDITIONS)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, (InterfaceError, InternalError)) or isinstance(cause, AWAY)
