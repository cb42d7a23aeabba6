"""SQL of what goes: the blobs that nobody holds, or not for longer."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    or_,
    select,
    update,
)

from roadworthy.database import Connection
from roadworthy.documents.attachment import DBS_SLOTS
from roadworthy.documents.queries import release_blobs
from roadworthy.documents.states import (
    has_bytes,
    is_attached,
    is_condemned,
    is_submitted,
    stands,
)
from roadworthy.documents.tables import attachments, blobs, submissions
from roadworthy.jobs import MOST_IN_A_WRITE, delete_some


class GoingBlob(NamedTuple):
    """A blob that the next purge removes."""

    id: int
    user_id: int | None
    byte_size: int
    unattached_since: datetime | None
    purged_at: datetime | None


def find_unattached(connection: Connection, until: datetime, most: int) -> list[int]:
    """Blobs that wait to be attached since `until` or longer."""
    old = select(blobs.c.id).where(blobs.c.unattached_since <= until, blobs.c.purged_at.is_(None))
    return list(connection.execute(old.order_by(blobs.c.unattached_since).limit(most)).scalars())


def find_outlived(connection: Connection, until: datetime, most: int | None = None) -> list[int]:
    """Images of DBS certificates that were withdrawn at `until` or before, and that nothing else
    holds."""
    rows = connection.execute(
        select(blobs.c.id).where(_is_outlived(until)).order_by(blobs.c.id).limit(most)
    )
    return list(rows.scalars())


def condemn_outlived(
    connection: Connection, blob_ids: Collection[int], until: datetime, now: datetime
) -> None:
    """Of these, what is still so is to go; that it was handed in is kept."""
    connection.execute(
        update(blobs).where(blobs.c.id.in_(blob_ids), _is_outlived(until)).values(purged_at=now)
    )


def _is_outlived(until: datetime) -> ColumnElement[bool]:
    of_dbs = is_submitted.where(submissions.c.kind.in_(DBS_SLOTS))
    return and_(
        has_bytes,
        ~is_attached,
        of_dbs.where(submissions.c.withdrawn_at <= until),
        ~of_dbs.where(submissions.c.withdrawn_at > until),
        ~is_submitted.where(stands()),
    )


def condemn_blobs(connection: Connection, blob_ids: Collection[int], now: datetime) -> None:
    """Of these, what nobody holds is to go; what was handed in stays, but waits no more."""
    locked = select(blobs.c.id).where(
        blobs.c.id.in_(blob_ids), blobs.c.unattached_since.is_not(None)
    )
    still = set(connection.execute(locked.with_for_update()).scalars())
    held = select(submissions.c.blob_id).where(submissions.c.blob_id.in_(still))
    kept = set(connection.execute(held).scalars())
    connection.execute(update(blobs).where(blobs.c.id.in_(kept)).values(unattached_since=None))
    connection.execute(update(blobs).where(blobs.c.id.in_(still - kept)).values(purged_at=now))


def erase_files(connection: Connection, user_id: int, now: datetime) -> int:
    """Some of the user's files are to go, whoever holds them: how many rows that changed."""
    theirs = select(blobs.c.id).where(blobs.c.user_id == user_id)
    held = delete_some(connection, submissions, submissions.c.user_id == user_id)
    held += delete_some(connection, attachments, attachments.c.blob_id.in_(theirs))
    if held:
        return held
    stays = or_(blobs.c.purged_at.is_(None), blobs.c.unattached_since.is_(None))
    some = connection.execute(theirs.where(stays).limit(MOST_IN_A_WRITE)).scalars().all()
    release_blobs(connection, some, now)
    return len(some)


def find_going(connection: Connection, until: datetime) -> list[GoingBlob]:
    """The blobs that wait to be attached since `until` or longer, and those that go already.

    Not those of which something is kept without its bytes.
    """
    is_old = and_(blobs.c.unattached_since <= until, blobs.c.purged_at.is_(None), ~is_submitted)
    rows = connection.execute(
        select(*(blobs.c[name] for name in GoingBlob._fields))
        .where(or_(is_old, is_condemned))
        .order_by(blobs.c.id)
    )
    return [GoingBlob(*row) for row in rows]


def find_condemned(connection: Connection, after: int, most: int) -> list[tuple[int, str | None]]:
    """Ids, beyond `after`, of blobs whose bytes are to go, or whose row, with the key where there
    may be bytes."""
    rows = connection.execute(
        select(blobs.c.id, blobs.c.key, blobs.c.service_name)
        .where(blobs.c.id > after, is_condemned)
        .order_by(blobs.c.id)
        .limit(most)
    )
    return [(row.id, row.key if row.service_name else None) for row in rows]


def forget_bytes(connection: Connection, blob_id: int) -> None:
    """The blob's bytes are gone, and so is its row, unless a place or a submission names it."""
    connection.execute(delete(blobs).where(blobs.c.id == blob_id, ~is_attached, ~is_submitted))
    connection.execute(
        update(blobs).where(blobs.c.id == blob_id).values(uploaded_at=None, unattached_since=None)
    )


def known_keys(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of `keys` that a blob has."""
    return set(connection.execute(select(blobs.c.key).where(blobs.c.key.in_(keys))).scalars())


def has_blobs(connection: Connection) -> bool:
    """Whether there is any blob."""
    return connection.execute(select(blobs.c.id).limit(1)).first() is not None
