"""Choose the database that a URL names."""

from roadworthy.database.core import Database
from roadworthy.database.postgresql import PostgreSQL
from roadworthy.database.sqlite import SQLITE, SQLite


def open_database(url: str) -> Database:
    """The database at `url` (`sqlite:///…` or `postgresql://…`); `open` it on its event loop."""
    if url.startswith(SQLITE):
        return SQLite(url.removeprefix(SQLITE))
    return PostgreSQL(url)
