"""SQL of uploads that can be resumed."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, insert, or_, select, update

from roadworthy.accounts import users
from roadworthy.database import Connection
from roadworthy.uploads.tables import upload_parts, uploads
from roadworthy.uploads.upload import LIFETIME, MOST_PARTS, MOST_UNFINISHED, NewUpload


class TooManyUploads(Exception):
    """The driver has as many unfinished uploads as one may have, or as many bytes of them."""


class TooManyParts(Exception):
    """The upload came in as many parts as one may."""


class Upload(NamedTuple):
    """An upload as it is stored."""

    id: int
    name: str
    user_id: int
    filename: str
    content_type: str
    metadata: str
    byte_size: int
    offset: int
    expires_at: datetime
    blob_id: int | None

    @property
    def remaining(self) -> int:
        """Bytes that are still to come."""
        return self.byte_size - self.offset


class GoingUpload(NamedTuple):
    """An upload that goes, with as many bytes as may have come of it."""

    id: int
    user_id: int
    expires_at: datetime
    byte_size: int


_UPLOAD = select(*(uploads.c[name] for name in Upload._fields))


def create_upload(
    connection: Connection, user_id: int, new: NewUpload, name: str, most_bytes: int, now: datetime
) -> Upload:
    """An upload of which nothing has come, where all unfinished may have `most_bytes` together.

    Raises `TooManyUploads`.
    """
    connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
    unfinished = select(func.count(), func.coalesce(func.sum(uploads.c.byte_size), 0)).where(
        uploads.c.user_id == user_id, uploads.c.blob_id.is_(None), uploads.c.expires_at > now
    )
    count, size = connection.execute(unfinished).one()
    if count >= MOST_UNFINISHED or size + new.byte_size > most_bytes:
        raise TooManyUploads
    created = connection.execute(
        insert(uploads).returning(uploads.c.id),
        {
            **new._asdict(),
            "name": name,
            "user_id": user_id,
            "offset": 0,
            "created_at": now,
            "expires_at": now + LIFETIME,
        },
    )
    return _found(connection, int(created.scalar_one()))


def find_upload(connection: Connection, user_id: int, name: str) -> Upload | None:
    """The driver's upload of that name."""
    row = connection.execute(
        _UPLOAD.where(uploads.c.name == name, uploads.c.user_id == user_id)
    ).first()
    return Upload(*row) if row else None


def begin_part(
    connection: Connection, upload: Upload, key: str, byte_size: int, now: datetime
) -> bool:
    """Name a part before its bytes are stored; whether the upload still waits for it.

    Raises `TooManyParts`.
    """
    if not _is_at(connection, upload, now):
        return False
    parts = select(func.count()).where(upload_parts.c.upload_id == upload.id)
    if connection.execute(parts).scalar_one() >= MOST_PARTS:
        raise TooManyParts
    connection.execute(
        insert(upload_parts),
        {"upload_id": upload.id, "key": key, "start": upload.offset, "byte_size": byte_size},
    )
    return True


def finish_part(
    connection: Connection, upload: Upload, key: str, byte_size: int, now: datetime
) -> Upload | None:
    """The upload with that part, whose bytes are stored; `None` when it waits for it no more."""
    if not _is_at(connection, upload, now):
        connection.execute(delete(upload_parts).where(upload_parts.c.key == key))
        return None
    stored = connection.execute(
        update(upload_parts).where(upload_parts.c.key == key).values(stored_at=now)
    )
    if stored.rowcount != 1:
        return None
    offset = upload.offset + byte_size
    connection.execute(update(uploads).where(uploads.c.id == upload.id).values(offset=offset))
    return upload._replace(offset=offset)


def _is_at(connection: Connection, upload: Upload, now: datetime) -> bool:
    """Whether nothing came since `upload` was read; others wait until this transaction ends."""
    row = connection.execute(
        select(uploads.c.offset, uploads.c.expires_at)
        .where(uploads.c.id == upload.id)
        .with_for_update()
    ).first()
    return row is not None and row.offset == upload.offset and row.expires_at > now


def stored_parts(connection: Connection, upload_id: int) -> list[tuple[str, int]]:
    """Keys and sizes of what has come, in order."""
    rows = connection.execute(
        select(upload_parts.c.key, upload_parts.c.byte_size)
        .where(upload_parts.c.upload_id == upload_id, upload_parts.c.stored_at.is_not(None))
        .order_by(upload_parts.c.start)
    )
    return [(row.key, row.byte_size) for row in rows]


def part_keys(connection: Connection, upload_id: int) -> list[str]:
    """Keys of every part, also of one whose bytes may not be there."""
    rows = connection.execute(
        select(upload_parts.c.key).where(upload_parts.c.upload_id == upload_id)
    )
    return list(rows.scalars())


def become(connection: Connection, upload_id: int, blob_id: int) -> bool:
    """The upload is that blob; whether it was none yet."""
    became = connection.execute(
        update(uploads)
        .where(uploads.c.id == upload_id, uploads.c.blob_id.is_(None))
        .values(blob_id=blob_id)
    )
    return became.rowcount == 1


def end_upload(connection: Connection, upload_id: int, now: datetime) -> None:
    """It takes no more."""
    connection.execute(update(uploads).where(uploads.c.id == upload_id).values(expires_at=now))


def forget_parts(connection: Connection, keys: Collection[str]) -> None:
    """Their bytes are gone."""
    connection.execute(delete(upload_parts).where(upload_parts.c.key.in_(keys)))


def forget_upload(connection: Connection, upload_id: int) -> None:
    """The upload, whose parts are gone."""
    connection.execute(delete(uploads).where(uploads.c.id == upload_id))


def find_ended(connection: Connection, until: datetime, after: int, most: int) -> list[int]:
    """Ids, beyond `after`, of uploads that take no more since `until` or longer."""
    ended = select(uploads.c.id).where(uploads.c.id > after, uploads.c.expires_at <= until)
    return list(connection.execute(ended.order_by(uploads.c.id).limit(most)).scalars())


def find_going(connection: Connection, until: datetime) -> list[GoingUpload]:
    """Uploads that take no more since `until` or longer; of those that are files by now, only what
    has parts left."""
    size = func.sum(upload_parts.c.byte_size)
    rows = connection.execute(
        select(uploads.c.id, uploads.c.user_id, uploads.c.expires_at, func.coalesce(size, 0))
        .outerjoin(upload_parts)
        .where(uploads.c.expires_at <= until)
        .group_by(uploads.c.id)
        .having(or_(uploads.c.blob_id.is_(None), size.is_not(None)))
        .order_by(uploads.c.id)
    )
    return [GoingUpload(id_, user_id, at, int(size)) for id_, user_id, at, size in rows]


def _found(connection: Connection, upload_id: int) -> Upload:
    return Upload(*connection.execute(_UPLOAD.where(uploads.c.id == upload_id)).one())
