"""Statements of the hot path, compiled once."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import CompoundSelect, Connection, Insert, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

_BROKEN_RULE = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)

Statement = Select[Any] | CompoundSelect[Any] | Insert
Process = Callable[[Any], Any] | None


class Prepared:
    """A Core statement that goes straight to the driver.

    Core's execution costs more than the point look-up or single insert that it runs (measured:
    two thirds of it), so the few statements that every request pays for go without.
    """

    def __init__(self, statement: Statement):
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row, `None` when there is none; `values` has every bound parameter.

        Raises SQLAlchemy's `IntegrityError`, and else what the driver raises.
        """
        row = self._ask(connection, values, every=False)
        return None if row is None else self._for(connection.dialect).row_of(row)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Every row, in the same way."""
        rows = self._ask(connection, values, every=True)
        return [self._for(connection.dialect).row_of(row) for row in rows]

    def first_by_name(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The same, with the columns' names."""
        row = self.first(connection, values)
        return (
            None
            if row is None
            else dict(zip(self._for(connection.dialect).names, row, strict=True))
        )

    def _ask(self, connection: Connection, values: Mapping[str, Any], *, every: bool) -> Any:
        compiled = self._for(connection.dialect)
        driver: Any = connection.connection.driver_connection
        arguments = compiled.arguments_of(values)
        try:
            if isinstance(driver, sqlite3.Connection):
                found = driver.execute(compiled.sql, arguments)
                return found.fetchall() if every else found.fetchone()
            fetch = driver.fetch if every else driver.fetchrow
            return await_only(fetch(compiled.sql, *arguments))
        except _BROKEN_RULE as error:
            raise IntegrityError(compiled.sql, None, error) from error

    def _for(self, dialect: Dialect) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return found


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    parameters: tuple[tuple[str, Process], ...]
    names: tuple[str, ...]
    results: tuple[Process, ...]
    """Empty when the driver's own types will do."""

    def arguments_of(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            values[name] if process is None else process(values[name])
            for name, process in self.parameters
        ]

    def row_of(self, row: Any) -> tuple[Any, ...]:
        if not self.results:
            return tuple(row)
        return tuple(
            [
                value if process is None else process(value)
                for value, process in zip(row, self.results, strict=True)
            ]
        )


def _compile(statement: Statement, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 -- tells the type
    columns = list(statement.exported_columns)
    results = tuple(
        _implementation(c.type, dialect).result_processor(dialect, None) for c in columns
    )
    return _Compiled(
        str(compiled),
        tuple(
            (name, _implementation(compiled.binds[name].type, dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ),
        tuple(str(column.key) for column in columns),
        results if any(results) else (),
    )


def _implementation(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
