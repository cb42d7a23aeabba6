"""The process that parses, as the server process sees it."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from roadworthy.inspection.refusals import FileRefused, Reason

log = structlog.get_logger()

STOP_SECONDS = 5
MOST_TIMES = 5
"""How much more than one several may cost together."""

GRACE_SECONDS = 10
"""How much later than the limit an answer may come on a busy machine."""

_MOST_ANSWER_BYTES = 65_536
_MOST_NAME = 64
_STATUS = re.compile(rb"-?[0-9]{1,3}")
_OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


@dataclass(frozen=True)
class Limits:
    """What one file may cost."""

    memory_bytes: int = 1280 * 1024 * 1024
    """Of address space, beside the file's own size. 64 megapixels of WebP need 1.1 GiB."""
    cpu_seconds: int = 20
    seconds: float = 40

    def for_files(self, count: int) -> "Limits":
        """What so many photographs may cost together."""
        more = min(1 + count // 5, MOST_TIMES)
        return Limits(self.memory_bytes, self.cpu_seconds * more, self.seconds * more)

    def for_page(self) -> "Limits":
        """What a page may cost of a file that was taken: a quarter."""
        return Limits(self.memory_bytes, max(1, self.cpu_seconds // 4), self.seconds / 4)


class ParserEnded(Exception):
    """The process ended before it answered; it has no part in what was asked."""


class Parser:
    """One `parsing.py` at work; threads may use it at once."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("parsing.py")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 -- our own script
                [sys.executable, "-I", str(script)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},  # ours holds secrets
                start_new_session=True,  # Ctrl-C is for the service, which then ends it in order
            )

    @property
    def has_ended(self) -> bool:
        """Whether another one is needed."""
        return self._popen.poll() is not None

    def ask(
        self, task: str, files: Sequence[IO[bytes]], limits: Limits, number: int = 0
    ) -> dict[str, Any]:
        """What `task` makes of the files, and of a `number` that it is told.

        Raises `FileRefused` for what is wrong with them, and `ParserEnded`.
        """
        request = {
            "task": task,
            "modes": [file.mode for file in files],
            "number": number,
            "limits": asdict(limits),
        }
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)
            self._send(json.dumps(request).encode(), [writing, *(file.fileno() for file in files)])
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        try:
            return understood(self._read(reading, limits.seconds + GRACE_SECONDS))
        finally:
            os.close(reading)

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._channel, [request], descriptors)
        except OSError:
            raise ParserEnded from None

    def _read(self, descriptor: int, seconds: float) -> bytes:
        """All that is written there; who writes forever is ended, and all is read until then."""
        answer = b""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            piece = os.read(descriptor, _MOST_ANSWER_BYTES)
            if not piece:
                return answer
            answer = (answer + piece)[-_MOST_ANSWER_BYTES:]
        self.stop()
        raise ParserEnded

    def stop(self) -> None:
        """End it, and whatever it still parses."""
        self._channel.close()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def understood(answer: bytes) -> dict[str, Any]:
    """What the parsing process said, of which nothing is believed that it may not say."""
    said, _, status = answer.rpartition(b"\n")
    if not _STATUS.fullmatch(status):
        raise ParserEnded
    found: object = None
    if int(status) in _OUT_OF_TIME:
        found = {"refused": Reason.TOO_LARGE.name}
    elif int(status) == 0:
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(said)
    if not isinstance(found, dict):
        raise FileRefused(Reason.DAMAGED)
    if "refused" in found:
        _log_what_was_raised(found.get("raised"))
        raise FileRefused(Reason.__members__.get(str(found["refused"]), Reason.DAMAGED))
    return found


def _log_what_was_raised(name: object) -> None:
    """The kind of exception: for those who wonder why we take no such file."""
    if isinstance(name, str) and name.isidentifier() and len(name) < _MOST_NAME:
        log.info("file refused", error=name)
