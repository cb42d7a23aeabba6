"""How query functions run: `read` point look-ups, `report` what may scan, `write` what must last.

A query function is synchronous and takes a `Connection` first; `Database` decides where it runs.
"""

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from roadworthy.database.apart import Apart, work_apart
from roadworthy.database.commands import with_database
from roadworthy.database.core import Busy, Database, Unavailable
from roadworthy.database.ids import IDS_LEFT_OUT, largest_id, last_id, move_ids_to
from roadworthy.database.opening import open_database
from roadworthy.database.prepared import Prepared
from roadworthy.database.snapshot import take_snapshot
from roadworthy.database.sqlite import SQLITE
from roadworthy.database.types import Identity, Instant, json_rows, metadata
from roadworthy.database.upsert import Upsert, upsert

__all__ = [
    "IDS_LEFT_OUT",
    "SQLITE",
    "Apart",
    "Busy",
    "Connection",
    "Database",
    "Identity",
    "Instant",
    "IntegrityError",
    "Prepared",
    "Unavailable",
    "Upsert",
    "json_rows",
    "largest_id",
    "last_id",
    "metadata",
    "move_ids_to",
    "open_database",
    "take_snapshot",
    "upsert",
    "with_database",
    "work_apart",
]
