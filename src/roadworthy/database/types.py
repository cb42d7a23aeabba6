"""Column types and SQL that read the same on SQLite and PostgreSQL."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, FromClause, Integer, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Identity = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit id. SQLite numbers rows by itself only in a column declared INTEGER."""


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; ISO 8601 text on SQLite, so that it sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text where there is no type for it."""
        return String(27) if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Python to database."""
        if value is None or dialect.name != "sqlite":
            return value
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Database to Python."""
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class json_rows(ColumnElement[str]):  # noqa: N801 -- reads as an SQL function
    """All rows of `source` where `condition` holds, as the text of a JSON list, in one column.

    `columns` gives each key its column. No rows are `[]` or null. Their order is not fixed: sort
    what you decode.
    """

    type = Text()
    inherit_cache = False

    def __init__(
        self,
        source: FromClause,
        condition: ColumnElement[bool],
        columns: Mapping[str, ColumnElement[Any]],
    ):
        self.source, self.condition, self.columns = source, condition, columns


@compiles(json_rows, "sqlite")
def _json_rows_on_sqlite(element: json_rows, compiler: SQLCompiler, **_: Any) -> str:
    def value(column: ColumnElement[Any]) -> str:
        text = compiler.process(column)
        return f"json({text})" if isinstance(column.type, JSON) else text

    row = ", ".join(f"'{key}', {value(column)}" for key, column in element.columns.items())
    return _json_rows(element, compiler, f"json_group_array(json_object({row}))")


@compiles(json_rows, "postgresql")
def _json_rows_on_postgresql(element: json_rows, compiler: SQLCompiler, **_: Any) -> str:
    row = ", ".join(
        f"'{key}', {compiler.process(column)}" for key, column in element.columns.items()
    )
    return _json_rows(element, compiler, f"CAST(json_agg(json_build_object({row})) AS TEXT)")


def _json_rows(element: json_rows, compiler: SQLCompiler, gathered: str) -> str:
    source = compiler.process(element.source, asfrom=True)
    where = compiler.process(element.condition)
    return f"(SELECT {gathered} FROM {source} WHERE {where})"  # noqa: S608 -- parts are compiled
