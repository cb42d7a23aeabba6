"""Which files the connections of this process are on."""

import os
import threading
import time

from sqlalchemy import Connection, Engine

REST_SECONDS = 5
"""Nobody opens a new log before every process has noticed that the old one was taken away, for
which each looks once a second, and has brought home what is in it."""

_Identity = tuple[int, int] | None


class HeldFiles:
    """An SQLite database's file, the log of what was written last, and the index of that.

    SQLite goes on with files that were taken away, and what is answered then is lost. And its
    connections in a process share the index: one that came to a new log by an old index would
    destroy both. So none is opened until all that are on other files are closed.
    """

    def __init__(self, path: str):
        self._paths = (path, f"{path}-wal", f"{path}-shm")
        self._main: _Identity = None
        self._found: tuple[_Identity, ...] | None = None
        self._connections = 0
        self._kept: Connection | None = None
        self._open = 0
        """Of those, the ones that are connected, and not about to close."""
        self._log_is_other = False
        self._again_at = 0.0
        self._lock = threading.Lock()

    def connect(self, engine: Engine) -> Connection:
        """A connection of `engine`, to be closed by `close`. Raises `FileNotFoundError` when it
        would be to other files than those of the others, or to an empty one.
        """
        self._let_go_of_kept()
        self._take()
        try:
            connection = engine.connect()
        except BaseException:
            self._release()
            raise
        self._note()
        return connection

    def close(self, connection: Connection) -> None:
        """Let it go; before, as with the last one SQLite takes the log and its index away.

        While the database is empty one is kept: with the last, SQLite would write there what is in
        the log, and what then looks like a database would be served.
        """
        if self._is_to_be_kept(connection):
            return
        self._leave()
        connection.close()
        self._release()

    def _is_to_be_kept(self, connection: Connection) -> bool:
        with self._lock:
            if self._kept is not None or not self._is_emptied:
                return False
            self._kept = connection
            return True

    def _let_go_of_kept(self) -> None:
        with self._lock:
            if self._kept is None or self._is_emptied:
                return
            kept, self._kept = self._kept, None
        self.close(kept)

    def _take(self) -> None:
        with self._lock:
            if time.monotonic() < self._again_at:
                raise self._replaced()
            self._require_content()
            self.require_same()
            self._connections += 1
            if self._connections == 1:
                self._found = None
                self._main = _identity(self._paths[0], with_content=True)

    def _note(self) -> None:
        """Connecting makes a log and an index where there are none."""
        with self._lock:
            self._open += 1
            if self._found is None:
                self._found = (self._main, *map(_identity, self._paths[1:]))

    def _leave(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._found = None

    def _release(self) -> None:
        with self._lock:
            self._connections -= 1
            if not self._connections and self._log_is_other:
                self._log_is_other = False
                self._again_at = time.monotonic() + REST_SECONDS

    @property
    def are_same(self) -> bool:
        """Whether they are where they were, and not emptied, as far as any are held."""
        if not self._connections or self._found is None:
            return True
        main, *beside = self._paths
        return self._found == (_identity(main, with_content=True), *map(_identity, beside))

    def require_same(self) -> None:
        """Raise `FileNotFoundError` when they are not."""
        if self.are_same:
            return
        self._require_content()
        main = _identity(self._paths[0], with_content=True)
        self._log_is_other = self._found is not None and self._found[0] == main
        raise self._replaced()

    def _require_content(self) -> None:
        """SQLite takes an empty file for a new database: it throws the log away, and writes a first
        page over what somebody is about to put there.
        """
        if self._is_emptied:
            raise FileNotFoundError(f"{self._paths[0]} was emptied")

    @property
    def _is_emptied(self) -> bool:
        found = _seen(self._paths[0])
        return found is not None and found.st_size == 0

    @property
    def log_is_lost(self) -> bool:
        """Whether the log that is held was taken away, and nobody writes to another in its place.

        Then nobody else can read it.
        """
        main, log = _identity(self._paths[0], with_content=True), _identity(self._paths[1])
        is_taken = self._found is not None and self._found[0] == main and self._found[1] != log
        return is_taken and _identity(self._paths[1], with_content=True) is None

    def _replaced(self) -> FileNotFoundError:
        return FileNotFoundError(
            f"{self._paths[0]}, or what lies beside it, was put away or replaced"
        )


def _identity(path: str, *, with_content: bool = False) -> _Identity:
    """What tells the file at `path` from another one put in its place; `None`: none is seen, or,
    `with_content`, an empty one.
    """
    found = _seen(path)
    if found is None or (with_content and not found.st_size):
        return None
    return found.st_dev, found.st_ino


def _seen(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 -- on every commit, so without the object
    except OSError:
        return None
