"""A transaction that is begun and ended by hand, on a connection that would commit by itself."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")


def in_transaction(connection: Connection, begin: str, work: Callable[[], T]) -> T:
    """What `work` returns, committed; undone when it raises. `begin` is the statement to begin by.

    Raises what `work` does, whatever its undoing meets.
    """
    connection.exec_driver_sql(begin)
    try:
        result = work()
    except BaseException:
        with contextlib.suppress(DBAPIError):  # undone already, as on a full disk
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
    return result
