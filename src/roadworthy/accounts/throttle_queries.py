"""SQL of throttling: who tries what how often, and from where an account is known to sign in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Case,
    LargeBinary,
    and_,
    bindparam,
    case,
    delete,
    false,
    insert,
    literal_column,
    or_,
    select,
)

from roadworthy.accounts.counter import Counter, longest_wait, microseconds
from roadworthy.accounts.queries import User
from roadworthy.accounts.tables import known_addresses, throttles, users
from roadworthy.database import Connection, Prepared, Upsert, upsert
from roadworthy.jobs import delete_some


class WhoSignsIn(NamedTuple):
    """What is known before somebody tries to sign in."""

    user: User | None
    seen_at: datetime | None
    """When they last signed in from there."""
    clear_at: dict[bytes, int]
    """Of the counters that have counted, by key."""


def find_who_signs_in(
    connection: Connection, email: str, place: bytes, counters: Sequence[Counter] = ()
) -> WhoSignsIn:
    """Who signs in with `email` (as it is stored) from `place`: one question, as others wait."""
    values = {"email": email, "place": place, **_keys(counters)}
    row = _who_signs_in(len(counters)).first(connection, values)
    assert row is not None  # noqa: S101 -- it begins with what is always there
    width = len(User._fields)
    clear_at = {
        counter.key: at
        for counter, at in zip(counters, row[width + 1 :], strict=True)
        if at is not None
    }
    user = None if row[0] is None else User(*row[:width])
    return WhoSignsIn(user, row[width], clear_at)


def remember_address(connection: Connection, user_id: int, place: bytes, now: datetime) -> None:
    """That the user signed in from `place`; not once the account is closed."""
    theirs = select(
        users.c.id,
        bindparam("place", place, known_addresses.c.place.type),
        bindparam("seen_at", now, known_addresses.c.seen_at.type),
    ).where(users.c.id == user_id, users.c.closed_at.is_(None))
    connection.execute(
        upsert(connection.dialect.name, known_addresses)
        .from_select(
            ["user_id", "place", "seen_at"], theirs.with_for_update(read=True, key_share=True)
        )
        .on_conflict_do_update(index_elements=["user_id", "place"], set_={"seen_at": now})
    )


def purge_known_addresses(connection: Connection, until: datetime) -> int:
    """Forget some of the addresses from where nobody signed in after `until`: how many."""
    return delete_some(connection, known_addresses, known_addresses.c.seen_at <= until)


def find_wait(connection: Connection, counters: Sequence[Counter], now: datetime) -> timedelta:
    """How long until each of `counters` has a try left; none when each has."""
    clear_at = dict(_clear_at(len(counters)).rows(connection, _keys(counters)))
    return longest_wait(counters, clear_at, now)


def take_tries(connection: Connection, counters: Sequence[Counter], now: datetime) -> bool:
    """Take a try of each of `counters`: whether each had one; if not, none is taken.

    Needs no transaction: were it cut short, a try would be lost, and come back with time.
    """
    at = microseconds(now)
    values = {"now": at}
    for number, counter in enumerate(counters):
        values[f"moved{number}"] = at + counter.step
        values[f"nonsense_after{number}"] = counter.nonsense_after(at)
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


def clear_tries(connection: Connection, keys: Sequence[bytes]) -> None:
    """As if these counters had never counted."""
    connection.execute(delete(throttles).where(throttles.c.key.in_(keys)))


def leave_no_trace(connection: Connection, key: bytes, now: datetime) -> None:
    """Write, for the time and the disk that it takes, a counter that is gone at once."""
    connection.execute(insert(throttles), {"key": key, "clear_at": microseconds(now)})
    connection.execute(delete(throttles).where(throttles.c.key == key))


def purge_throttles(connection: Connection, until: datetime) -> int:
    """Forget some of the counters that were clear at `until`: how many."""
    return delete_some(connection, throttles, throttles.c.clear_at <= microseconds(until))


def _keys(counters: Sequence[Counter]) -> dict[str, bytes]:
    return {f"key{number}": counter.key for number, counter in enumerate(counters)}


@cache
def _who_signs_in(count: int) -> Prepared:
    always = select(literal_column("1").label("one")).subquery("always")
    clear_at = (
        select(throttles.c.clear_at)
        .where(throttles.c.key == bindparam(f"key{number}", type_=LargeBinary))
        .scalar_subquery()
        .label(f"clear_at{number}")
        for number in range(count)
    )
    is_theirs = and_(users.c.email == bindparam("email"), users.c.closed_at.is_(None))
    is_there = and_(
        known_addresses.c.user_id == users.c.id, known_addresses.c.place == bindparam("place")
    )
    columns = (*(users.c[name] for name in User._fields), known_addresses.c.seen_at, *clear_at)
    found = always.outerjoin(users, is_theirs).outerjoin(known_addresses, is_there)
    return Prepared(select(*columns).select_from(found))


@cache
def _clear_at(count: int) -> Prepared:
    keys = [bindparam(f"key{number}", type_=LargeBinary) for number in range(count)]
    return Prepared(
        select(throttles.c.key, throttles.c.clear_at).where(
            or_(false(), *(throttles.c.key == key for key in keys))
        )
    )


@cache
def _taking(dialect_name: str, count: int) -> Prepared:
    """One statement for `count` counters, so that of those who take at once each counts."""
    now, nonsense_after = _number("now"), _of_each("nonsense_after", count)
    counted = _counted(dialect_name, count)
    clear_at = throttles.c.clear_at
    current = case((clear_at.between(now, nonsense_after), clear_at), else_=now)
    taken_until = _of_each("taken_until", count)
    return Prepared(
        counted.on_conflict_do_update(
            index_elements=["key"],
            set_={"clear_at": current + (counted.excluded.clear_at - now)},
            where=or_(clear_at <= taken_until, clear_at > nonsense_after),
        ).returning(throttles.c.key)
    )


@cache
def _giving_back(dialect_name: str, count: int) -> Prepared:
    counted = _counted(dialect_name, count)
    back = throttles.c.clear_at + (counted.excluded.clear_at - _number("now"))
    return Prepared(
        counted.on_conflict_do_update(index_elements=["key"], set_={"clear_at": back}).returning(
            throttles.c.key
        )
    )


def _counted(dialect_name: str, count: int) -> Upsert:
    rows = [
        {"key": bindparam(f"key{number}"), "clear_at": _number(f"moved{number}")}
        for number in range(count)
    ]
    return upsert(dialect_name, throttles).values(rows)


def _of_each(name: str, count: int) -> Case[int]:
    """The value of that name of the counter at hand."""
    return case(
        *(
            (throttles.c.key == bindparam(f"key{number}"), _number(f"{name}{number}"))
            for number in range(count)
        )
    )


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)
