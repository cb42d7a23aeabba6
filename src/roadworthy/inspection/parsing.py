"""A process that looks into files and does nothing else: `parser.py` starts it as a script.

Files are hostile and the libraries that read them large, so for each it forks a process which is
confined before it reads the first byte, and killed when its time is over. Starting one afresh
would cost a quarter of a second of processor time; a fork costs milliseconds.

A request is a message on standard input: JSON, and the descriptors of where to answer and of the
files. The answer is a line of JSON from the process that parsed, if it came to that, and after it
the number it ended with. This process ends when its input does.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass
from typing import Any

from roadworthy.inspection.confinement import confine
from roadworthy.inspection.work import answer_to
from roadworthy.priority import step_back

NICENESS = 10

MOST_REQUEST_BYTES = 4096
MOST_DESCRIPTORS = 64


@dataclass(frozen=True)
class _Child:
    pid: int
    ended: int
    """A descriptor that is readable once it has ended."""
    answer: int
    deadline: float


class _Parsing:
    """Forks for each request, and says how each child ended."""

    def __init__(self, channel: socket.socket):
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ)
        self._children: dict[int, _Child] = {}

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._seconds_left()):
                if key.fileobj is not self._channel:
                    self._bury(self._children[key.fd])
                elif not self._take_request():
                    return
            for child in self._children.values():
                if child.deadline <= time.monotonic():
                    _kill(child.pid)

    def end(self) -> None:
        for child in self._children.values():
            _kill(child.pid)

    def _seconds_left(self) -> float | None:
        deadlines = [child.deadline for child in self._children.values()]
        return max(0.01, min(deadlines) - time.monotonic()) if deadlines else None

    def _take_request(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(
            self._channel, MOST_REQUEST_BYTES, MOST_DESCRIPTORS
        )
        if not message:
            return False
        answer, *files = descriptors
        request = json.loads(message)
        pid = os.fork()
        if pid == 0:
            _parse(request, answer, files)
        for file in files:
            os.close(file)
        ended = os.pidfd_open(pid)
        self._selector.register(ended, selectors.EVENT_READ)
        self._children[ended] = _Child(
            pid, ended, answer, time.monotonic() + request["limits"]["seconds"]
        )
        return True

    def _bury(self, child: _Child) -> None:
        _kill(child.pid)  # whatever it has started, while its number is not anybody else's
        _, status = os.waitpid(child.pid, 0)
        with contextlib.suppress(OSError):  # who asked is gone
            os.write(child.answer, b"\n%d" % os.waitstatus_to_exitcode(status))
        self._selector.unregister(child.ended)
        del self._children[child.ended]
        os.close(child.ended)
        os.close(child.answer)


def _kill(pid: int) -> None:
    """It, and its group once it has one."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _parse(request: dict[str, Any], answer: int, files: list[int]) -> None:
    """What the forked process does. Does not return."""
    status = 1
    try:
        os.setpgid(0, 0)
        _forget_all_but(answer, *files)
        limits = request["limits"]
        size = sum(os.fstat(file).st_size for file in files)
        opened = [os.fdopen(file, mode) for file, mode in zip(files, request["modes"], strict=True)]
        confine(limits["memory_bytes"] + size, limits["cpu_seconds"])
        found = answer_to(request["task"], opened, request["number"])
        os.write(answer, json.dumps(found).encode())
        status = 0
    finally:
        os._exit(status)


def _forget_all_but(*kept: int) -> None:
    """No channel, and nobody else's file."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    at = 3
    for descriptor in sorted(kept):
        os.closerange(at, descriptor)
        at = descriptor + 1
    os.closerange(at, os.sysconf("SC_OPEN_MAX"))


if __name__ == "__main__":
    step_back(NICENESS)
    gc.freeze()  # children share these pages
    with socket.socket(fileno=os.dup(0)) as channel:
        parsing = _Parsing(channel)
        try:
            parsing.run()
        finally:
            parsing.end()
