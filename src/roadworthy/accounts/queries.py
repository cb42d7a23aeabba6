"""SQL of accounts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from roadworthy.accounts.account import NewAccount
from roadworthy.accounts.links import Purpose
from roadworthy.accounts.tables import (
    closed_accounts,
    known_addresses,
    mailed_links,
    revoked_tokens,
    sessions,
    users,
)
from roadworthy.database import Connection, Prepared
from roadworthy.jobs import delete_some
from roadworthy.tombstones import bury_account, bury_password, bury_token, bury_tokens

LONGEST_VERIFICATION = timedelta(minutes=5)
"""Of a password, with all who may wait before it."""


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
    jti: str
    """Of the token."""


class Session(NamedTuple):
    """A token that was issued here, or that outlived a change of password."""

    jti: str
    created_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


class Link(NamedTuple):
    """A link that is sent to `email`."""

    digest: str
    purpose: Purpose
    email: str
    expires_at: datetime


class Addressee(NamedTuple):
    """Whose link it is."""

    id: int
    email: str


class ClosedAccount(NamedTuple):
    """An account that nobody opens any more."""

    id: int
    closed_at: datetime


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


_USER = [users.c[name] for name in User._fields]
_BY_EMAIL = select(*_USER).where(users.c.email == bindparam("email"), users.c.closed_at.is_(None))
_EMAIL_TAKEN = select(exists(_BY_EMAIL.with_only_columns(users.c.id)))

_SIGNED_IN = Prepared(
    select(users.c.id, users.c.email, users.c.phone_number, token_is_revoked().label("revoked"))
    .select_from(users)
    .where(users.c.id == bindparam("user_id"), users.c.closed_at.is_(None))
)

_ACCOUNT = Prepared(
    select(*_USER, token_is_revoked().label("revoked"))
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
    """The same for one that has its tombstone: whether it was open."""
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


def renew_digest(connection: Connection, user_id: int, digest: str, renewed: str) -> bool:
    """Keep `renewed`, of the same password, in place of `digest`, unless that is not kept now."""
    same = (users.c.id == user_id, users.c.password_digest == digest)
    renewing = update(users).where(*same).values(password_digest=renewed)
    return connection.execute(renewing).rowcount == 1


def keep_session(connection: Connection, user_id: int, session: Session) -> None:
    """Keep a session for a token that may have none."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(sessions).on_conflict_do_nothing(),
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
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(revoked_tokens).on_conflict_do_nothing(), rows)
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
    """The same for one that has its tombstone: whether it still opened something."""
    connection.execute(delete(sessions).where(sessions.c.jti == jti))
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    ended = connection.execute(
        dialect.insert(revoked_tokens).on_conflict_do_nothing(),
        {"jti": jti, "expires_at": expires_at},
    )
    return ended.rowcount == 1


def purge_revoked_tokens(connection: Connection, until: datetime) -> int:
    """Forget some of the revoked tokens that had expired at `until`: how many."""
    return delete_some(connection, revoked_tokens, revoked_tokens.c.expires_at <= until)


def keep_link(connection: Connection, link: Link, asked_at: datetime) -> bool:
    """Keep `link` in place of older ones for the same purpose, if somebody has that address and
    has not done what it is for since it was asked for: whether it is kept.
    """
    since = users.c.password_changed_at
    is_needed = {
        Purpose.CONFIRMATION: users.c.confirmed_at.is_(None),
        Purpose.RESET: or_(since.is_(None), since < asked_at),
        Purpose.EXPORT: true(),
    }[link.purpose]
    user_id = connection.execute(
        select(users.c.id)
        .where(users.c.email == link.email, users.c.closed_at.is_(None), is_needed)
        .with_for_update()
    ).scalar()
    if user_id is None:
        return False
    drop_links(connection, user_id, link.purpose)
    connection.execute(insert(mailed_links), {**link._asdict(), "user_id": user_id})
    return True


def drop_links(connection: Connection, user_id: int, purpose: Purpose | None = None) -> None:
    """The links that were sent to the user, for `purpose` or any, are good for nothing more."""
    theirs = delete(mailed_links).where(mailed_links.c.user_id == user_id)
    if purpose is not None:
        theirs = theirs.where(mailed_links.c.purpose == purpose)
    connection.execute(theirs)


def find_addressee(
    connection: Connection, purpose: Purpose, digest: str, now: datetime
) -> Addressee | None:
    """Whose link this is, while it is good: whose address is still the one it was sent to."""
    row = connection.execute(_addressee(purpose, digest, now)).first()
    return Addressee(*row) if row else None


def use_link(
    connection: Connection, purpose: Purpose, digest: str, now: datetime
) -> Addressee | None:
    """The same; from now on it is good no more. Of those who use it at once, one gets it.

    The user is locked before the link, as they are by whoever changes an account.
    """
    row = connection.execute(_addressee(purpose, digest, now).with_for_update(of=users)).first()
    used = delete(mailed_links).where(mailed_links.c.digest == digest)
    if row is None or connection.execute(used).rowcount != 1:
        return None
    return Addressee(*row)


def _addressee(purpose: Purpose, digest: str, now: datetime) -> Select[int, str]:
    return (
        select(users.c.id, users.c.email)
        .join(mailed_links)
        .where(
            mailed_links.c.digest == digest,
            mailed_links.c.purpose == purpose,
            mailed_links.c.email == users.c.email,
            mailed_links.c.expires_at > now,
            users.c.closed_at.is_(None),
        )
    )


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


def purge_links(connection: Connection, until: datetime) -> int:
    """Forget some of the links that had expired at `until`: how many."""
    return delete_some(connection, mailed_links, mailed_links.c.expires_at <= until)


MOST_KINDS = 64


def find_digests_in_use(connection: Connection) -> list[str]:
    """One digest of each kind that an account has; looks at every account."""
    digest = users.c.password_digest
    bcrypt_kind, argon2_tail = len("$2b$12$"), len("$") + 22 + len("$") + 43
    kind = case(
        (digest.like("$2%"), func.substr(digest, 1, bcrypt_kind)),
        (
            and_(digest.like("$argon2%"), func.length(digest) > argon2_tail),
            func.substr(digest, 1, func.length(digest) - argon2_tail),
        ),
        else_="",
    )
    each = select(func.min(digest)).where(users.c.closed_at.is_(None)).group_by(kind)
    return [row[0] for row in connection.execute(each.limit(MOST_KINDS))]
