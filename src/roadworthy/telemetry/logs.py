"""Structured logs: one JSON object a line, on standard error.

A line names what happened and the request, never what the request carried: no address, token,
certificate number, file content, nor the words of an exception, which may quote them.
"""

import asyncio
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict

FLUSH_SECONDS = 0.25


class AccessLog:
    """A line for each request, gathered and written a few times a second off the event loop."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, request_id: str, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answered request; `route` is the route's template."""
        self._lines.append(
            _ENCODER.encode(
                {
                    "event": "request",
                    "request_id": request_id,
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 3),
                    "timestamp": datetime.now(UTC),
                }
            )
        )

    def start(self) -> None:
        """Write what is gathered from now on until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self._flush_often())

    async def stop(self) -> None:
        """Write the rest."""
        if self._task is not None:
            self._task.cancel()
        await self._flush()

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            await asyncio.to_thread(_write, b"\n".join(lines) + b"\n")


def configure_logs() -> None:
    """Call once, before anything logs."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_words,
            structlog.processors.JSONRenderer(serializer=_serialized),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


_ENCODER = msgspec.json.Encoder()


def _write(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


def _without_words(_: Any, __: str, event: EventDict) -> EventDict:
    """An exception as its type and where it was raised, without its message."""
    if event.pop("exc_info", None):
        kind, _error, trace = sys.exc_info()
        event["error"] = kind.__name__ if kind else None
        event["raised"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)
        ]
    return event


def _serialized(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event).decode()
