"""SQL of documents."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from roadworthy.accounts import users
from roadworthy.database import Connection, Prepared, json_rows
from roadworthy.documents.access import Subject, Viewer
from roadworthy.documents.attachment import COMPLIANCE_SLOTS, DBS_SLOTS
from roadworthy.documents.blob import (
    LIFETIME,
    MOST_SUBMITTED_A_DAY,
    MOST_UNATTACHED,
    UNKNOWN_TYPE,
    NewBlob,
)
from roadworthy.documents.tables import attachments, blobs, file_views, submissions
from roadworthy.jobs import MOST_IN_A_WRITE, delete_some

Placing = Mapping[str, Sequence[int]]
"""Slot to the ids of exactly the blobs that shall be there, in order."""


class TooManyBlobs(Exception):
    """The driver has as many blobs waiting to be attached as one may have, until `until`."""

    def __init__(self, until: datetime):
        super().__init__(until)
        self.until = until


class TooManySubmissions(Exception):
    """The driver has handed in as many documents today as one may."""


class NotAttachable(Exception):
    """A blob for `slot` is no longer there, or attached elsewhere."""

    def __init__(self, slot: str):
        super().__init__(slot)
        self.slot = slot


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


class GoingBlob(NamedTuple):
    """A blob that the next purge removes."""

    id: int
    user_id: int | None
    byte_size: int
    unattached_since: datetime | None
    purged_at: datetime | None


class Viewable(NamedTuple):
    """A file with what the decision about who may see it reads."""

    key: str
    filename: str
    content_type: str
    byte_size: int
    checksum: str
    subject: Subject


_BLOB = select(*(blobs.c[name] for name in Blob._fields))

_has_bytes = and_(blobs.c.uploaded_at.is_not(None), blobs.c.purged_at.is_(None))
_is_condemned = and_(
    blobs.c.purged_at.is_not(None),
    or_(blobs.c.uploaded_at.is_not(None), blobs.c.unattached_since.is_not(None)),
)
_is_attached = exists().where(attachments.c.blob_id == blobs.c.id).select_from(attachments)
_is_submitted = exists().where(submissions.c.blob_id == blobs.c.id).select_from(submissions)

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
        or_(_is_attached, _is_submitted).label("is_held"),
    )
    .select_from(blobs.outerjoin(users))
    .where(blobs.c.id == bindparam("blob_id"), _has_bytes)
)

_RECORD_VIEW = Prepared(
    insert(file_views)
    .values({column: bindparam(column.name) for column in file_views.c if column.name != "id"})
    .returning(file_views.c.id)
)


def attached_files(profile_id: Column[int]) -> ColumnElement[str]:
    """A column: the JSON list of `AttachedFile` of the profile in that row."""
    return json_rows(
        attachments.join(blobs),
        attachments.c.profile_id == profile_id,
        {
            "id": attachments.c.id,
            "blob_id": case((_has_bytes, blobs.c.id)),
            "slot": attachments.c.slot,
            "position": attachments.c.position,
            "byte_size": blobs.c.byte_size,
            "filename": blobs.c.filename,
        },
    )


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
    row = connection.execute(_BLOB.where(blobs.c.id == blob_id)).first()
    return Blob(*row) if row else None


def find_blob_to_upload(connection: Connection, blob_id: int) -> Blob | None:
    """The blob of that id, unless it is being purged or its driver closed the account."""
    open_account = exists().where(users.c.id == blobs.c.user_id, users.c.closed_at.is_(None))
    row = connection.execute(
        _BLOB.where(blobs.c.id == blob_id, blobs.c.purged_at.is_(None), open_account)
    ).first()
    return Blob(*row) if row else None


def find_blobs(connection: Connection, blob_ids: Collection[int]) -> dict[int, Blob]:
    """The blobs of those ids that there are."""
    rows = connection.execute(_BLOB.where(blobs.c.id.in_(blob_ids)))
    return {row.id: Blob(*row) for row in rows}


def find_placed(connection: Connection, user_id: int, profile_id: int) -> dict[int, str]:
    """The blobs attached to the driver's profile, and where."""
    rows = connection.execute(
        select(attachments.c.blob_id, attachments.c.slot)
        .join(blobs)
        .where(attachments.c.profile_id == profile_id, blobs.c.user_id == user_id)
    )
    return {row.blob_id: row.slot for row in rows}


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
        .where(submissions.c.blob_id.in_(blob_ids), _is_undecided())
        .values(withdrawn_at=now)
    )


