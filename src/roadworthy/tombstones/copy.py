"""A copy of the tombstones in a plain file that only ever grows, so that no restore shrinks it."""

import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from roadworthy.disk import sync_folder
from roadworthy.tombstones.tombstone import Complete, Noted, Tombstone, as_line, from_line, noted

COPY = "tombstones"
"""The file's name."""

SETTLED_SECONDS = 120
"""PostgreSQL commits ids out of order; a transaction that takes longer is found at a restart."""


SAID_EVERY = timedelta(hours=1)
"""To what time it is complete."""


class Found(NamedTuple):
    """What a copy says."""

    tombstones: list[Noted]
    complete: list[Complete]
    unread: int
    """Lines that say nothing."""


class Copy:
    """The file at `path`, which several processes may bring up to date at once, of one database or
    of several.

    Not made unless `make`: a folder without it may be a disk that is not mounted.
    """

    def __init__(self, path: Path, *, make: bool):
        self.path = path
        self._make = make
        self._lineage: tuple[str, ...] = ("",)
        self._ids: set[int] = set()
        self._complete_to: datetime | None = None
        self._forget()

    def look(self, lineage: Sequence[str]) -> int:
        """Read what is new in it: the id beyond which it may lack some of the database whose own
        name is the last of `lineage`. Raises `OSError`.
        """
        if self._lineage != tuple(lineage):
            self._lineage = tuple(lineage)
            self._forget()
        with self._open() as file:
            self._read(file)
        return self._settled

    def lacks(self, ids: Sequence[int]) -> list[int]:
        """Which of `ids`, all those beyond what `look` gave, are not in it."""
        return [each for each in ids if each not in self._ids]

    def append(self, tombstones: Iterable[Tombstone]) -> None:
        """Durable when this returns; what another process was quicker to add is not added again.

        Raises `OSError`.
        """
        with self._open() as file:
            self._read_alone(file)
            new = (each for each in tombstones if each.id not in self._ids)
            self._write(file, [noted(each, self._database) for each in new])

    def is_complete(self, to: datetime) -> None:
        """Say that it has all that ended until then; now and then is enough. Raises `OSError`."""
        if self._is_said(to):
            return
        with self._open() as file:
            self._read_alone(file)
            if not self._is_said(to):
                self._write(file, [Complete(to, self._database, self._lineage[:-1])])

    def has(self, newest: int) -> None:
        """It is up to date to the id `newest`; after a while no smaller one can come."""
        now = time.monotonic()
        self._newest.append((now, newest))
        while self._newest[0][0] <= now - SETTLED_SECONDS:
            self._settled = self._newest.popleft()[1]
        self._ids = {each for each in self._ids if each > self._settled}

    @property
    def _database(self) -> str:
        return self._lineage[-1]

    @contextlib.contextmanager
    def _open(self) -> Iterator[FileIO]:
        is_new = self._make and not self.path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if self._make else 0)
        with os.fdopen(os.open(self.path, flags, 0o600), "r+b", buffering=0) as file:
            if is_new:
                sync_folder(self.path.parent)
            yield file

    def _is_said(self, to: datetime) -> bool:
        """A time that is yet to come was a clock that was wrong."""
        said = self._complete_to
        return said is not None and said <= to < said + SAID_EVERY

    def _read_alone(self, file: FileIO) -> None:
        with contextlib.suppress(OSError):  # a disk without locks: one may be there twice
            fcntl.flock(file, fcntl.LOCK_EX)
        self._read(file)

    def _write(self, file: FileIO, said: Sequence[Noted | Complete]) -> None:
        if said:
            start = b"" if self._is_at_line_start(file) else b"\n"
            file.write(start + b"".join(map(as_line, said)))
            os.fsync(file.fileno())

    def _read(self, file: FileIO) -> None:
        """Whole lines from where we were; all, when the file is another one."""
        if not self._goes_on(file):
            self._forget()
        with open(os.dup(file.fileno()), "rb") as lines:  # noqa: PTH123 -- buffered, of a descriptor
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._last = line
                self._note(from_line(line))

    def _note(self, said: Noted | Complete | None) -> None:
        if said is None or said.database != self._database:
            return
        if isinstance(said, Noted):
            self._ids.add(said.id)
        else:
            self._complete_to = said.complete_to

    def _goes_on(self, file: FileIO) -> bool:
        """Whether what we read last is still where we read it."""
        at = self._offset - len(self._last)
        return os.pread(file.fileno(), len(self._last), at) == self._last

    def _is_at_line_start(self, file: FileIO) -> bool:
        return os.fstat(file.fileno()).st_size == self._offset

    def _forget(self) -> None:
        self._offset = 0
        self._last = b""
        self._ids.clear()
        self._settled = 0
        self._complete_to = None
        self._newest: deque[tuple[float, int]] = deque()


def read_copy(path: Path) -> Found:
    """What a copy says. Raises `OSError`."""
    found = Found([], [], 0)
    with path.open("rb") as lines:
        for line in lines:
            said = from_line(line)
            if said is None:
                found = found._replace(unread=found.unread + 1)
            elif isinstance(said, Noted):
                found.tombstones.append(said)
            else:
                found.complete.append(said)
    return found
