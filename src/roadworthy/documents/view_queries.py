"""SQL of looking at files."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    and_,
    bindparam,
    insert,
    or_,
    select,
)

from roadworthy.accounts import users
from roadworthy.database import Connection, Prepared
from roadworthy.documents.access import Subject, Viewer
from roadworthy.documents.blob import UNKNOWN_TYPE
from roadworthy.documents.states import has_bytes, is_attached, is_submitted
from roadworthy.documents.tables import blobs, file_views


class Viewable(NamedTuple):
    """A file with what the decision about who may see it reads."""

    key: str
    filename: str
    content_type: str
    byte_size: int
    checksum: str
    subject: Subject


_is_open = and_(users.c.id.is_not(None), users.c.closed_at.is_(None))

_VIEWABLE = Prepared(
    select(
        blobs.c.key,
        blobs.c.filename,
        blobs.c.detected_type,
        blobs.c.byte_size,
        blobs.c.checksum,
        blobs.c.user_id,
        _is_open.label("is_open"),
        or_(is_attached, is_submitted).label("is_held"),
    )
    .select_from(blobs.outerjoin(users))
    .where(blobs.c.id == bindparam("blob_id"), has_bytes)
)

_RECORD_VIEW = Prepared(
    insert(file_views)
    .values({column: bindparam(column.name) for column in file_views.c if column.name != "id"})
    .returning(file_views.c.id)
)


def find_viewable(connection: Connection, blob_id: int) -> Viewable | None:
    """The file of that blob, if its bytes are there."""
    row = _VIEWABLE.first(connection, {"blob_id": blob_id})
    if row is None:
        return None
    key, filename, detected, byte_size, checksum, user_id, is_open, is_held = row
    subject = Subject(user_id, bool(is_open), bool(is_held))
    return Viewable(key, filename, detected or UNKNOWN_TYPE, byte_size, checksum, subject)


def record_view(
    connection: Connection,
    user_id: int | None,
    blob_id: int,
    viewer: Viewer,
    manner: str,
    now: datetime,
) -> None:
    """`viewer` is shown the file, as `manner` says."""
    _RECORD_VIEW.first(
        connection,
        {
            "user_id": user_id,
            "blob_id": blob_id,
            "viewer_kind": viewer.kind,
            "viewer_id": viewer.id,
            "manner": manner,
            "viewed_at": now,
        },
    )
