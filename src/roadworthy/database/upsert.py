"""Inserts that say what becomes of a row that is there already."""

from sqlalchemy import FromClause
from sqlalchemy.dialects import postgresql, sqlite

Upsert = postgresql.Insert | sqlite.Insert


def upsert(dialect_name: str, table: FromClause) -> Upsert:
    """An insert into `table` that has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    statement: Upsert = dialect.insert(table)
    return statement
