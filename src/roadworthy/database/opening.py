"""Choose the database that a URL names."""

from roadworthy.database.core import Database
from roadworthy.database.postgresql import PostgreSQL
from roadworthy.database.sqlite import SQLITE, SQLite


def open_database(url: str, *, for_command: bool = False) -> Database:
    """The database at `url` (`sqlite:///…` or `postgresql://…`); `open` it on its event loop.

    `for_command`: no client waits for what is asked of it.
    """
    if url.startswith(SQLITE):
        return SQLite(url.removeprefix(SQLITE))
    return PostgreSQL(url, for_command=for_command)
