"""SQL of exports."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update

from roadworthy.accounts import users
from roadworthy.database import Connection
from roadworthy.documents import blobs, hold_blob, release_blobs
from roadworthy.exports.letters import LETTER, LIFETIME
from roadworthy.exports.tables import data_exports
from roadworthy.jobs import MOST_IN_A_WRITE, enqueue
from roadworthy.mail import enqueue_letter

KIND = "export"
"""Of the jobs that make them."""
PATIENCE = timedelta(days=1)
"""How long one may take: what is not made by then may be asked for again."""


class Export(NamedTuple):
    """One that is made: where its bytes are."""

    id: int
    blob_id: int
    key: str
    byte_size: int
    checksum: str


def find_waiting(connection: Connection, user_id: int, now: datetime) -> int | None:
    """The one that the driver waits for."""
    waiting = select(data_exports.c.id).where(
        data_exports.c.user_id == user_id,
        data_exports.c.blob_id.is_(None),
        data_exports.c.requested_at > now - PATIENCE,
    )
    return connection.execute(waiting.limit(1)).scalar()


def ask_for_export(
    connection: Connection, user_id: int, may: Callable[[], None], now: datetime
) -> None:
    """Have everything gathered, unless it is being gathered already; `may` raises when it must
    not be.
    """
    connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
    if find_waiting(connection, user_id, now) is not None:
        return
    may()
    row = {"user_id": user_id, "requested_at": now}
    created = connection.execute(insert(data_exports).returning(data_exports.c.id), row)
    enqueue(connection, KIND, {"export_id": int(created.scalar_one())}, now)


def find_unmade(connection: Connection, export_id: int) -> int | None:
    """Whose it is, if it is still to be made and the account is open."""
    return connection.execute(
        select(data_exports.c.user_id)
        .join(users)
        .where(
            data_exports.c.id == export_id,
            data_exports.c.blob_id.is_(None),
            users.c.closed_at.is_(None),
        )
    ).scalar()


def finish_export(
    connection: Connection, export_id: int, user_id: int, blob_id: int, now: datetime
) -> bool:
    """Its bytes are in storage: earlier ones go, and a letter says where it is.

    Not when it is made already, or the account was closed meanwhile: whether it is now.
    """
    email = connection.execute(
        select(users.c.email)
        .where(users.c.id == user_id, users.c.closed_at.is_(None))
        .with_for_update()
    ).scalar()
    if email is None or find_unmade(connection, export_id) is None:
        return False
    if not hold_blob(connection, blob_id, now):
        return False
    made = and_(data_exports.c.user_id == user_id, data_exports.c.blob_id.is_not(None))
    _drop(connection, made, now)
    connection.execute(
        update(data_exports)
        .where(data_exports.c.id == export_id)
        .values(blob_id=blob_id, expires_at=now + LIFETIME)
    )
    enqueue_letter(connection, LETTER, {"email": email, "export_id": export_id}, now)
    return True


def find_export(connection: Connection, user_id: int, now: datetime) -> Export | None:
    """The driver's, while it is good."""
    row = connection.execute(
        select(data_exports.c.id, blobs.c.id, blobs.c.key, blobs.c.byte_size, blobs.c.checksum)
        .join(blobs)
        .where(data_exports.c.user_id == user_id, data_exports.c.expires_at > now)
        .order_by(data_exports.c.id.desc())
        .limit(1)
    ).first()
    return Export(*row) if row else None


def purge_exports(connection: Connection, until: datetime) -> int:
    """Some of those that had expired at `until`, or were long not made, are to go: how many."""
    return _drop(connection, _is_old(until), until)


def find_old_exports(connection: Connection, until: datetime) -> list[tuple[int, int]]:
    """The ids of those, and of their drivers."""
    old = select(data_exports.c.id, data_exports.c.user_id).where(_is_old(until))
    rows = connection.execute(old.order_by(data_exports.c.id))
    return [(row.id, row.user_id) for row in rows]


def erase_exports(connection: Connection, user_id: int, now: datetime) -> int:
    """Some of the driver's are to go: how many."""
    return _drop(connection, data_exports.c.user_id == user_id, now)


def _is_old(until: datetime) -> ColumnElement[bool]:
    unmade = and_(data_exports.c.blob_id.is_(None), data_exports.c.requested_at <= until - PATIENCE)
    return or_(data_exports.c.expires_at <= until, unmade)


def _drop(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    some = select(data_exports.c.id).where(which).limit(MOST_IN_A_WRITE)
    ids = connection.execute(some).scalars().all()
    dropped = connection.execute(
        delete(data_exports).where(data_exports.c.id.in_(ids)).returning(data_exports.c.blob_id)
    )
    release_blobs(connection, [row.blob_id for row in dropped if row.blob_id], now)
    return len(ids)
