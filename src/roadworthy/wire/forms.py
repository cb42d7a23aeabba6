"""Bodies of `multipart/form-data` with files: taken apart as they arrive, files go to disk.

Whatever is sent, memory holds a piece of it, and no more of its texts than of any other body.
"""

import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import multipart

from roadworthy.storage import Spool
from roadworthy.wire.errors import BadRequest, TooLarge
from roadworthy.wire.messages import MOST_BODY_BYTES, Form, Request
from roadworthy.wire.parameters import MOST_PARTS, MULTIPART_TYPE, File, ReceivedFile

Event: TypeAlias = Any
"""A segment begins, some bytes of it, or `None`: it ends."""

_LENGTH = struct.Struct(">Q")


class FormLimits(NamedTuple):
    """How much is taken in one form."""

    file_bytes: int
    """Kept of a file; what is longer is refused by whoever wants it."""
    all_bytes: int
    files: int


@asynccontextmanager
async def received_form(request: Request, spool: Spool, limits: FormLimits) -> AsyncIterator[None]:
    """While it lasts, the request has its form, whose files are on disk.

    Raises a 400, 408, 413 or 503 `Refusal`.
    """
    async with AsyncExitStack() as files:
        request.form = await _Receiver(request, spool, limits, files).form()
        yield


def is_form(request: Request) -> bool:
    """Whether the body says that it is one."""
    declared = request.header(b"content-type") or ""
    return declared.partition(";")[0].strip().lower() == MULTIPART_TYPE


class _Receiver:
    """Takes one form apart."""

    def __init__(self, request: Request, spool: Spool, limits: FormLimits, files: AsyncExitStack):
        self._arriving = request.parts(limits.all_bytes)
        self._declared = request.header(b"content-type") or ""
        self._spool = spool
        self._limits = limits
        self._files = files
        self._digest = hashlib.sha256()
        self._text_bytes = 0
        self._file_count = 0

    async def form(self) -> Form:
        _, options = multipart.parse_options_header(self._declared)
        try:
            parser = multipart.PushMultipartParser(
                options.get("boundary", ""), max_segment_count=MOST_PARTS
            )
            with parser:
                return Form(await self._pairs(parser), self._digest.digest())
        except multipart.MultipartError as error:
            raise BadRequest(f"the multipart body is broken: {error.args[0]}") from None

    async def _pairs(self, parser: multipart.PushMultipartParser) -> list[tuple[str, str | File]]:
        events = self._all_events(parser)
        pairs: list[tuple[str, str | File]] = []
        async for segment in events:
            if not isinstance(segment, multipart.MultipartSegment):
                continue
            content = _content(events)
            value: str | File | None
            if segment.filename is None:
                value = await self._text(segment, content)
            else:
                value = await self._file(segment, content)
            if value is not None:
                pairs.append((segment.name or "", value))
        return pairs

    async def _all_events(self, parser: multipart.PushMultipartParser) -> AsyncIterator[Event]:
        async for part in self._arriving:
            if parser.closed:
                continue  # what comes after the last boundary says nothing
            for event in parser.parse(part):
                yield event
        parser.close()

    async def _text(
        self, segment: multipart.MultipartSegment, content: AsyncIterator[bytes]
    ) -> str:
        text = bytearray()
        async for piece in content:
            text += piece
            self._count_text(len(piece))
        name = segment.name or ""
        self._count_text(len(name))
        self._note(b"text", name.encode(), bytes(text))
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest("a parameter is not UTF-8") from None

    def _count_text(self, size: int) -> None:
        self._text_bytes += size
        if self._text_bytes > MOST_BODY_BYTES:
            raise TooLarge(MOST_BODY_BYTES)

    async def _file(
        self, segment: multipart.MultipartSegment, content: AsyncIterator[bytes]
    ) -> ReceivedFile | None:
        """The file on disk; `None` where none was chosen."""
        kept = _Kept(content, self._limits.file_bytes)
        file = await self._files.enter_async_context(
            self._spool.receive(kept.pieces(), self._limits.file_bytes)
        )
        filename, content_type = segment.filename or "", segment.content_type or ""
        if not filename and not kept.byte_size:
            file.path.unlink(missing_ok=True)
            return None
        self._file_count += 1
        if self._file_count > self._limits.files:
            raise TooLarge(self._limits.all_bytes)
        names = (segment.name or "", filename, content_type)
        self._note(b"file", *(name.encode() for name in names), kept.digest.digest())
        return ReceivedFile(file.path, kept.byte_size, file.checksum, filename, content_type)

    def _note(self, *said: bytes) -> None:
        """With its length before each, so that nothing else reads the same."""
        for each in said:
            self._digest.update(_LENGTH.pack(len(each)) + each)


class _Kept:
    """The content of a file, of which no more than `most` bytes go on; all of it is counted."""

    def __init__(self, content: AsyncIterator[bytes], most: int):
        self._content = content
        self._most = most
        self.byte_size = 0
        self.digest = hashlib.sha256()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._content:
            self.digest.update(piece)
            room = self._most - self.byte_size
            self.byte_size += len(piece)
            if room > 0:
                yield bytes(piece[:room])


async def _content(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """Up to the end of the part that has begun."""
    async for event in events:
        if event is None:
            return
        yield bytes(event)
