"""A dump of a table: CSV whose first line names the columns, read row by row."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class NotADump(ValueError):
    """Nothing in the file can be read as rows; the message says what to do."""


class Row(NamedTuple):
    """A row, or what stands in its place."""

    line: int
    """The line of the file on which it begins; the first is 1."""
    values: dict[str, str | None]
    """By column; an empty field is nothing, as dumps write null."""
    fault: str | None
    """Why it cannot be read."""


class Dump:
    """The rows in `lines`, which keep their line ends.

    Columns stand in any order; `ignored` names those that are neither required nor optional.
    Raises `NotADump`.
    """

    def __init__(self, lines: Iterable[str], required: Sequence[str], optional: Sequence[str]):
        self._reader = csv.reader(lines, strict=True)
        self._columns = self._read_header()
        missing = [name for name in required if name not in self._columns]
        if missing:
            raise NotADump(
                f"its first line names no column {', '.join(missing)}: it must be the header, in "
                "UTF-8, with commas between the names"
            )
        known = {*required, *optional}
        self._known = [name in known for name in self._columns]
        self.ignored = [name for name in self._columns if name not in known]

    def __iter__(self) -> Iterator[Row]:
        for line, record, fault in self._records():
            if fault is None and len(record) != len(self._columns):
                fault = f"has {_counted(record)}, and the first line {_counted(self._columns)}"  # noqa: PLW2901 -- found late
            yield Row(line, {} if fault else self._values(record), fault)

    def _read_header(self) -> list[str]:
        header = next(self._records(), None)
        if header is None:
            raise NotADump("it is empty: its first line must name the columns")
        _, names, fault = header
        if fault:
            raise NotADump(f"its first line {fault}")
        columns = [name.strip() for name in names]
        repeated = next((name for name in columns if name and columns.count(name) > 1), None)
        if repeated is not None:
            raise NotADump(f"its first line names a column twice: {printable(repeated)}")
        return columns

    def _records(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Line, fields and fault of each record; a blank line is none."""
        while True:
            line = self._reader.line_num + 1
            record: list[str] = []
            fault = None
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"cannot be read as CSV: {error}"
            if record or fault:
                yield line, record, fault

    def _values(self, record: list[str]) -> dict[str, str | None]:
        return {
            name: field or None
            for name, field, known in zip(self._columns, record, self._known, strict=True)
            if known
        }


def printable(name: str) -> str:
    """`name` as it may be shown on a terminal."""
    return name if name.isprintable() else ascii(name)


def _counted(fields: Sequence[str]) -> str:
    return f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
