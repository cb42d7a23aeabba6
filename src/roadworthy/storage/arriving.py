"""Writing what arrives, straight to its disk."""

import contextlib
import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Sequence
from io import FileIO

from roadworthy.storage.checksum import checksum_of, md5

BLOCK_BYTES = 4096
"""Disks take as much, or a part of it, at once, from memory that is as evenly placed."""
BUFFER_BYTES = 2 * 1024 * 1024
"""Of each thread that writes: more than it is handed at once."""


class Arriving:
    """A file that takes in what arrived of it, one call at a time, and knows its checksum.

    With `past_memory` Linux keeps none of it in memory, where its file system can do that
    (open(2), O_DIRECT): who is shown a file reads it later, if ever, while to copy it there cost a
    quarter of an upload's processor time where memory was new (measured), and threw out what is
    read all the time.
    """

    def __init__(self, file: FileIO, *, past_memory: bool):
        self._file = file
        self._digest = md5()
        self._rest = b""
        """Less than a block."""
        if past_memory:
            with contextlib.suppress(OSError):  # its file system cannot
                self._set(os.O_DIRECT)

    def take(self, parts: Sequence[bytes]) -> None:
        """Write them, but for what is less than a block: it waits for more."""
        buffer, held = _own.buffer, 0
        for part in (self._rest, *parts):
            more = memoryview(part)
            while more:
                fits = more[: len(buffer) - held]
                buffer[held : held + len(fits)] = fits
                more, held = more[len(fits) :], held + len(fits)
                if held == len(buffer):
                    self._write(buffer)
                    held = 0
        whole = held - held % BLOCK_BYTES
        self._write(buffer[:whole])
        self._rest = bytes(buffer[whole:held])

    def end(self, parts: Sequence[bytes]) -> None:
        """Write the last of them, and what waits."""
        self.take(parts)
        self._set(0)
        self._write(memoryview(self._rest))

    @property
    def checksum(self) -> str:
        """Base64 of the MD5, as clients send it."""
        return checksum_of(self._digest)

    def _write(self, content: memoryview) -> None:
        self._digest.update(content)
        while content:  # a disk that fills up takes some of it first
            try:
                content = content[self._file.write(content) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._flags & os.O_DIRECT:
                    raise
                self._set(0)  # its disk takes larger blocks only

    def _set(self, direct: int) -> None:
        fcntl.fcntl(self._file, fcntl.F_SETFL, self._flags & ~os.O_DIRECT | direct)

    @property
    def _flags(self) -> int:
        return fcntl.fcntl(self._file, fcntl.F_GETFL)


class _Own(threading.local):
    """What each thread has, at the start of a page as `O_DIRECT` wants it."""

    def __init__(self) -> None:
        self.buffer = memoryview(mmap.mmap(-1, BUFFER_BYTES, flags=_OF_THIS_PROCESS))


_OF_THIS_PROCESS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_own = _Own()
