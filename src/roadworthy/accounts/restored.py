"""What an older database, put back, owes to those who have ended something since.

A restore brings back what it was; it may not bring back a token that was revoked, a password that
was given up, or a person who left.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, exists, func, or_, select, update

from roadworthy.accounts.queries import end_account
from roadworthy.accounts.session_queries import end_token
from roadworthy.accounts.tables import mailed_links, sessions, users
from roadworthy.database import Connection
from roadworthy.tombstones import Tombstone

NO_PASSWORD = ""  # no digest, so no password fits it until another is set
"""In place of a digest."""


class Applied(NamedTuple):
    """How many were found alive."""

    tokens: int
    passwords: int
    accounts: int


def apply_tombstones(connection: Connection, tombstones: Iterable[Tombstone]) -> Applied:
    """End again what had ended. Doing so twice changes nothing."""
    counts = {"token": 0, "password": 0, "account": 0}
    for tombstone in tombstones:
        counts[tombstone.kind] += _apply(connection, tombstone)
    return Applied(counts["token"], counts["password"], counts["account"])


def _apply(connection: Connection, tombstone: Tombstone) -> bool:
    if tombstone.jti is not None:
        return end_token(connection, tombstone.jti, tombstone.expires_at)
    if tombstone.user_id is None or tombstone.happened_at is None:
        return False
    end = end_account if tombstone.kind == "account" else _take_password
    return end(connection, tombstone.user_id, tombstone.happened_at)


def _take_password(connection: Connection, user_id: int, changed_at: datetime) -> bool:
    """Unless it is the one of then or later, nobody knows it: a link by mail sets another."""
    is_older = or_(users.c.password_changed_at.is_(None), users.c.password_changed_at < changed_at)
    taken = connection.execute(
        update(users)
        .where(users.c.id == user_id, users.c.closed_at.is_(None), is_older)
        .values(password_digest=NO_PASSWORD, password_changed_at=changed_at)
    )
    if not taken.rowcount:
        return False
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
    return True


def sign_everybody_out(connection: Connection, now: datetime) -> int:
    """No token of before `now` counts any more, nor any session: how many accounts are open."""
    connection.execute(delete(sessions))
    connection.execute(update(users).values(signed_out_at=now))
    is_open = users.c.closed_at.is_(None)
    return int(connection.execute(select(func.count()).where(is_open)).scalar_one())


def has_digests_of_devise(connection: Connection) -> bool:
    """Whether there are some, which without the pepper they were made with open for nobody."""
    found = select(exists().where(users.c.password_digest.startswith("$2")))
    return bool(connection.execute(found).scalar())


def forget_mailed_links(connection: Connection) -> None:
    """Those used since would work once more."""
    connection.execute(delete(mailed_links))
