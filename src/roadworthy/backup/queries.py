"""SQL of a restore."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Table

import roadworthy.app  # noqa: F401 -- declares every table
from roadworthy.accounts import (
    Applied,
    apply_tombstones,
    forget_mailed_links,
    sign_everybody_out,
)
from roadworthy.database import (
    IDS_LEFT_OUT,
    Connection,
    largest_id,
    last_id,
    metadata,
    move_ids_to,
)
from roadworthy.jobs import forget_jobs
from roadworthy.mail import KIND as MAIL
from roadworthy.tombstones import Tombstone, add_tombstones, forget_backup_folders, go_on_as


def settle_restored(
    connection: Connection, tombstones: Sequence[Tombstone] | None, name: str, now: datetime
) -> Applied | None:
    """Keep a database just put back from reviving what had ended. From now on it has a `name` of
    its own, as what it came from may go on elsewhere.

    `None` for `tombstones`: nobody knows what had, so everybody is signed out.
    """
    go_on_as(connection, name)
    forget_backup_folders(connection)  # elsewhere than there, this may be a rehearsal
    forget_mailed_links(connection)
    forget_jobs(connection, MAIL)  # they would mail such links once more, perhaps to old addresses
    applied = _end_again(connection, tombstones, now)
    move_ids_on(connection, tombstones or ())
    return applied


def _end_again(
    connection: Connection, tombstones: Sequence[Tombstone] | None, now: datetime
) -> Applied | None:
    if tombstones is None:
        sign_everybody_out(connection, now)
        return None
    add_tombstones(connection, tombstones)
    return apply_tombstones(connection, tombstones)


def move_ids_on(connection: Connection, tombstones: Sequence[Tombstone]) -> None:
    """Leave out the ids that were given after the backup, and those that `tombstones` name.

    Who signed up after it still holds a token, links and cached answers for an id of which the
    database knows nothing: the next driver must not get that one, nor the next file.
    """
    named = {
        "users": max((each.user_id or 0 for each in tombstones), default=0),
        "tombstones": max((each.id for each in tombstones), default=0),
    }
    for table in metadata.sorted_tables:
        if table.dialect_options["sqlite"]["autoincrement"]:
            _move_on(connection, table, named.get(table.name, 0))


def _move_on(connection: Connection, table: Table, named: int) -> None:
    given = max(largest_id(connection, table), last_id(connection, table), named)
    move_ids_to(connection, table, given + IDS_LEFT_OUT)
