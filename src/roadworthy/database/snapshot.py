"""A consistent copy of an SQLite file that is in use."""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote


def take_snapshot(source: Path, to: Path) -> None:
    """Copy the file `source`, as of one moment, to the new file `to`; on disk when this returns.

    One reading transaction, however long it takes: in WAL mode nobody who writes waits for it, and
    it never begins anew. What was deleted is not in the copy, not even as unused bytes.
    Raises `OSError` and `sqlite3.Error`.
    """
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    url = f"file:{quote(str(source))}?mode=rw"
    with contextlib.closing(sqlite3.connect(url, uri=True, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(to),))
    with to.open("rb") as copy:
        os.fsync(copy.fileno())
