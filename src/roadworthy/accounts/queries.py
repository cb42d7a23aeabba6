"""SQL of accounts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from roadworthy.accounts.account import NewAccount
from roadworthy.accounts.counter import Counter, microseconds
from roadworthy.accounts.tables import known_addresses, revoked_tokens, sessions, throttles, users
from roadworthy.accounts.tokens import Issued
from roadworthy.database import Connection, Prepared
from roadworthy.jobs import delete_some


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
_WHO_SIGNS_IN = (
    select(*(users.c[name] for name in User._fields), known_addresses.c.seen_at)
    .select_from(
        users.outerjoin(
            known_addresses,
            and_(
                known_addresses.c.user_id == users.c.id,
                known_addresses.c.place == bindparam("place"),
            ),
        )
    )
    .where(users.c.email == bindparam("email"), users.c.closed_at.is_(None))
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


def find_who_signs_in(
    connection: Connection, email: str, place: bytes
) -> tuple[User | None, datetime | None]:
    """The user who signs in with `email` (as it is stored), and when they last did from `place`."""
    row = connection.execute(_WHO_SIGNS_IN, {"email": email, "place": place}).first()
    return (User(*row[:-1]), row[-1]) if row else (None, None)


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
    same = same.with_for_update(read=True)  # who changes the password now sees this session after
    opened = connection.execute(insert(sessions).from_select(["user_id", *row], same))
    return opened.rowcount == 1


def renew_digest(connection: Connection, user_id: int, digest: str, renewed: str) -> bool:
    """Keep `renewed`, of the same password, in place of `digest`, unless that is not kept now."""
    same = (users.c.id == user_id, users.c.password_digest == digest)
    renewing = update(users).where(*same).values(password_digest=renewed)
    return connection.execute(renewing).rowcount == 1


def purge_sessions(connection: Connection, until: datetime) -> int:
    """Forget some of the sessions whose token had expired at `until`: how many."""
    return delete_some(connection, sessions, sessions.c.expires_at <= until)


def revoke_token(connection: Connection, jti: str, expires_at: datetime | None) -> None:
    """From now on the token `jti` opens nothing; revoking it again changes nothing."""
    connection.execute(delete(sessions).where(sessions.c.jti == jti))
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(revoked_tokens).on_conflict_do_nothing(),
        {"jti": jti, "expires_at": expires_at},
    )


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


def remember_address(connection: Connection, user_id: int, place: bytes, now: datetime) -> None:
    """That the user signed in from `place`."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(known_addresses)
        .values(user_id=user_id, place=place, seen_at=now)
        .on_conflict_do_update(index_elements=["user_id", "place"], set_={"seen_at": now})
    )


def purge_known_addresses(connection: Connection, until: datetime) -> int:
    """Forget some of the addresses from where nobody signed in after `until`: how many."""
    return delete_some(connection, known_addresses, known_addresses.c.seen_at <= until)


_CLEAR_AT = select(throttles.c.key, throttles.c.clear_at).where(
    throttles.c.key.in_(bindparam("keys", expanding=True))
)


def find_wait(connection: Connection, counters: Sequence[Counter], now: datetime) -> timedelta:
    """How long until each of `counters` has a try left; none when each has."""
    keys = [counter.key for counter in counters]
    clear_at = {row.key: row.clear_at for row in connection.execute(_CLEAR_AT, {"keys": keys})}
    at = microseconds(now)
    waits = (counter.wait(clear_at.get(counter.key), at) for counter in counters)
    return timedelta(microseconds=max(waits, default=0))


def take_tries(connection: Connection, counters: Sequence[Counter], now: datetime) -> bool:
    """Take a try of each of `counters`: whether each had one; if not, none is taken.

    Needs no transaction: were it cut short, a try would be lost, and come back with time.
    """
    at = microseconds(now)
    values = {"now": at, "nonsense_after": max(each.nonsense_after(at) for each in counters)}
    for number, counter in enumerate(counters):
        values[f"moved{number}"] = at + counter.step
        values[f"taken_until{number}"] = counter.taken_until(at)
    taken = _taking(connection.dialect.name, len(counters)).rows(
        connection, {**values, **_keys(counters)}
    )
    if len(taken) < len(counters):
        keys = {key for (key,) in taken}
        give_tries_back(connection, [each for each in counters if each.key in keys], now)
    return len(taken) == len(counters)


def give_tries_back(connection: Connection, counters: Sequence[Counter], now: datetime) -> None:
    """Undo `take_tries`."""
    if not counters:
        return
    at = microseconds(now)
    moved = {f"moved{number}": at - counter.step for number, counter in enumerate(counters)}
    _giving_back(connection.dialect.name, len(counters)).rows(
        connection, {"now": at, **moved, **_keys(counters)}
    )


def purge_throttles(connection: Connection, until: datetime) -> int:
    """Forget some of the counters that were clear at `until`: how many."""
    return delete_some(connection, throttles, throttles.c.clear_at <= microseconds(until))


def _keys(counters: Sequence[Counter]) -> dict[str, bytes]:
    return {f"key{number}": counter.key for number, counter in enumerate(counters)}


@cache
def _taking(dialect_name: str, count: int) -> Prepared:
    """One statement for `count` counters, so that of those who take at once each counts."""
    now, nonsense_after = _number("now"), _number("nonsense_after")
    upsert = _upsert(dialect_name, count)
    clear_at = throttles.c.clear_at
    current = case((clear_at.between(now, nonsense_after), clear_at), else_=now)
    taken_until = case(
        *(
            (throttles.c.key == bindparam(f"key{number}"), _number(f"taken_until{number}"))
            for number in range(count)
        )
    )
    return Prepared(
        upsert.on_conflict_do_update(
            index_elements=["key"],
            set_={"clear_at": current + (upsert.excluded.clear_at - now)},
            where=or_(clear_at <= taken_until, clear_at > nonsense_after),
        ).returning(throttles.c.key)
    )


@cache
def _giving_back(dialect_name: str, count: int) -> Prepared:
    upsert = _upsert(dialect_name, count)
    back = throttles.c.clear_at + (upsert.excluded.clear_at - _number("now"))
    return Prepared(
        upsert.on_conflict_do_update(index_elements=["key"], set_={"clear_at": back}).returning(
            throttles.c.key
        )
    )


def _upsert(dialect_name: str, count: int) -> postgresql.Insert | sqlite.Insert:
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    rows = [
        {"key": bindparam(f"key{number}"), "clear_at": _number(f"moved{number}")}
        for number in range(count)
    ]
    upsert: postgresql.Insert | sqlite.Insert = dialect.insert(throttles).values(rows)
    return upsert


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


def purge_revoked_tokens(connection: Connection, until: datetime) -> int:
    """Forget some of the revoked tokens that had expired at `until`: how many."""
    return delete_some(connection, revoked_tokens, revoked_tokens.c.expires_at <= until)
