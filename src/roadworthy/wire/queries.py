"""SQL of kept answers."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from roadworthy.database import Connection
from roadworthy.jobs import delete_some
from roadworthy.wire.tables import idempotency_keys as keys

MOST_KEPT = 1000
"""Answers of one account, before refusals are kept no more."""


class Key(NamedTuple):
    """Whose key it is and what it was sent to."""

    user_id: int
    method: str
    path: str
    key: str


class Answer(NamedTuple):
    """What was answered, and the digest of the request that asked."""

    digest: str
    status: int
    body: bytes


_FIND = select(keys.c.request_digest, keys.c.status, keys.c.body).where(
    *(keys.c[name] == bindparam(name) for name in Key._fields),
    keys.c.created_at > bindparam("after"),
)


def find_answer(connection: Connection, key: Key, after: datetime) -> Answer | None:
    """The answer kept under `key` if it was given later than `after`."""
    row = connection.execute(_FIND, {**key._asdict(), "after": after}).first()
    return Answer(*row) if row else None


def keep_answer(
    connection: Connection, key: Key, answer: Answer, now: datetime, lifetime: timedelta
) -> None:
    """Keep `answer` in place of one that is out of date.

    Raises `IntegrityError` when one is kept that is not.
    """
    same_key = (keys.c[name] == value for name, value in key._asdict().items())
    connection.execute(delete(keys).where(*same_key, keys.c.created_at <= now - lifetime))
    connection.execute(
        insert(keys),
        {
            **key._asdict(),
            "request_digest": answer.digest,
            "status": answer.status,
            "body": answer.body,
            "created_at": now,
        },
    )


def keep_refusal(
    connection: Connection, key: Key, answer: Answer, now: datetime, lifetime: timedelta
) -> None:
    """The same for one that says that nothing was created: many of these cost nobody anything, so
    only as long as few are kept for the account.
    """
    kept = select(keys.c.key).where(keys.c.user_id == key.user_id).limit(MOST_KEPT)
    if len(connection.execute(kept).all()) < MOST_KEPT:
        keep_answer(connection, key, answer, now, lifetime)


def erase_answers(connection: Connection, user_id: int) -> int:
    """Forget some of the answers given to the user: how many."""
    return delete_some(connection, keys, keys.c.user_id == user_id)


def purge_answers(connection: Connection, until: datetime) -> int:
    """Forget some of the answers given at `until` or before: how many."""
    return delete_some(connection, keys, keys.c.created_at <= until)
