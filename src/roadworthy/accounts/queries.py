"""SQL of accounts."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, exists, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from roadworthy.accounts.account import NewAccount
from roadworthy.accounts.tables import revoked_tokens, users
from roadworthy.database import Connection


class User(NamedTuple):
    """A row of `users`, in the order of its columns."""

    id: int
    email: str
    password_digest: str
    phone_number: str | None
    created_at: datetime
    updated_at: datetime


_BY_EMAIL = select(users).where(users.c.email == bindparam("email"))
_EMAIL_TAKEN = select(exists(_BY_EMAIL.with_only_columns(users.c.id)))


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


def revoke_token(connection: Connection, jti: str, expires_at: datetime | None) -> None:
    """From now on the token `jti` opens nothing; revoking it again changes nothing."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(revoked_tokens).on_conflict_do_nothing(),
        {"jti": jti, "expires_at": expires_at},
    )


def purge_revoked_tokens(connection: Connection, now: datetime) -> int:
    """Forget the revoked tokens that have expired: how many."""
    expired = delete(revoked_tokens).where(revoked_tokens.c.expires_at <= now)
    return connection.execute(expired).rowcount
