"""Commands of ours in forks of a process that has loaded them: loading is most of a short start.

What is forked runs `main` to the interpreter's end, as `python -m roadworthy` does; its folder and
limits are those of when the first was forked. Whether all is loaded that a command needs shows only
where it is started anew.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO

_LOADED = (
    "roadworthy.cli",
    "roadworthy.server",
    "roadworthy.maintenance",
    "roadworthy.moving",
    "roadworthy.backup",
    "roadworthy.migrations.upgrade",
)
_NUMBER = struct.Struct("=i")
_MOST_BYTES = 1024 * 1024


class Forked:
    """A command from construction until it ends, with as much of `subprocess.Popen` as is used."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        output: BinaryIO,
        errors: BinaryIO,
    ):
        self._told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, Path(os.devnull).open("rb") as nothing:
            files = [each.fileno() for each in (nothing, output, errors, theirs)]
            request = json.dumps([arguments, dict(environment)]).encode()
            socket.send_fds(_starter(), [request], files)
        self.pid = self._next()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = self._next()
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("roadworthy", timeout or 0) from None
            self._told.close()  # now its number may be another's
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _next(self) -> int:
        told = self._told.recv(_NUMBER.size)
        if not told:
            self._told.close()
            raise RuntimeError("who starts commands for tests has ended: see above why")
        number: int
        (number,) = _NUMBER.unpack(told)
        return number


@cache
def _starter() -> socket.socket:
    """Where the process that forks is told what to run; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _fork_what_is_told(requests: socket.socket) -> None:
    """Returns in each fork that is to be a command; exits when nobody is there to tell."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(requests, _MOST_BYTES, 4)
        if not message:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            return _watch_one(message, files)
        for file in files:
            os.close(file)


def _watch_one(message: bytes, files: list[int]) -> None:
    """Tell how the command's process ended; returns in that process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        arguments, environment = json.loads(message)
        return _become(arguments, environment, files)
    *others, teller = files
    for file in others:
        os.close(file)
    with socket.socket(fileno=teller) as channel:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended
        by_itself = ended.si_code == os.CLD_EXITED
        with contextlib.suppress(ConnectionError):  # who asked is gone
            channel.send(_NUMBER.pack(ended.si_status if by_itself else -ended.si_status))
            channel.recv(1)  # it keeps its number until who asked has closed this
    os._exit(0)


def _become(arguments: list[str], environment: dict[str, str], files: list[int]) -> None:
    """Say who it is, once nobody else's Ctrl-C is its own, and go on as the command."""
    *standard, teller = files
    os.setsid()
    with socket.socket(fileno=teller) as channel:
        channel.send(_NUMBER.pack(os.getpid()))
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments


if __name__ == "__main__":
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _fork_what_is_told(socket.socket(fileno=int(sys.argv[1])))
    sys.modules["roadworthy.cli"].main()
