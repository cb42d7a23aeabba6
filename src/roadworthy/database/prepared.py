"""Statements of the hot path, compiled once."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Connection, Insert, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import await_only

_BROKEN_RULE = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


class Prepared:
    """A statement that goes straight to the driver.

    Core's execution costs more than the point look-up or single insert that it runs (measured:
    two thirds of it). Rows come as the driver has them: select numbers and text only.
    """

    def __init__(self, statement: Select[Any] | Insert):
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row, `None` when there is none; `values` has every bound parameter.

        Raises SQLAlchemy's `IntegrityError`, and else what the driver raises.
        """
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name) or self._compile(dialect)
        driver: Any = connection.connection.driver_connection
        arguments = [
            process(values[name]) if process else values[name]
            for name, process in compiled.arguments
        ]
        try:
            if isinstance(driver, sqlite3.Connection):
                row = driver.execute(compiled.sql, arguments).fetchone()
            else:
                row = await_only(driver.fetchrow(compiled.sql, *arguments))
        except _BROKEN_RULE as error:
            raise IntegrityError(compiled.sql, None, error) from error
        return None if row is None else tuple(row)

    def _compile(self, dialect: Dialect) -> "_Compiled":
        compiled = self._statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 -- tells the type
        arguments = tuple(
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        )
        self._compiled[dialect.name] = _Compiled(str(compiled), arguments)
        return self._compiled[dialect.name]


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    arguments: tuple[tuple[str, Callable[[Any], Any] | None], ...]
