"""SQL of accounts."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from roadworthy.accounts.account import NewAccount
from roadworthy.accounts.tables import revoked_tokens, sessions, users
from roadworthy.accounts.tokens import Issued
from roadworthy.database import Connection, Prepared
from roadworthy.tombstones import bury_token


class User(NamedTuple):
    """An account that is open."""

    id: int
    email: str
    password_digest: str
    phone_number: str | None
    created_at: datetime
    updated_at: datetime


class SignedIn(NamedTuple):
    """Who a token speaks for, and whether it still does."""

    id: int
    email: str
    phone_number: str | None
    revoked: bool


class Origin(NamedTuple):
    """Where a sign-in came from, so that a driver can tell their sessions apart."""

    address: str
    user_agent: str | None


def token_is_revoked() -> ColumnElement[bool]:
    """Whether the token `:jti` of the user in `users` counts no more, for statements over them.

    A new password leaves only tokens that have a session: others were issued before it, by us
    or by the service that we were moved from.
    """
    revoked = exists().where(revoked_tokens.c.jti == bindparam("jti")).select_from(revoked_tokens)
    has_session = exists().where(sessions.c.jti == bindparam("jti")).select_from(sessions)
    return or_(revoked, and_(users.c.password_changed_at.is_not(None), ~has_session))


_BY_EMAIL = select(*(users.c[name] for name in User._fields)).where(
    users.c.email == bindparam("email")
)
_EMAIL_TAKEN = select(exists(_BY_EMAIL.with_only_columns(users.c.id)))

_SIGNED_IN = Prepared(
    select(users.c.id, users.c.email, users.c.phone_number, token_is_revoked().label("revoked"))
    .select_from(users)
    .where(users.c.id == bindparam("user_id"), users.c.closed_at.is_(None))
)


def find_signed_in(connection: Connection, user_id: int, jti: str) -> SignedIn | None:
    """Whose token this is, unless the account is closed or never was."""
    row = _SIGNED_IN.first(connection, {"user_id": user_id, "jti": jti})
    return SignedIn(*row) if row else None


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


def open_session(
    connection: Connection,
    user_id: int,
    digest: str,
    issued: Issued,
    origin: Origin,
    now: datetime,
) -> bool:
    """Keep the session of a token just made, unless the password is no longer `digest`'s."""
    row = {
        "jti": issued.jti,
        "created_at": now,
        "expires_at": issued.expires_at,
        **origin._asdict(),
    }
    same = select(
        users.c.id, *(bindparam(name, value, sessions.c[name].type) for name, value in row.items())
    ).where(users.c.id == user_id, users.c.password_digest == digest)
    opened = connection.execute(insert(sessions).from_select(["user_id", *row], same))
    return opened.rowcount == 1


def purge_sessions(connection: Connection, now: datetime) -> int:
    """Forget the sessions whose token has expired: how many."""
    return connection.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount


def revoke_token(connection: Connection, jti: str, expires_at: datetime | None) -> None:
    """From now on the token `jti` opens nothing; revoking it again changes nothing."""
    if end_token(connection, jti, expires_at):
        bury_token(connection, jti, expires_at)


def end_token(connection: Connection, jti: str, expires_at: datetime | None) -> bool:
    """The same for one that has its tombstone: whether it still opened something."""
    connection.execute(delete(sessions).where(sessions.c.jti == jti))
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    ended = connection.execute(
        dialect.insert(revoked_tokens).on_conflict_do_nothing(),
        {"jti": jti, "expires_at": expires_at},
    )
    return ended.rowcount == 1


def purge_revoked_tokens(connection: Connection, now: datetime) -> int:
    """Forget the revoked tokens that have expired: how many."""
    expired = delete(revoked_tokens).where(revoked_tokens.c.expires_at <= now)
    return connection.execute(expired).rowcount
