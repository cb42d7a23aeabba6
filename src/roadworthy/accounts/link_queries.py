"""SQL of mailed links."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    exists,
    insert,
    or_,
    select,
    true,
)

from roadworthy.accounts.links import Purpose
from roadworthy.accounts.tables import (
    known_addresses,
    mailed_links,
    users,
)
from roadworthy.database import Connection
from roadworthy.jobs import delete_some


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


def keep_link(
    connection: Connection, link: Link, asked_at: datetime, only_from: bytes | None = None
) -> bool:
    """Keep `link` in place of older ones for the same purpose, if somebody has that address and
    has not done what it is for since it was asked for: whether it is kept. With `only_from`, only
    if they have signed in from that place.
    """
    since = users.c.password_changed_at
    is_needed = {
        Purpose.CONFIRMATION: users.c.confirmed_at.is_(None),
        Purpose.RESET: or_(since.is_(None), since < asked_at),
        Purpose.EXPORT: true(),
    }[link.purpose]
    is_known = true() if only_from is None else _have_signed_in(only_from)
    user_id = connection.execute(
        select(users.c.id)
        .where(users.c.email == link.email, users.c.closed_at.is_(None), is_needed, is_known)
        .with_for_update()
    ).scalar()
    if user_id is None:
        return False
    drop_links(connection, user_id, link.purpose)
    connection.execute(insert(mailed_links), {**link._asdict(), "user_id": user_id})
    return True


def _have_signed_in(place: bytes) -> ColumnElement[bool]:
    theirs = (known_addresses.c.user_id == users.c.id, known_addresses.c.place == place)
    return exists().where(*theirs)


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


def purge_links(connection: Connection, until: datetime) -> int:
    """Forget some of the links that had expired at `until`: how many."""
    return delete_some(connection, mailed_links, mailed_links.c.expires_at <= until)
