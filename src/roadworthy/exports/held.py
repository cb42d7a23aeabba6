"""SQL of everything that is held about a driver.

What is left out: digests and keys, which say nothing to anybody, and what is gone after a day:
copies of what we answered, and the bytes of an upload that is not finished.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, select

from roadworthy.accounts import known_addresses, mailed_links, sessions, users
from roadworthy.database import Connection
from roadworthy.documents import (
    UNKNOWN_TYPE,
    attachments,
    blobs,
    file_views,
    name_to_save,
    submissions,
)
from roadworthy.exports.tables import data_exports
from roadworthy.profiles import COLLECTIONS, profile_versions, profiles
from roadworthy.uploads.tables import uploads

Rows = list[dict[str, Any]]

SECRET = frozenset({"password_digest", "place", "digest", "key"})
"""Columns that nobody is shown."""
OF_DRIVERS: Mapping[str, Table] = {
    "sessions": sessions,
    "known_addresses": known_addresses,
    "mailed_links": mailed_links,
    "profiles": profiles,
    "profile_versions": profile_versions,
    "files": blobs,
    "uploads": uploads,
    "submissions": submissions,
    "file_views": file_views,
    "data_exports": data_exports,
}
"""By their driver's id."""
OF_PROFILES: Mapping[str, Table] = {"attachments": attachments} | {
    table.name: table for table in COLLECTIONS
}
"""By their profile's id."""


class HeldFile(NamedTuple):
    """A file whose bytes we have; `slot` is where it is, or was handed in, if anywhere."""

    id: int
    key: str
    filename: str
    slot: str | None


def find_held(connection: Connection, user_id: int) -> dict[str, Rows]:
    """All rows about the driver, by what they are of."""
    profile_ids = select(profiles.c.id).where(profiles.c.user_id == user_id)
    held = {"account": _rows(connection, users, users.c.id == user_id)}
    for name, table in OF_DRIVERS.items():
        held[name] = _rows(connection, table, table.c.user_id == user_id)
    for name, table in OF_PROFILES.items():
        held[name] = _rows(connection, table, table.c.profile_id.in_(profile_ids))
    return held


def find_held_files(connection: Connection, user_id: int) -> list[HeldFile]:
    """The driver's files, but for those that hold files themselves."""
    place = select(attachments.c.slot).where(attachments.c.blob_id == blobs.c.id).limit(1)
    kind = select(submissions.c.kind).where(submissions.c.blob_id == blobs.c.id).limit(1)
    exported = select(data_exports.c.blob_id).where(data_exports.c.blob_id.is_not(None))
    rows = connection.execute(
        select(
            blobs.c.id,
            blobs.c.key,
            blobs.c.filename,
            blobs.c.detected_type,
            place.scalar_subquery().label("place"),
            kind.scalar_subquery().label("kind"),
        )
        .where(
            blobs.c.user_id == user_id,
            blobs.c.uploaded_at.is_not(None),
            blobs.c.purged_at.is_(None),
            blobs.c.id.not_in(exported),
        )
        .order_by(blobs.c.id)
    )
    return [
        HeldFile(
            row.id,
            row.key,
            name_to_save(row.filename, row.detected_type or UNKNOWN_TYPE),
            row.place or row.kind,
        )
        for row in rows
    ]


def _rows(connection: Connection, table: Table, theirs: ColumnElement[bool]) -> Rows:
    columns = [column for column in table.c if column.name not in SECRET]
    found = connection.execute(select(*columns).where(theirs).order_by(*table.primary_key))
    return [dict(row) for row in found.mappings()]
