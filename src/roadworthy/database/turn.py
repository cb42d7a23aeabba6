"""Whose turn it is to write to an SQLite file."""

import asyncio
import contextlib
import fcntl
import os
import threading


class Turn:
    """A place in the queue of writers, of this and of other processes.

    SQLite's own lock is polled, up to 100 ms apart, and takes no turns; the kernel's wakes the
    next in line at once, and lets go by itself when a process dies.
    """

    def __init__(self, path: str):
        self._path = path
        self._descriptor: int | None = None
        self._coming: asyncio.Future[None] | None = None
        self._is_wanted = False

    async def take(self, seconds: float) -> None:
        """Wait for it, so long at most. Raises `TimeoutError` and `OSError`."""
        if self._coming is None:
            if self._take_at_once():
                return
            self._coming = self._take_in_line()
        self._is_wanted = True
        try:
            await asyncio.wait_for(asyncio.shield(self._coming), seconds)
        except TimeoutError:
            raise TimeoutError(f"another process keeps {self._path} to itself") from None
        finally:
            self._is_wanted = False

    def wait(self) -> None:
        """Wait for it however long that takes, and the thread with it. Raises `OSError`."""
        fcntl.flock(self._file(), fcntl.LOCK_EX)

    def end(self) -> None:
        """Let the next one go."""
        if self._descriptor is not None and self._coming is None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None and self._coming is None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take_at_once(self) -> bool:
        try:
            fcntl.flock(self._file(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _take_in_line(self) -> asyncio.Future[None]:
        """In a thread that keeps no process from ending: nothing takes a place in line back."""
        loop = asyncio.get_running_loop()
        coming: asyncio.Future[None] = loop.create_future()
        descriptor = self._file()

        def wait() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(RuntimeError):  # the loop is gone, and so is who waited
                loop.call_soon_threadsafe(self._came, coming)

        threading.Thread(target=wait, name="turn", daemon=True).start()
        return coming

    def _came(self, coming: asyncio.Future[None]) -> None:
        self._coming = None
        coming.set_result(None)
        if not self._is_wanted:
            self.end()

    def _file(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor
