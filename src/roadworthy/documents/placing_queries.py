"""SQL of places: what is in which, and what was handed in for it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from roadworthy.database import Connection, json_rows
from roadworthy.documents.attachment import COMPLIANCE_SLOTS
from roadworthy.documents.blob import MOST_SUBMITTED_A_DAY
from roadworthy.documents.queries import BLOB, Blob
from roadworthy.documents.states import has_bytes, stands
from roadworthy.documents.tables import attachments, blobs, submissions

Placing = Mapping[str, Sequence[int]]
"""Slot to the ids of exactly the blobs that shall be there, in order."""


class TooManySubmissions(Exception):
    """The driver has handed in as many documents today as one may."""


class NotAttachable(Exception):
    """A blob for `slot` is no longer there, or attached elsewhere."""

    def __init__(self, slot: str):
        super().__init__(slot)
        self.slot = slot


def attached_files(profile_id: Column[int]) -> ColumnElement[str]:
    """A column: the JSON list of `AttachedFile` of the profile in that row."""
    return json_rows(
        attachments.join(blobs),
        attachments.c.profile_id == profile_id,
        {
            "id": attachments.c.id,
            "blob_id": case((has_bytes, blobs.c.id)),
            "slot": attachments.c.slot,
            "position": attachments.c.position,
            "byte_size": blobs.c.byte_size,
            "filename": blobs.c.filename,
        },
    )


def find_placed(connection: Connection, user_id: int, profile_id: int) -> dict[int, str]:
    """The blobs attached to the driver's profile, and where."""
    rows = connection.execute(
        select(attachments.c.blob_id, attachments.c.slot)
        .join(blobs)
        .where(attachments.c.profile_id == profile_id, blobs.c.user_id == user_id)
    )
    return {row.blob_id: row.slot for row in rows}


def place_files(
    connection: Connection, user_id: int, profile_id: int, placing: Placing, now: datetime
) -> bool:
    """Put the blobs in their places, of a profile that is locked: whether that changes anything.

    What was there and is not wanted any more leaves. Raises `NotAttachable` and
    `TooManySubmissions`.
    """
    present = _present(connection, profile_id, placing)
    changed = {slot: ids for slot, ids in placing.items() if list(ids) != present[slot]}
    for slot, ids in changed.items():
        _take_out(connection, profile_id, slot, set(present[slot]) - set(ids), now)
    for slot, ids in changed.items():
        _put_in(connection, user_id, profile_id, slot, ids, now)
    return bool(changed)


def take_out_files(connection: Connection, profile_id: int, now: datetime) -> None:
    """Empty every place of a profile that is about to go."""
    rows = connection.execute(
        select(attachments.c.slot, attachments.c.blob_id).where(
            attachments.c.profile_id == profile_id
        )
    ).all()
    for row in rows:
        _take_out(connection, profile_id, row.slot, {row.blob_id}, now)


def _present(connection: Connection, profile_id: int, placing: Placing) -> dict[str, list[int]]:
    rows = connection.execute(
        select(attachments.c.slot, attachments.c.blob_id)
        .where(attachments.c.profile_id == profile_id, attachments.c.slot.in_(placing))
        .order_by(attachments.c.position, attachments.c.id)
    )
    present: dict[str, list[int]] = {slot: [] for slot in placing}
    for row in rows:
        present[row.slot].append(row.blob_id)
    return present


def _take_out(
    connection: Connection, profile_id: int, slot: str, blob_ids: Collection[int], now: datetime
) -> None:
    """Its file may be attached again for a day; one that was handed in is withdrawn and kept."""
    if not blob_ids:
        return
    connection.execute(
        delete(attachments).where(
            attachments.c.profile_id == profile_id,
            attachments.c.slot == slot,
            attachments.c.blob_id.in_(blob_ids),
        )
    )
    connection.execute(update(blobs).where(blobs.c.id.in_(blob_ids)).values(unattached_since=now))
    connection.execute(
        update(submissions)
        .where(submissions.c.blob_id.in_(blob_ids), stands())
        .values(withdrawn_at=now)
    )


def _put_in(
    connection: Connection,
    user_id: int,
    profile_id: int,
    slot: str,
    blob_ids: Sequence[int],
    now: datetime,
) -> None:
    here = _present(connection, profile_id, {slot: ()})[slot]
    locked = connection.execute(BLOB.where(blobs.c.id.in_(blob_ids)).with_for_update())
    found = {row.id: Blob(*row) for row in locked}
    for position, blob_id in enumerate(blob_ids):
        if blob_id in here:
            _move(connection, blob_id, position)
            continue
        blob = found.get(blob_id)
        if blob is None or not blob.may_be_attached(user_id, now) or not blob.detected_type:
            raise NotAttachable(slot)
        _attach(connection, profile_id, slot, blob_id, position, now)
        if slot in COMPLIANCE_SLOTS:
            _submit(connection, user_id, slot, blob_id, now)


def _move(connection: Connection, blob_id: int, position: int) -> None:
    connection.execute(
        update(attachments).where(attachments.c.blob_id == blob_id).values(position=position)
    )


def _attach(
    connection: Connection, profile_id: int, slot: str, blob_id: int, position: int, now: datetime
) -> None:
    connection.execute(
        insert(attachments),
        {
            "profile_id": profile_id,
            "blob_id": blob_id,
            "slot": slot,
            "position": position,
            "created_at": now,
        },
    )
    connection.execute(update(blobs).where(blobs.c.id == blob_id).values(unattached_since=None))


def _submit(connection: Connection, user_id: int, kind: str, blob_id: int, now: datetime) -> None:
    lately = select(func.count()).where(
        submissions.c.user_id == user_id, submissions.c.created_at > now - timedelta(days=1)
    )
    if connection.execute(lately).scalar_one() >= MOST_SUBMITTED_A_DAY:
        raise TooManySubmissions
    connection.execute(
        insert(submissions),
        {"user_id": user_id, "kind": kind, "blob_id": blob_id, "created_at": now},
    )
