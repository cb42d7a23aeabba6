"""SQL of sessions and of the tokens that they are for."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    false,
    insert,
    or_,
    select,
    update,
)

from roadworthy.accounts.tables import (
    revoked_tokens,
    sessions,
    users,
)
from roadworthy.database import Connection, Prepared, upsert
from roadworthy.jobs import delete_some
from roadworthy.tombstones import bury_token, bury_tokens

LONGEST_VERIFICATION = timedelta(minutes=5)
"""Nobody waits longer for an answer; a password that is verified later still finds its session."""


class SignedIn(NamedTuple):
    """Who a token speaks for, and whether it still does."""

    id: int
    email: str
    phone_number: str | None
    revoked: bool
    jti: str
    """Of the token."""


class Session(NamedTuple):
    """A token that was issued here, or that outlived a change of password."""

    jti: str
    created_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


class Origin(NamedTuple):
    """Where a sign-in came from, so that a driver can tell their sessions apart."""

    address: str
    user_agent: str | None


def token_is_revoked() -> ColumnElement[bool]:
    """Whether the token `:jti` of the user in `users` counts no more, for statements over them.

    A new password, or signing everybody out, leaves only tokens that have a session: others were
    issued before it, by us or by the service that we were moved from.
    """
    revoked = exists().where(revoked_tokens.c.jti == bindparam("jti")).select_from(revoked_tokens)
    has_session = exists().where(sessions.c.jti == bindparam("jti")).select_from(sessions)
    need_session = or_(users.c.password_changed_at.is_not(None), users.c.signed_out_at.is_not(None))
    return or_(revoked, and_(need_session, ~has_session))


_SIGNED_IN = Prepared(
    select(users.c.id, users.c.email, users.c.phone_number, token_is_revoked().label("revoked"))
    .select_from(users)
    .where(users.c.id == bindparam("user_id"), users.c.closed_at.is_(None))
)

# Of the user shared with others who sign in, and never with who changes the password just then.
_OPEN_SESSION = Prepared(
    insert(sessions)
    .from_select(
        ["user_id", *Session._fields, "is_proven"],
        select(
            users.c.id,
            *(bindparam(name, type_=sessions.c[name].type) for name in Session._fields),
            false(),
        )
        .where(
            users.c.id == bindparam("user_id", type_=users.c.id.type),
            users.c.password_digest == bindparam("digest"),
        )
        .with_for_update(read=True),
    )
    .returning(sessions.c.jti)
)


def find_signed_in(connection: Connection, user_id: int, jti: str) -> SignedIn | None:
    """Whose token this is, unless the account is closed or never was."""
    row = _SIGNED_IN.first(connection, {"user_id": user_id, "jti": jti})
    return SignedIn._make((*row, jti)) if row else None


def open_session(connection: Connection, user_id: int, digest: str, session: Session) -> bool:
    """Keep the session of a token just made, unless the password is no longer `digest`'s.

    Until it is proven, the driver is not shown it, and its token must not leave the service.
    """
    values = {**session._asdict(), "user_id": user_id, "digest": digest}
    return _OPEN_SESSION.first(connection, values) is not None


def prove_session(connection: Connection, jti: str) -> None:
    """Its password was right."""
    connection.execute(update(sessions).where(sessions.c.jti == jti).values(is_proven=True))


def drop_session(connection: Connection, jti: str) -> None:
    """Forget a session whose token nobody was given."""
    connection.execute(delete(sessions).where(sessions.c.jti == jti))


def keep_session(connection: Connection, user_id: int, session: Session) -> None:
    """Keep a session for a token that may have none."""
    connection.execute(
        upsert(connection.dialect.name, sessions).on_conflict_do_nothing(),
        {**session._asdict(), "user_id": user_id},
    )


def find_sessions(
    connection: Connection, user_id: int, jti: str, now: datetime, most: int
) -> list[Session]:
    """The newest `most` sessions of tokens that still count; that of the token `jti` is proven.

    One that was never proven and is older than any verification may be somebody's all the same:
    the service was stopped as it answered.
    """
    is_shown = or_(
        sessions.c.is_proven,
        sessions.c.jti == jti,
        sessions.c.created_at < now - LONGEST_VERIFICATION,
    )
    rows = connection.execute(
        select(*(sessions.c[name] for name in Session._fields))
        .where(sessions.c.user_id == user_id, sessions.c.expires_at > now, is_shown)
        .order_by(sessions.c.created_at.desc(), sessions.c.jti)
        .limit(most)
    )
    return [Session(*row) for row in rows]


def end_session(connection: Connection, user_id: int, jti: str) -> bool:
    """Revoke the token of this session, if it is the user's: whether it was."""
    return _end(connection, and_(sessions.c.jti == jti, sessions.c.user_id == user_id)) == 1


def end_sessions(connection: Connection, user_id: int, but: str | None = None) -> None:
    """Revoke the tokens of all sessions of the user, but for the token `but`."""
    _end(connection, and_(sessions.c.user_id == user_id, sessions.c.jti != (but or "")))


def _end(connection: Connection, which: ColumnElement[bool]) -> int:
    """In the order in which `revoke_token` does it, so that neither waits for the other."""
    ended = connection.execute(
        delete(sessions).where(which).returning(sessions.c.jti, sessions.c.expires_at)
    )
    rows = [{"jti": row.jti, "expires_at": row.expires_at} for row in ended]
    if rows:
        connection.execute(
            upsert(connection.dialect.name, revoked_tokens).on_conflict_do_nothing(), rows
        )
        bury_tokens(connection, [(row["jti"], row["expires_at"]) for row in rows])
    return len(rows)


def purge_sessions(connection: Connection, until: datetime) -> int:
    """Forget some of the sessions whose token had expired at `until`: how many."""
    return delete_some(connection, sessions, sessions.c.expires_at <= until)


def revoke_token(connection: Connection, jti: str, expires_at: datetime | None) -> None:
    """From now on the token `jti` opens nothing; revoking it again changes nothing."""
    if end_token(connection, jti, expires_at):
        bury_token(connection, jti, expires_at)


def end_token(connection: Connection, jti: str, expires_at: datetime | None) -> bool:
    """What `revoke_token` does, without a tombstone: whether it still opened something."""
    connection.execute(delete(sessions).where(sessions.c.jti == jti))
    ended = connection.execute(
        upsert(connection.dialect.name, revoked_tokens).on_conflict_do_nothing(),
        {"jti": jti, "expires_at": expires_at},
    )
    return ended.rowcount == 1


def purge_revoked_tokens(connection: Connection, until: datetime) -> int:
    """Forget some of the revoked tokens that had expired at `until`: how many."""
    return delete_some(connection, revoked_tokens, revoked_tokens.c.expires_at <= until)
