"""A copy of the tombstones in a plain file that only ever grows, so that no restore shrinks it."""

import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path

from roadworthy.disk import sync_folder
from roadworthy.tombstones.tombstone import Tombstone, as_line, from_line

COPY = "tombstones"
"""The file's name."""

SETTLED_SECONDS = 120
"""PostgreSQL commits ids out of order; a transaction that takes longer is found at a restart."""


class Copy:
    """The file at `path`, which several processes may bring up to date at once.

    Not made unless `make`: a folder without it may be a disk that is not mounted.
    """

    def __init__(self, path: Path, *, make: bool):
        self.path = path
        self._make = make
        self._ids: set[int] = set()
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
            with contextlib.suppress(OSError):  # a disk without locks: one may be there twice
                fcntl.flock(file, fcntl.LOCK_EX)
            self._read(file)
            lines = [as_line(each) for each in tombstones if each.id not in self._ids]
            if lines:
                start = b"" if self._is_at_line_start(file) else b"\n"
                file.write(start + b"".join(lines))
                os.fsync(file.fileno())

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
                tombstone = from_line(line)
                if tombstone is not None:
                    self._ids.add(tombstone.id)

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
        self._newest: deque[tuple[float, int]] = deque()


def read_copy(path: Path) -> tuple[list[Tombstone], int]:
    """The tombstones of a copy, and how many of its lines are none. Raises `OSError`."""
    found: list[Tombstone] = []
    others = 0
    with path.open("rb") as lines:
        for line in lines:
            tombstone = from_line(line)
            if tombstone is None:
                others += 1
            else:
                found.append(tombstone)
    return found, others
