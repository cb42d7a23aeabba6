"""Moves a dump in: stage every row, compare, and take all of them over or none."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from roadworthy.database import Apart, work_apart
from roadworthy.migrations import require_head
from roadworthy.moving.dump import Dump, NotADump, Row
from roadworthy.moving.kinds import Kind
from roadworthy.moving.queries import (
    Compared,
    Contradicted,
    Refused,
    compare,
    create_staging,
    refused_rows,
    stage,
    take_over,
)

AT_ONCE = 2000
"""Rows that are in memory at once."""


class CannotMoveIn(Exception):
    """The file cannot be read as a dump of this kind; the message says what to do."""


@dataclass(frozen=True)
class Outcome:
    """How many rows of the dump were, or with a dry run would be, taken over."""

    taken: int
    here: int
    """There already, with the same values."""
    refused: int
    rows: int


class Watcher(Protocol):
    """Is told how it goes."""

    def ignores(self, columns: list[str]) -> None:
        """Columns of the dump that have no place here."""

    def has_read(self, done: int, total: int) -> None:
        """Bytes of the dump."""

    def compares(self) -> None:
        """Everything is read."""

    def takes_over(self) -> None:
        """Nothing is refused."""

    def refuses(self, refused: Refused) -> None:
        """A row, in the order of lines."""


def move_in(
    url: str, kind: Kind, path: Path, *, dry_run: bool, now: datetime, watcher: Watcher
) -> Outcome:
    """Take over the dump at `path`, in one transaction, unless a row of it is refused.

    Raises `CannotMoveIn`, `MigrationError`, `Unavailable` and `OSError`.
    """
    require_head(url)
    with path.open("rb") as file:
        size = path.stat().st_size
        # What is no UTF-8 is refused where it stands, like other values.
        lines = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            dump = Dump(lines, kind.required, kind.optional)
        except NotADump as error:
            raise CannotMoveIn(f"{path} cannot be read: {error}") from None
        watcher.ignores(dump.ignored)

        def work(apart: Apart) -> Outcome:
            apart.stage(create_staging, kind)
            rows = iter(dump)
            while chunk := list(islice(rows, AT_ONCE)):
                apart.stage(stage, kind, *_judged(kind, chunk, now))
                watcher.has_read(file.tell() if file.seekable() else 0, size)
            return _decide(apart, kind, now, dry_run=dry_run, watcher=watcher)

        return work_apart(url, work)


def _judged(
    kind: Kind, rows: list[Row], now: datetime
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows as they are staged, nothing standing for what is refused, and the refusals."""
    staged, refused = [], []
    nothing = dict.fromkeys(column.name for column in kind.staged.c)
    for row in rows:
        keep = {**nothing, "line": row.line}
        if row.fault:
            refused.append({"line": row.line, "column": None, "reason": row.fault})
        else:
            fields = kind.judge(row.values, now)
            for name, value in fields.taken.items():
                if name not in fields.errors:
                    keep[kind.staged_name(name)] = value
            for name, reasons in fields.errors.items():
                refused += [{"line": row.line, "column": name, "reason": why} for why in reasons]
        staged.append(keep)
    return staged, refused


def _decide(apart: Apart, kind: Kind, now: datetime, *, dry_run: bool, watcher: Watcher) -> Outcome:
    while True:
        watcher.compares()
        compared = apart.stage(compare, kind)
        if compared.refused or dry_run:
            break
        watcher.takes_over()
        try:
            return _outcome(compared, apart.write(take_over, kind, now))
        except Contradicted:  # by somebody who signed up a moment ago, or the like
            continue
    for refused in _all_refused(apart):
        watcher.refuses(refused)
    return _outcome(compared, 0 if compared.refused else compared.rows - compared.here)


def _outcome(compared: Compared, taken: int) -> Outcome:
    return Outcome(taken, compared.here, compared.refused, compared.rows)


def _all_refused(apart: Apart) -> Iterator[Refused]:
    after = 0
    while page := apart.stage(refused_rows, after):
        yield from page
        after = page[-1].line
