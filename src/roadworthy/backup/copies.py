"""What copies of the tombstones say, taken together, and whether it is all that there is to say."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from roadworthy.backup.errors import BackupError
from roadworthy.tombstones import Complete, Tombstone, is_spent, read_copy

MOST_BEHIND = timedelta(hours=2)
"""Copies that are complete to an earlier time may have been taken away from a running service."""


class Told(NamedTuple):
    """What copies say of one database."""

    tombstones: list[Tombstone] | None
    """`None`: there are none, by the operator's word."""
    complete_to: datetime | None
    """All that ended until then is among them; `None`: nobody knows."""
    unread: int
    """Lines that say nothing."""


def read_copies(copies: Sequence[Path], lineage: Sequence[str], *, are_latest: bool) -> Told:
    """What `copies` say of the database whose own name is the last of `lineage`.

    Copies that may lack some are taken only when the operator says that there `are_latest` ones.
    Raises `BackupError`.
    """
    told = _read(copies, lineage)
    names = ", ".join(map(str, copies))
    if not told.tombstones and told.complete_to is None:
        raise BackupError(
            f"{names} says nothing of this database: give the newest copy of its tombstones, with "
            "--tombstones for a restore"
        )
    if not are_latest and _may_lack_some(told):
        until = f"{told.complete_to:%Y-%m-%d %H:%M}Z" if told.complete_to else "nobody knows when"
        raise BackupError(
            f"{names}: complete only until {until}, so who signed out or closed the account later "
            "would be revived: give the newest, with --tombstones for a restore, or, if the "
            "service has not run since, add --latest-tombstones"
        )
    return told


def _read(copies: Sequence[Path], lineage: Sequence[str]) -> Told:
    found = []
    for copy in copies:
        try:
            found.append(read_copy(copy))
        except OSError as error:
            raise BackupError(f"cannot read {copy}: {error.strerror}") from error
    complete = [said for each in found for said in each.complete]
    concerns = _concern(lineage, complete)
    now = datetime.now(UTC)
    tombstones = dict.fromkeys(
        said
        for each in found
        for said in each.tombstones
        if concerns(said.database) and not is_spent(said, now)
    )
    latest = max((each.complete_to for each in complete if concerns(each.database)), default=None)
    return Told(list(tombstones), latest, sum(each.unread for each in found))


def _concern(lineage: Sequence[str], complete: Sequence[Complete]) -> Callable[[str | None], bool]:
    """Whether what is said of a database concerns this one: it is this one, or what it came from,
    or came from it, as after an earlier restore. Where an older release did not say: it may.
    """
    if not lineage:
        return lambda _: True
    heirs = {each.database for each in complete if lineage[-1] in each.of}
    ours = {None, *lineage, *heirs}
    return lambda database: database in ours


def _may_lack_some(told: Told) -> bool:
    """A time that is yet to come was a clock that was wrong: nobody knows when it was."""
    now, until = datetime.now(UTC), told.complete_to
    return until is None or not now - MOST_BEHIND < until < now + MOST_BEHIND
