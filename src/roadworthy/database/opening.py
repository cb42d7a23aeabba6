"""Choose the database that a URL names."""

from roadworthy.database.core import Database
from roadworthy.database.postgresql import PostgreSQL
from roadworthy.database.sqlite import SQLite


def open_database(url: str) -> Database:
    """The database at `url` (`sqlite:///…` or `postgresql://…`); `open` it on its event loop."""
    if url.startswith("sqlite:///"):
        return SQLite(url.removeprefix("sqlite:///"))
    return PostgreSQL(url)
