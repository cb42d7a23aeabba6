"""The ids that a table gives next."""

from typing import Any

from sqlalchemy import Connection, Table, func, select, text

IDS_LEFT_OUT = 1_000_000
"""Where somebody else may have been given the next ones: more than they were."""


def largest_id(connection: Connection, table: Table) -> int:
    """Of those that are there."""
    return connection.execute(select(func.max(table.c.id))).scalar() or 0


def last_id(connection: Connection, table: Table) -> int:
    """The last that was given, and may be no more."""
    if connection.dialect.name == "postgresql":
        query = (
            "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, 'id') AS regclass))"
        )
    else:
        query = "SELECT seq FROM sqlite_sequence WHERE name = :name"
    return _one(connection, query, table) or 0


def move_ids_to(connection: Connection, table: Table, last: int) -> None:
    """The next is larger than `last`."""
    if connection.dialect.name == "postgresql":
        move = "SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"
    else:
        connection.execute(
            text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name}
        )
        move = "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"
    connection.execute(text(move), {"name": table.name, "last": last})


def _one(connection: Connection, query: str, table: Table) -> Any:
    return connection.execute(text(query), {"name": table.name}).scalar()
