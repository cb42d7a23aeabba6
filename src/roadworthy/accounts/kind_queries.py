"""SQL of the kinds of digest that are in use."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, case, delete, func, select, true

from roadworthy.accounts.digests import kind_of, nobodys_digest
from roadworthy.accounts.tables import digest_kinds, users
from roadworthy.database import Connection, upsert

MOST_KINDS = 64


def find_kinds(connection: Connection) -> set[str]:
    """The kinds that were noted, and are ones to us."""
    noted = connection.execute(select(digest_kinds.c.kind)).scalars()
    return _kinds_of(map(nobodys_digest, noted))


def find_kinds_of_accounts(connection: Connection) -> set[str]:
    """The kinds that open accounts have; looks at every account."""
    found = connection.execute(_one_of_each(users.c.password_digest, users.c.closed_at.is_(None)))
    return _kinds_of(found.scalars())


def note_kinds_of(connection: Connection, digests: Column[Any], now: datetime) -> None:
    """Those that are in `digests` are in use from now on."""
    found = connection.execute(_one_of_each(digests, true()))
    note_kinds(connection, _kinds_of(found.scalars()), now)


def note_kinds(connection: Connection, kinds: Iterable[str], now: datetime) -> None:
    """That they are in use `now`."""
    noted = upsert(connection.dialect.name, digest_kinds).on_conflict_do_update(
        index_elements=["kind"], set_={"seen_at": now}
    )
    for kind in sorted(kinds):
        connection.execute(noted, {"kind": kind, "seen_at": now})


def forget_kinds(connection: Connection, until: datetime) -> None:
    """Forget those that were last in use at `until` or before."""
    connection.execute(delete(digest_kinds).where(digest_kinds.c.seen_at <= until))


def _kinds_of(digests: Iterable[str]) -> set[str]:
    return {kind for kind in map(kind_of, digests) if kind}


def _one_of_each(digest: Column[Any], condition: ColumnElement[bool]) -> Select[Any]:
    """What is cut off, or something else, is of no kind, and hides no other."""
    bcrypt_kind, argon2_tail = len("$2b$12$"), len("$") + 22 + len("$") + 43
    is_bcrypt = and_(digest.like("$2%"), func.length(digest) == bcrypt_kind + 22 + 31)
    kind = case(
        (is_bcrypt, func.substr(digest, 1, bcrypt_kind)),
        (
            and_(digest.like("$argon2%"), func.length(digest) > argon2_tail),
            func.substr(digest, 1, func.length(digest) - argon2_tail),
        ),
        else_="",
    )
    return select(func.min(digest)).where(condition).group_by(kind).limit(MOST_KINDS)
