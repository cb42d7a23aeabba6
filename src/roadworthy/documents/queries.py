"""SQL of blobs."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from roadworthy.accounts import users
from roadworthy.database import Connection
from roadworthy.documents.blob import (
    LIFETIME,
    MOST_UNATTACHED,
    NewBlob,
)
from roadworthy.documents.states import has_bytes
from roadworthy.documents.tables import blobs


class TooManyBlobs(Exception):
    """The driver has as many blobs waiting to be attached as one may have, until `until`."""

    def __init__(self, until: datetime):
        super().__init__(until)
        self.until = until


class Blob(NamedTuple):
    """A blob as it is stored."""

    id: int
    key: str
    filename: str
    content_type: str
    byte_size: int
    checksum: str
    created_at: datetime
    user_id: int | None
    detected_type: str | None
    uploaded_at: datetime | None
    unattached_since: datetime | None
    purged_at: datetime | None

    def may_be_attached(self, user_id: int, now: datetime) -> bool:
        """Whether `user_id` may put it somewhere."""
        waits = self.unattached_since is not None and self.unattached_since > now - LIFETIME
        return self.user_id == user_id and waits and self.purged_at is None


BLOB = select(*(blobs.c[name] for name in Blob._fields))
"""Each row is a `Blob`."""


def create_blob(
    connection: Connection, user_id: int, blob: NewBlob, key: str, service: str, now: datetime
) -> int:
    """The id of a blob whose bytes are still to come. Raises `TooManyBlobs`."""
    connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
    waiting = select(func.count(), func.min(blobs.c.unattached_since)).where(
        blobs.c.user_id == user_id, blobs.c.unattached_since.is_not(None)
    )
    count, oldest = connection.execute(waiting).one()
    if count >= MOST_UNATTACHED:
        raise TooManyBlobs(oldest + LIFETIME)
    return create_blob_of_ours(connection, user_id, blob, key, service, now)


def create_blob_of_ours(
    connection: Connection, user_id: int, blob: NewBlob, key: str, service: str, now: datetime
) -> int:
    """The same for one about the driver that we make: `hold_blob` once its bytes are there."""
    created = connection.execute(
        insert(blobs).returning(blobs.c.id),
        {
            **blob._asdict(),
            "key": key,
            "service_name": service,
            "user_id": user_id,
            "created_at": now,
            "unattached_since": now,
        },
    )
    return int(created.scalar_one())


def hold_blob(connection: Connection, blob_id: int, now: datetime) -> bool:
    """Its bytes are there and it stays until `release_blobs`; whether there is such a blob."""
    held = connection.execute(
        update(blobs)
        .where(blobs.c.id == blob_id, blobs.c.purged_at.is_(None))
        .values(uploaded_at=now, unattached_since=None)
    )
    return held.rowcount == 1


def release_blobs(connection: Connection, blob_ids: Collection[int], now: datetime) -> None:
    """They are to go."""
    connection.execute(
        update(blobs).where(blobs.c.id.in_(blob_ids)).values(purged_at=now, unattached_since=now)
    )


def find_blob(connection: Connection, blob_id: int) -> Blob | None:
    """The blob of that id."""
    row = connection.execute(BLOB.where(blobs.c.id == blob_id)).first()
    return Blob(*row) if row else None


def find_blob_to_upload(connection: Connection, blob_id: int) -> Blob | None:
    """The blob of that id, unless it is being purged or its driver closed the account."""
    open_account = exists().where(users.c.id == blobs.c.user_id, users.c.closed_at.is_(None))
    row = connection.execute(
        BLOB.where(blobs.c.id == blob_id, blobs.c.purged_at.is_(None), open_account)
    ).first()
    return Blob(*row) if row else None


def find_blobs(connection: Connection, blob_ids: Collection[int]) -> dict[int, Blob]:
    """The blobs of those ids that there are."""
    rows = connection.execute(BLOB.where(blobs.c.id.in_(blob_ids)))
    return {row.id: Blob(*row) for row in rows}


def mark_uploaded(connection: Connection, blob_id: int, now: datetime) -> bool:
    """The blob's bytes are in storage; whether there still is such a blob."""
    marked = connection.execute(
        update(blobs)
        .where(blobs.c.id == blob_id, blobs.c.purged_at.is_(None))
        .values(
            uploaded_at=func.coalesce(blobs.c.uploaded_at, literal(now, blobs.c.uploaded_at.type))
        )
    )
    return marked.rowcount == 1


def mark_inspected(
    connection: Connection, blob_id: int, key: str, content_type: str, now: datetime
) -> bool:
    """What is under `key` was looked into, is of that type, and is the blob's from now on.

    Not when other bytes were first, or the blob is to go: whether it is.
    """
    marked = connection.execute(
        update(blobs)
        .where(blobs.c.id == blob_id, blobs.c.detected_type.is_(None), blobs.c.purged_at.is_(None))
        .values(
            key=key,
            detected_type=content_type,
            uploaded_at=func.coalesce(blobs.c.uploaded_at, literal(now, blobs.c.uploaded_at.type)),
        )
    )
    return marked.rowcount == 1


def size_held(connection: Connection, user_id: int) -> tuple[int, int]:
    """How many files of the user we have, and of how many bytes."""
    held = select(func.count(), func.coalesce(func.sum(blobs.c.byte_size), 0))
    count, size = connection.execute(held.where(blobs.c.user_id == user_id, has_bytes)).one()
    return count, int(size)


def find_stored(connection: Connection, after: int, most: int) -> list[Blob]:
    """The next blobs whose bytes are in storage, beyond the id `after`."""
    rows = connection.execute(
        BLOB.where(blobs.c.id > after, has_bytes).order_by(blobs.c.id).limit(most)
    )
    return [Blob(*row) for row in rows]


def find_by_keys(connection: Connection, keys: Collection[str]) -> list[Blob]:
    """The blobs that have those keys."""
    return [Blob(*row) for row in connection.execute(BLOB.where(blobs.c.key.in_(keys)))]


def size_stored(connection: Connection) -> int:
    """How many bytes are in storage."""
    total = select(func.coalesce(func.sum(blobs.c.byte_size), 0)).where(has_bytes)
    return int(connection.execute(total).scalar_one())


def note_storage(connection: Connection, blob_ids: Collection[int], service: str) -> None:
    """Their bytes are there now."""
    connection.execute(update(blobs).where(blobs.c.id.in_(blob_ids)).values(service_name=service))
