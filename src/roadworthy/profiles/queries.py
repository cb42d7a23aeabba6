"""SQL of profiles."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    RowMapping,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from roadworthy.accounts import token_is_revoked, users
from roadworthy.database import Connection, Prepared, json_rows
from roadworthy.documents import (
    Placing,
    attached_files,
    attachments,
    blobs,
    place_files,
    take_out_files,
)
from roadworthy.jobs import delete_some
from roadworthy.profiles.profile import FIELDS
from roadworthy.profiles.tables import (
    activities,
    experiences,
    interviews,
    licenses,
    profile_versions,
    profiles,
    reviews,
)


class Driver(NamedTuple):
    """Who a token speaks for, and whether it still does."""

    id: int
    email: str
    phone_number: str | None
    profile_id: int | None
    version: int | None
    recorded: datetime | None
    """When the profile's values were: of a restored database, a version may have other ones."""
    revoked: bool


def _entries(table: Table) -> Any:
    columns = {column.name: column for column in table.c if column is not table.c.profile_id}
    return json_rows(table, table.c.profile_id == profiles.c.id, columns).label(table.name)


_DRIVER = Prepared(
    select(
        users.c.id,
        users.c.email,
        users.c.phone_number,
        profiles.c.id.label("profile_id"),
        profiles.c.version,
        profiles.c.updated_at,
        token_is_revoked().label("revoked"),
    )
    .select_from(users.outerjoin(profiles))
    .where(users.c.id == bindparam("user_id"), users.c.closed_at.is_(None))
)

_PROFILE = Prepared(
    select(
        profiles,
        users.c.email,
        users.c.phone_number,
        *(_entries(table) for table in (activities, experiences, interviews, licenses, reviews)),
        attached_files(profiles.c.id).label("files"),
    )
    .select_from(profiles.join(users))
    .where(profiles.c.id == bindparam("profile_id"))
)

_WRITTEN = [column for column in profiles.c if column.name != "id"]

# As long as the account is what the new profile shows of it; who changes it meanwhile waits.
_CREATE = Prepared(
    insert(profiles)
    .from_select(
        _WRITTEN,
        select(*(bindparam(column.name, type_=column.type) for column in _WRITTEN))
        .where(
            users.c.id == bindparam("user_id"),
            users.c.email == bindparam("email"),
            users.c.phone_number.is_not_distinct_from(bindparam("phone_number", type_=Text())),
            users.c.closed_at.is_(None),
        )
        .with_for_update(read=True),
    )
    .returning(profiles.c.id)
)


def find_driver(connection: Connection, user_id: int, jti: str) -> Driver | None:
    """Whose token this is: the user, whether the token is revoked, their profile's version."""
    row = _DRIVER.first(connection, {"user_id": user_id, "jti": jti})
    return Driver(*row) if row else None


def find_profile(connection: Connection, profile_id: int) -> dict[str, Any] | None:
    """The profile with all it shows, its collections as JSON lists."""
    return _PROFILE.first_by_name(connection, {"profile_id": profile_id})


def create_profile(
    connection: Connection, driver: Driver, values: Mapping[str, Any], now: datetime
) -> int | None:
    """The new profile's id, at version 1; `None` when the account has changed since `driver` was
    looked up. Raises `IntegrityError` when the user has a profile.
    """
    row = {
        "bio": None,
        "english_level": None,
        **values,
        "user_id": driver.id,
        "email": driver.email,
        "phone_number": driver.phone_number,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    created = _CREATE.first(connection, row)
    return None if created is None else int(created[0])


def change_profile(
    connection: Connection,
    profile_id: int,
    values: Mapping[str, Any],
    placing: Placing,
    now: datetime,
) -> dict[str, Any] | None:
    """The profile with `values` and files in place; `None` when it is gone.

    Earlier values are kept. What changes nothing makes no new version. Raises `NotAttachable`.
    """
    present = _lock(connection, profile_id)
    if present is None:
        return None
    changes: dict[str, Any] = {}
    if any(present[name] != value for name, value in values.items()):
        now = _after(present, now)
        _keep(connection, profile_id, now)
        changes = {**values, "updated_at": now}
    if place_files(connection, present["user_id"], profile_id, placing, now) or changes:
        connection.execute(
            update(profiles)
            .where(profiles.c.id == profile_id)
            .values(**changes, version=present["version"] + 1)
        )
    return find_profile(connection, profile_id)


def note_account_change(connection: Connection, user_id: int) -> None:
    """What the user's profile shows of the account has changed: it has another version."""
    connection.execute(
        update(profiles).where(profiles.c.user_id == user_id).values(version=profiles.c.version + 1)
    )


def delete_profile(connection: Connection, profile_id: int, now: datetime) -> bool:
    """Whether there was a profile to delete; its values are kept as its last version.

    What was handed in is withdrawn, and kept.
    """
    present = _lock(connection, profile_id)
    if present is None:
        return False
    _keep(connection, profile_id, _after(present, now))
    take_out_files(connection, profile_id, now)
    connection.execute(delete(profiles).where(profiles.c.id == profile_id))
    return True


def claim_files(connection: Connection, user_id: int) -> None:
    """Files of a release that did not say whose they are become those of the user whose profile
    has them."""
    attached = (
        select(attachments.c.blob_id)
        .join(profiles, profiles.c.id == attachments.c.profile_id)
        .where(profiles.c.user_id == user_id)
    )
    connection.execute(
        update(blobs)
        .where(blobs.c.user_id.is_(None), blobs.c.id.in_(attached))
        .values(user_id=user_id)
    )


def erase_profile(connection: Connection, user_id: int) -> int:
    """Forget some of what the user ever told us: how many rows."""
    tables = (profile_versions, profiles)
    return sum(delete_some(connection, each, each.c.user_id == user_id) for each in tables)


def _lock(connection: Connection, profile_id: int) -> RowMapping | None:
    """The profile of an open account as it is until this transaction ends: others who would change
    it wait.

    The user first, as whoever changes an account does, so that no two wait for each other.
    """
    owner = select(profiles.c.user_id).where(profiles.c.id == profile_id).scalar_subquery()
    user = select(users.c.id).where(users.c.id == owner, users.c.closed_at.is_(None))
    if connection.execute(user.with_for_update(read=True, key_share=True)).first() is None:
        return None
    locked = select(profiles).where(profiles.c.id == profile_id).with_for_update()
    return connection.execute(locked).mappings().first()


def _after(present: RowMapping, now: datetime) -> datetime:
    """`now`, but later than what is present was recorded: clocks differ, and move."""
    recorded: datetime = present["updated_at"]
    return max(now, recorded + timedelta(microseconds=1))


def _keep(connection: Connection, profile_id: int, now: datetime) -> None:
    """Copy the values of today to the earlier ones, where clearance will look for past days."""
    kept = ("user_id", "version", *FIELDS)
    connection.execute(
        insert(profile_versions).from_select(
            ["profile_id", *kept, "recorded_at", "superseded_at"],
            select(
                profiles.c.id,
                *(profiles.c[name] for name in kept),
                profiles.c.updated_at,
                _instant(now),
            ).where(profiles.c.id == profile_id),
        )
    )


def _instant(now: datetime) -> Any:
    return bindparam("superseded_at", now, type_=profile_versions.c.superseded_at.type)
