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
from roadworthy.tombstones.tombstone import Complete, Tombstone, as_line, from_line

COPY = "tombstones"
"""The file's name."""

SETTLED_SECONDS = 120
"""PostgreSQL commits ids out of order; a transaction that takes longer is found at a restart."""


SAID_EVERY = timedelta(hours=1)
"""To what time it is complete."""


class Found(NamedTuple):
    """What a copy says."""

    tombstones: list[Tombstone]
    complete_to: datetime | None
    """It has all that ended until then; `None`: nobody knows."""
    unread: int
    """Lines that say nothing."""


class Copy:
    """The file at `path`, which several processes may bring up to date at once.

    Not made unless `make`: a folder without it may be a disk that is not mounted.
    """

    def __init__(self, path: Path, *, make: bool):
        self.path = path
        self._make = make
        self._ids: set[int] = set()
        self._complete_to: datetime | None = None
        self._forget()

    def look(self) -> int:
        """Read what is new in it: the id beyond which it may lack some. Raises `OSError`."""
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
            self._write(file, [each for each in tombstones if each.id not in self._ids])

    def is_complete(self, to: datetime) -> None:
        """Say that it has all that ended until then; now and then is enough. Raises `OSError`."""
        if self._is_said(to):
            return
        with self._open() as file:
            self._read_alone(file)
            if not self._is_said(to):
                self._write(file, [Complete(to)])

    def has(self, newest: int) -> None:
        """It is up to date to the id `newest`; after a while no smaller one can come."""
        now = time.monotonic()
        self._newest.append((now, newest))
        while self._newest[0][0] <= now - SETTLED_SECONDS:
            self._settled = self._newest.popleft()[1]
        self._ids = {each for each in self._ids if each > self._settled}

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

    def _write(self, file: FileIO, said: Sequence[Tombstone | Complete]) -> None:
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

    def _note(self, said: Tombstone | Complete | None) -> None:
        if isinstance(said, Tombstone):
            self._ids.add(said.id)
        elif said is not None:
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
    tombstones: list[Tombstone] = []
    complete_to = None
    unread = 0
    with path.open("rb") as lines:
        for line in lines:
            said = from_line(line)
            if said is None:
                unread += 1
            elif isinstance(said, Tombstone):
                tombstones.append(said)
            else:
                complete_to = said.complete_to
    return Found(tombstones, complete_to, unread)
