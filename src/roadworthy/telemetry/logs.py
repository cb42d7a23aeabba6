"""Structured logs: one JSON object a line, on standard error.

A line names what happened and the request, never what the request carried: no address, token,
certificate number, file content, nor the words of an exception, which may quote them.
"""

import atexit
import contextlib
import multiprocessing.util
import os
import re
import sys
import threading
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict

FLUSH_SECONDS = 0.25
LAST_SECONDS = 2
MOST_LINES = 20_000

_NOTE = "note"
_LOOKS_LIKE_AN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Lines:
    """Lines on their way out, written a few times a second by a thread of their own.

    Whoever reads them may be slow, or gone: nobody waits for that but the thread, and of the
    lines that nobody takes the oldest are dropped, and counted.
    """

    def __init__(self, *, starts: bool = True):
        """Without `starts` they are written when `write` is called."""
        self._starts = starts
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, line: bytes) -> None:
        """Write `line`, soon."""
        if self._thread is None and self._starts:
            self._start()
        if len(self._lines) >= MOST_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write_often, name="log", daemon=True)
        self._thread.start()
        atexit.register(self._write_last)
        # A server process is forked, and ends without what is registered there.
        multiprocessing.util.Finalize(None, self._write_last, exitpriority=0)

    def _write_often(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.write()

    def _write_last(self) -> None:
        last = threading.Thread(target=self.write, daemon=True)
        last.start()
        last.join(LAST_SECONDS)

    def write(self) -> None:
        """Write all of them now."""
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if not lines:
                return
            dropped = self._dropped
            notice = _line({"event": "log lines dropped", "count": dropped})
            try:
                _print([*lines, notice] if dropped else lines)
            except (OSError, ValueError):  # nobody reads, the disk is full, or it is closed
                self._dropped += len(lines)
            else:
                self._dropped -= dropped


def _print(lines: list[bytes]) -> None:
    sys.stderr.buffer.write(b"\n".join(lines) + b"\n")
    sys.stderr.buffer.flush()


_lines = Lines()


def log_request(request_id: str, method: str, route: str, status: int, seconds: float) -> None:
    """Note one answered request; `route` is the route's template."""
    _lines.add(
        _line(
            {
                "event": "request",
                "request_id": _loggable(request_id),
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 3),
                "timestamp": datetime.now(UTC),
            }
        )
    )


def note(event: str, **values: Any) -> None:
    """Write one line now, from the process that starts the others.

    Whatever takes it, it holds up nobody; and it holds no lock that a child would inherit.
    """
    line = _line({"event": event, **values, "timestamp": datetime.now(UTC)}) + b"\n"

    def write() -> None:
        with contextlib.suppress(OSError):
            os.write(2, line)

    threading.Thread(target=write, name=_NOTE, daemon=True).start()


def finish_notes() -> None:
    """Let what `note` was given be written before this process says its last word, and ends."""
    for thread in threading.enumerate():
        if thread.name == _NOTE:
            thread.join(LAST_SECONDS)


def _loggable(request_id: str) -> str | None:
    """An id that a client made up, where it looks like one: not an address, not a token."""
    return request_id if _LOOKS_LIKE_AN_ID.fullmatch(request_id) else None


def configure_logs() -> None:
    """Call once, before anything logs."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_words,
        ],
        logger_factory=_Logger,
        cache_logger_on_first_use=True,
    )


class _Logger:
    """What structlog hands finished events to."""

    def __init__(self, *_: Any):
        self.debug = self.info = self.warning = self.error = self.critical = self._add

    def _add(self, **event: Any) -> None:
        _lines.add(_line(event))


_ENCODER = msgspec.json.Encoder()


def _line(event: EventDict) -> bytes:
    return _ENCODER.encode(event)


def _without_words(_: Any, __: str, event: EventDict) -> EventDict:
    """An exception as its type and where it was raised, without its message."""
    if "request_id" in event:
        event["request_id"] = _loggable(event["request_id"])
    if event.pop("exc_info", None):
        kind, _error, trace = sys.exc_info()
        event["error"] = kind.__name__ if kind else None
        event["raised"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)
        ]
    return event
