"""SQL of moving in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, exists, func, insert, literal, select, text

from roadworthy.accounts import note_kinds_of
from roadworthy.database import IDS_LEFT_OUT, Connection, largest_id, last_id, move_ids_to
from roadworthy.moving.kinds import Kind, Refusals
from roadworthy.moving.tables import refusals

AT_ONCE = 1000
"""Refused rows that are read at once."""

_REFUSAL = (refusals.c.line, refusals.c.column, refusals.c.reason)


class Contradicted(Exception):
    """Rows of ours changed since the staged ones were compared with them."""


class Refused(NamedTuple):
    """A row that is not taken."""

    line: int
    reasons: tuple[str, ...]


class Compared(NamedTuple):
    """How many staged rows there are, by what is to become of them."""

    rows: int
    refused: int
    here: int
    """With the same values, so that nothing is to do."""


def create_staging(connection: Connection, kind: Kind) -> None:
    """The temporary tables for a dump of this kind."""
    kind.staged.create(connection)
    refusals.create(connection)


def stage(
    connection: Connection,
    kind: Kind,
    rows: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]],
) -> None:
    """Keep rows, each with its line, and what is wrong with them: `line`, `column`, `reason`."""
    connection.execute(insert(kind.staged), rows)
    if refused:
        connection.execute(insert(refusals), refused)


def compare(connection: Connection, kind: Kind) -> Compared:
    """Refuse what contradicts another row of the dump, or what is here."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"ANALYZE {kind.staged.name}"))
    for name in kind.unique:
        _refuse(connection, _repeated(kind, name))
    for contradictions in kind.here:
        _refuse(connection, contradictions)
    return _count(connection, kind)


def refused_rows(connection: Connection, after: int) -> list[Refused]:
    """The next refused rows after the line `after`, a few at a time."""
    page = (
        select(refusals.c.line)
        .distinct()
        .where(refusals.c.line > after)
        .order_by(refusals.c.line)
        .limit(AT_ONCE)
    )
    found = connection.execute(
        select(*_REFUSAL).where(refusals.c.line.in_(page)).order_by(refusals.c.line, refusals.c.id)
    )
    return list(_by_line(found))


def take_over(connection: Connection, kind: Kind, now: datetime) -> int:
    """Make staged rows ours: how many. Raises `Contradicted` when some can no longer be.

    Whoever else would write such rows waits until the transaction ends.
    """
    if connection.dialect.name == "postgresql":
        _lock(connection, kind)
    if any(connection.execute(select(exists(found))).scalar() for found in kind.here):
        raise Contradicted
    taken = connection.execute(_move(kind)).rowcount
    if taken and "id" in kind.target.c:
        _advance_ids(connection, kind)
    if kind.digests is not None:
        note_kinds_of(connection, kind.digests, now)
    if kind.then is not None:
        kind.then(connection)
    return taken


def _lock(connection: Connection, kind: Kind) -> None:
    """Whoever changes an account locks that first, and then what is theirs: so do we.

    Otherwise each would wait for the other once our rows name the account that they change.
    """
    if kind.named is not None:
        named = kind.named.with_for_update(read=True, key_share=True).subquery()
        connection.execute(select(func.count()).select_from(named))
    connection.execute(text(f"LOCK TABLE {kind.target.name} IN SHARE ROW EXCLUSIVE MODE"))


def _refuse(connection: Connection, found: Refusals) -> None:
    connection.execute(insert(refusals).from_select([column.name for column in _REFUSAL], found))


def _repeated(kind: Kind, name: str) -> Refusals:
    """Rows that hold what an earlier one holds."""
    column = kind.staged.c[name]
    first = func.min(kind.staged.c.line).over(partition_by=column)
    each = select(kind.staged.c.line, first.label("first")).where(column.is_not(None)).subquery()
    reason = literal("is on line ") + cast(each.c.first, Text) + literal(" already")
    return select(each.c.line, literal(name), reason).where(each.c.line != each.c.first)


def _count(connection: Connection, kind: Kind) -> Compared:
    key = kind.key
    counts = (
        select(func.count()).select_from(kind.staged),
        select(func.count(refusals.c.line.distinct())),
        select(func.count()).where(kind.staged.c[key] == kind.target.c[key]),
    )
    return Compared(*(int(connection.execute(count).scalar_one()) for count in counts))


def _by_line(found: Any) -> Iterator[Refused]:
    for line, of_line in groupby(found, key=lambda refusal: int(refusal[0])):
        reasons = tuple(f"{column} {reason}" if column else reason for _, column, reason in of_line)
        yield Refused(line, reasons)


def _move(kind: Kind) -> Any:
    key = kind.key
    columns = [column for column in kind.staged.c if column.name != "line"]
    is_here = exists().where(kind.target.c[key] == kind.staged.c[key])
    new = (
        select(*columns, *(literal(value) for value in kind.added.values()))
        .where(~is_here)
        .order_by(kind.staged.c[key])
    )
    return insert(kind.target).from_select([*(c.name for c in columns), *kind.added], new)


def _advance_ids(connection: Connection, kind: Kind) -> None:
    """Leave out those that others had there who did not come along: their phones hold tokens that
    would open what somebody else has here.
    """
    beyond = largest_id(connection, kind.staged) + IDS_LEFT_OUT
    if beyond > last_id(connection, kind.target):
        move_ids_to(connection, kind.target, beyond)
