"""ClamAV's daemon, asked over its socket with the bytes themselves (clamd(8), INSTREAM)."""

import asyncio
import contextlib
import struct
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from roadworthy.inspection.opening import opened
from roadworthy.inspection.refusals import FileRefused, Reason, ScannerAway

log = structlog.get_logger()

CONNECT_SECONDS = 5
SCAN_SECONDS = 60
MOST_SCANS = 8
"""At a time; clamd's default is ten (MaxThreads), for all who ask it."""

_CHUNK = 256 * 1024
_MOST_REPLY_BYTES = 4096


class ClamAV:
    """A clamd at `unix:///path/to/socket` or `tcp://host:port`."""

    def __init__(
        self, url: str, connect_seconds: float = CONNECT_SECONDS, scan_seconds: float = SCAN_SECONDS
    ):
        self._address = urlsplit(url)
        self._connect_seconds = connect_seconds
        self._scan_seconds = scan_seconds
        self._turns = asyncio.Semaphore(MOST_SCANS)

    async def scan(self, path: Path) -> None:
        """Have the file looked at.

        Raises `FileRefused` when a signature is found in it, and `ScannerAway` when there is no
        answer in time, or the answer is that the file is too large for the scanner. Raises
        `NotStored` when the file was removed meanwhile.
        """
        try:
            async with asyncio.timeout(self._scan_seconds), self._turns:
                reply = await self._reply_to(path)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.error("scanner", reason="does not answer")  # noqa: TRY400 -- no words of it
            raise ScannerAway from None
        if reply.endswith(b" FOUND"):
            raise FileRefused(Reason.HARMFUL)
        if reply != b"stream: OK":
            log.error("scanner", reason="answers with an error")
            raise ScannerAway

    async def _reply_to(self, path: Path) -> bytes:
        async with asyncio.timeout(self._connect_seconds):
            reader, writer = await self._connect()
        try:
            # One that has seen enough replies and hangs up while we still send.
            with contextlib.suppress(ConnectionError):
                await _send(path, writer)
            return (await reader.readuntil(b"\0"))[:-1]
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        if self._address.scheme == "unix":
            return await asyncio.open_unix_connection(self._address.path, limit=_MOST_REPLY_BYTES)
        return await asyncio.open_connection(
            self._address.hostname, self._address.port, limit=_MOST_REPLY_BYTES
        )


async def _send(path: Path, writer: StreamWriter) -> None:
    writer.write(b"zINSTREAM\0")
    with opened(path) as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            writer.write(struct.pack("!I", len(chunk)) + chunk)
            await writer.drain()
    writer.write(struct.pack("!I", 0))
    await writer.drain()
