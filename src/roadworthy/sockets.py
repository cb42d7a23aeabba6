"""The sockets that a process has open."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def drop_unread(seconds: float) -> None:
    """Have the kernel end each connection made from now on whose peer takes nothing for so long.

    It counts a receive window that stays shut as well (RFC 5482; tcp(7), TCP_USER_TIMEOUT).
    Connections have it from the socket that this process listens on, or is about to.
    """
    for each in open_sockets():
        if each.family in {socket.AF_INET, socket.AF_INET6}:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def open_sockets() -> Iterator[socket.socket]:
    """Each of this process, as a duplicate that is closed after its turn."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(descriptor.name))) as opened:
                    yield opened
