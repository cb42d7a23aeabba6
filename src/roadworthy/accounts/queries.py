"""SQL of accounts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)

from roadworthy.accounts.account import NewAccount
from roadworthy.accounts.session_queries import end_sessions, token_is_revoked
from roadworthy.accounts.tables import (
    closed_accounts,
    known_addresses,
    mailed_links,
    sessions,
    users,
)
from roadworthy.database import Connection, Prepared
from roadworthy.jobs import delete_some
from roadworthy.tombstones import bury_account, bury_password


class User(NamedTuple):
    """An account that is open."""

    id: int
    email: str
    password_digest: str
    phone_number: str | None
    created_at: datetime
    updated_at: datetime


class ClosedAccount(NamedTuple):
    """An account that nobody opens any more."""

    id: int
    closed_at: datetime


_USER = [users.c[name] for name in User._fields]

_BY_EMAIL = select(*_USER).where(users.c.email == bindparam("email"), users.c.closed_at.is_(None))

_EMAIL_TAKEN = select(exists(_BY_EMAIL.with_only_columns(users.c.id)))

_ACCOUNT = Prepared(
    select(*_USER, token_is_revoked().label("revoked"))
    .select_from(users)
    .where(users.c.id == bindparam("user_id"), users.c.closed_at.is_(None))
)


def find_account(connection: Connection, user_id: int, jti: str) -> tuple[User, bool] | None:
    """The whole account whose token this is, and whether the token is revoked."""
    row = _ACCOUNT.first(connection, {"user_id": user_id, "jti": jti})
    return (User(*row[:-1]), row[-1]) if row else None


def is_email_taken(connection: Connection, email: str) -> bool:
    """Whether somebody signed up with `email` (as it is stored)."""
    return bool(connection.execute(_EMAIL_TAKEN, {"email": email}).scalar())


def find_user_by_email(connection: Connection, email: str) -> User | None:
    """The user who signs in with `email` (as it is stored)."""
    row = connection.execute(_BY_EMAIL, {"email": email}).first()
    return User(*row) if row else None


def create_user(connection: Connection, account: NewAccount, digest: str, now: datetime) -> int:
    """The new user's id. Raises `IntegrityError` when the address is taken."""
    created = connection.execute(
        insert(users).returning(users.c.id),
        {
            "email": account.email,
            "password_digest": digest,
            "phone_number": account.phone_number,
            "created_at": now,
            "updated_at": now,
        },
    )
    return int(created.scalar_one())


def change_user(
    connection: Connection, user: User, values: Mapping[str, Any], now: datetime
) -> bool:
    """Put `values` in place, unless the password has changed since `user` was read, or the account
    was closed. Raises `IntegrityError` when the address is taken.

    Until this transaction ends nobody signs in, and no profile begins, with what was there before.
    """
    changed = dict(values)
    if "password_digest" in values:
        changed["password_changed_at"] = now
    if "email" in values:
        changed["confirmed_at"] = None
    updated = connection.execute(
        update(users).where(_as_read(user)).values(**changed, updated_at=now)
    )
    if updated.rowcount and "password_digest" in values:
        bury_password(connection, user.id, now)
    return updated.rowcount == 1


def close_account(connection: Connection, user_id: int, now: datetime) -> None:
    """Nobody signs in to it any more, and its address is free; closing it again changes nothing."""
    if end_account(connection, user_id, now):
        bury_account(connection, user_id, now)


def find_closed(connection: Connection, until: datetime, most: int) -> list[ClosedAccount]:
    """Some of the accounts closed at `until` or before of which we still keep something."""
    rows = connection.execute(
        select(users.c.id, users.c.closed_at)
        .join(closed_accounts)
        .where(users.c.closed_at <= until)
        .order_by(users.c.closed_at, users.c.id)
        .limit(most)
    )
    return [ClosedAccount(*row) for row in rows]


def erase_traces(connection: Connection, user_id: int) -> int:
    """Forget some of where the user signed in, and of what was mailed to them: how many rows."""
    tables = (sessions, known_addresses, mailed_links)
    return sum(delete_some(connection, each, each.c.user_id == user_id) for each in tables)


def erase_account(connection: Connection, user_id: int) -> None:
    """Of a closed account only its number is left, and when it began and ended."""
    connection.execute(
        update(users).where(users.c.id == user_id).values(phone_number=None, password_digest="")
    )
    connection.execute(delete(closed_accounts).where(closed_accounts.c.user_id == user_id))


def end_account(connection: Connection, user_id: int, now: datetime) -> bool:
    """What `close_account` does, without a tombstone: whether it was open."""
    mine = and_(users.c.id == user_id, users.c.closed_at.is_(None))
    email = connection.execute(select(users.c.email).where(mine).with_for_update()).scalar()
    if email is None:
        return False
    closed = {"email": f"closed-{user_id}", "password_digest": "", "closed_at": now}
    connection.execute(update(users).where(mine).values(**closed, updated_at=now))
    connection.execute(insert(closed_accounts), {"user_id": user_id, "email": email})
    for theirs in (sessions, known_addresses, mailed_links):
        connection.execute(delete(theirs).where(theirs.c.user_id == user_id))
    return True


def _as_read(user: User) -> ColumnElement[bool]:
    return and_(
        users.c.id == user.id,
        users.c.password_digest == user.password_digest,
        users.c.closed_at.is_(None),
    )


def renew_digest(connection: Connection, user_id: int, digest: str, renewed: str) -> bool:
    """Keep `renewed`, of the same password, in place of `digest`, unless that is not kept now."""
    same = (users.c.id == user_id, users.c.password_digest == digest)
    renewing = update(users).where(*same).values(password_digest=renewed)
    return connection.execute(renewing).rowcount == 1


def confirm_address(connection: Connection, user_id: int, now: datetime) -> None:
    """The address that the user has now is theirs."""
    connection.execute(update(users).where(users.c.id == user_id).values(confirmed_at=now))


def set_password(connection: Connection, user_id: int, digest: str, now: datetime) -> None:
    """Put a new digest in place, and revoke every token."""
    connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(password_digest=digest, password_changed_at=now, updated_at=now)
    )
    bury_password(connection, user_id, now)
    end_sessions(connection, user_id)
