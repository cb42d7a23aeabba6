"""Statements of the hot path, compiled once."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.util import await_only


class LookUp:
    """A SELECT that goes straight to the driver, for `Database.read` alone.

    Core's execution costs more than the point look-up it runs (measured: two thirds of it). Values
    are the driver's: numbers and text, whose types need no translation.
    """

    def __init__(self, statement: Select[Any]):
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...]]] = {}

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row, `None` when there is none; `values` has every bound parameter."""
        sql, names = self._compiled.get(connection.dialect.name) or self._compile(connection)
        driver: Any = connection.connection.driver_connection
        arguments = [values[name] for name in names]
        if isinstance(driver, sqlite3.Connection):
            row = driver.execute(sql, arguments).fetchone()
        else:
            row = await_only(driver.fetchrow(sql, *arguments))
        return None if row is None else tuple(row)

    def _compile(self, connection: Connection) -> tuple[str, tuple[str, ...]]:
        compiled = self._statement.compile(dialect=connection.dialect)
        names = tuple(getattr(compiled, "positiontup", None) or ())
        self._compiled[connection.dialect.name] = str(compiled), names
        return self._compiled[connection.dialect.name]