def _is_undecided() -> ColumnElement[bool]:
    """Nobody has decided on it, and it stands."""
    return submissions.c.withdrawn_at.is_(None)


def _put_in(
    connection: Connection,
    user_id: int,
    profile_id: int,
    slot: str,
    blob_ids: Sequence[int],
    now: datetime,
) -> None:
    here = _present(connection, profile_id, {slot: ()})[slot]
    locked = connection.execute(_BLOB.where(blobs.c.id.in_(blob_ids)).with_for_update())
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
    of_dbs = _is_submitted.where(submissions.c.kind.in_(DBS_SLOTS))
    return and_(
        _has_bytes,
        ~_is_attached,
        of_dbs.where(submissions.c.withdrawn_at <= until),
        ~of_dbs.where(submissions.c.withdrawn_at > until),
        ~_is_submitted.where(_is_undecided()),
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
    is_old = and_(blobs.c.unattached_since <= until, blobs.c.purged_at.is_(None), ~_is_submitted)
    rows = connection.execute(
        select(*(blobs.c[name] for name in GoingBlob._fields))
        .where(or_(is_old, _is_condemned))
        .order_by(blobs.c.id)
    )
    return [GoingBlob(*row) for row in rows]


def size_held(connection: Connection, user_id: int) -> tuple[int, int]:
    """How many files of the user we have, and of how many bytes."""
    held = select(func.count(), func.coalesce(func.sum(blobs.c.byte_size), 0))
    count, size = connection.execute(held.where(blobs.c.user_id == user_id, _has_bytes)).one()
    return count, int(size)


def find_condemned(connection: Connection, after: int, most: int) -> list[tuple[int, str | None]]:
    """Ids, beyond `after`, of blobs whose bytes are to go, or whose row, with the key where there
    may be bytes."""
    rows = connection.execute(
        select(blobs.c.id, blobs.c.key, blobs.c.service_name)
        .where(blobs.c.id > after, _is_condemned)
        .order_by(blobs.c.id)
        .limit(most)
    )
    return [(row.id, row.key if row.service_name else None) for row in rows]


def forget_bytes(connection: Connection, blob_id: int) -> None:
    """The blob's bytes are gone, and so is its row, unless a place or a submission names it."""
    connection.execute(delete(blobs).where(blobs.c.id == blob_id, ~_is_attached, ~_is_submitted))
    connection.execute(
        update(blobs).where(blobs.c.id == blob_id).values(uploaded_at=None, unattached_since=None)
    )


def find_stored(connection: Connection, after: int, most: int) -> list[Blob]:
    """The next blobs whose bytes are in storage, beyond the id `after`."""
    rows = connection.execute(
        _BLOB.where(blobs.c.id > after, _has_bytes).order_by(blobs.c.id).limit(most)
    )
    return [Blob(*row) for row in rows]


def find_by_keys(connection: Connection, keys: Collection[str]) -> list[Blob]:
    """The blobs that have those keys."""
    return [Blob(*row) for row in connection.execute(_BLOB.where(blobs.c.key.in_(keys)))]


def size_stored(connection: Connection) -> int:
    """How many bytes are in storage."""
    total = select(func.coalesce(func.sum(blobs.c.byte_size), 0)).where(_has_bytes)
    return int(connection.execute(total).scalar_one())


def note_storage(connection: Connection, blob_ids: Collection[int], service: str) -> None:
    """Their bytes are there now."""
    connection.execute(update(blobs).where(blobs.c.id.in_(blob_ids)).values(service_name=service))


def known_keys(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of `keys` that a blob has."""
    return set(connection.execute(select(blobs.c.key).where(blobs.c.key.in_(keys))).scalars())


def has_blobs(connection: Connection) -> bool:
    """Whether there is any blob."""
    return connection.execute(select(blobs.c.id).limit(1)).first() is not None
