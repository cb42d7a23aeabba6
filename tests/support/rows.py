"""A look into a service's database, past the service."""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import asyncpg


class Rows:
    """Runs SQL on either database; parameters are `$1`, `$2`, … on both."""

    def __init__(self, url: str):
        self.url = url
        self.is_sqlite = url.startswith("sqlite:///")

    def __call__(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows that `sql` gives; what it changes is committed."""
        return self.script([(sql, parameters)])

    def script(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
        """Run all in one transaction: the rows of the last."""
        if self.is_sqlite:
            return self._on_sqlite(statements)
        return asyncio.run(self._on_postgresql(statements))

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run `sql` once for each of `rows`."""
        self.script([(sql, row) for row in rows])

    def _on_sqlite(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                connection.execute("PRAGMA foreign_keys = ON")
                found: list[dict[str, Any]] = []
                for sql, parameters in statements:
                    numbered = {str(i): value for i, value in enumerate(parameters, 1)}
                    rows = connection.execute(sql.replace("$", ":"), numbered)
                    found = [dict(row) for row in rows]
                return found
        finally:
            connection.close()

    async def _on_postgresql(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                found: list[dict[str, Any]] = []
                for sql, parameters in statements:
                    found = [dict(row) for row in await connection.fetch(sql, *parameters)]
                return found
        finally:
            await connection.close()
