"""A way to a server that breaks: a proxy that cuts connections, as a bad signal does."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

_PIECE = 64 * 1024


class Cutter:
    """Hands bytes on, and cuts the connection that carries the ones at `cuts`, counted in all."""

    def __init__(self, behind: str, cuts: Sequence[int]):
        address = urlsplit(behind)
        self._behind = (address.hostname or "", address.port or 80)
        self._cuts = list(cuts)
        self._sent = 0
        self._lock = threading.Lock()
        self.made = 0
        """How often it has cut."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def serve(self) -> None:
        """Until `close`."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._behind)
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._hand_on, args=way, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _hand_on(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if is_counted and self._is_cut(len(piece)):
                    break
                target.sendall(piece)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _is_cut(self, size: int) -> bool:
        with self._lock:
            self._sent += size
            if self._cuts and self._sent >= self._cuts[0]:
                self._cuts.pop(0)
                self.made += 1
                return True
            return False


@contextmanager
def cutting_proxy(behind: str, cuts: Sequence[int]) -> Iterator[Cutter]:
    """Where the server at `behind` is reached, more or less."""
    cutter = Cutter(behind, cuts)
    threading.Thread(target=cutter.serve, daemon=True).start()
    try:
        yield cutter
    finally:
        cutter.close()
