"""Makes blobs of the files that came with a request, so that they go the way of all others."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from roadworthy.database import Busy, Unavailable
from roadworthy.documents.blob import content_type_value, filename_value
from roadworthy.documents.checking import Asker, Checking
from roadworthy.documents.files import Files
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.wanted import Wanted
from roadworthy.storage import SpooledFile
from roadworthy.wire import ReceivedFile
from roadworthy.wire.values import Refused

log = structlog.get_logger()


class HandingIn:
    """The files of one request."""

    def __init__(self, files: Files, checking: Checking, signatures: Signatures):
        self._files = files
        self._checking = checking
        self._signatures = signatures
        self._made: list[int] = []

    @asynccontextmanager
    async def checked(
        self, asker: Asker, profile_id: int | None, wanted: Wanted
    ) -> AsyncIterator[tuple[dict[str, list[int]], Mapping[str, list[str]]]]:
        """See `Documents.checked`."""
        try:
            named, refused = await self._named(asker.user_id, wanted)
            placing, errors = await self._checking.check(asker, profile_id, named, self._made)
            yield placing, {**refused, **errors}
        finally:
            for blob_id in self._made:
                await self._clear_away(blob_id)

    async def _clear_away(self, blob_id: int) -> None:
        """Whether it can be done now changes no answer: what is placed is, and the purge comes."""
        try:
            await self._files.discard_unheld(blob_id)
        except (Busy, Unavailable):
            log.error("files", reason="left to the purge")  # noqa: TRY400 -- no traceback

    async def _named(
        self, user_id: int, wanted: Wanted
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
        """The signed ids for each slot, and what is wrong with the files for others."""
        named: dict[str, tuple[str, ...]] = {}
        refused: dict[str, list[str]] = {}
        for slot, entries in wanted.items():
            try:
                named[slot] = tuple([await self._name(user_id, entry) for entry in entries])
            except Refused as reason:
                refused[slot] = [str(reason)]
        return named, refused

    async def _name(self, user_id: int, entry: str | ReceivedFile) -> str:
        if isinstance(entry, str):
            return entry
        filename, content_type = filename_value(entry.filename), content_type_of(entry)
        file = SpooledFile(entry.path, entry.byte_size, entry.checksum)
        blob_id = await self._files.keep(user_id, file, filename, content_type)
        self._made.append(blob_id)
        return self._signatures.signed_id(blob_id)


def content_type_of(file: ReceivedFile) -> str:
    """What the client says the file is, where that can be read."""
    try:
        return content_type_value(file.content_type)
    except Refused:
        return content_type_value(None)
