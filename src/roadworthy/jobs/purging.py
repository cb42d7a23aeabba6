"""Old rows go a few at a time: a write of them all would hold up everybody else's."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, Table, bindparam, delete, select

from roadworthy.database import Connection, Database

MOST_IN_A_WRITE = 100


async def purge(
    database: Database, forget: Callable[[Connection, datetime], int], until: datetime
) -> None:
    """Write `forget`, which says how many rows it deleted, until there are none."""
    while await database.write(forget, until):
        pass


def delete_some(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete at most `MOST_IN_A_WRITE` of the rows where `condition` holds: how many."""
    keys = select(*table.primary_key).where(condition).limit(MOST_IN_A_WRITE)
    # Who renews a row at this moment keeps it.
    unlocked = keys.with_for_update(skip_locked=True)
    found = [dict(key) for key in connection.execute(unlocked).mappings()]
    if found:
        by_key = (column == bindparam(column.name) for column in table.primary_key)
        connection.execute(delete(table).where(*by_key), found)
    return len(found)
