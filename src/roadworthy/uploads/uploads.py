"""Takes uploads in, part by part, whichever server they arrive at, and makes blobs of them.

Each part is a file in storage, named by a row that comes before it; the offset moves when its bytes
are there for good. Who sends while somebody else does finds that the offset has moved.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from roadworthy.database import Connection, Database
from roadworthy.documents import Failures, Files, Going
from roadworthy.storage import NotStored, SpooledFile, Storage, new_key
from roadworthy.uploads.queries import (
    TooManyParts,
    TooManyUploads,
    Upload,
    become,
    begin_part,
    create_upload,
    end_upload,
    find_ended,
    find_going,
    find_upload,
    finish_part,
    forget_parts,
    forget_upload,
    part_keys,
    stored_parts,
)
from roadworthy.uploads.upload import (
    MOST_UNFINISHED_FILES,
    PART_BYTES,
    PART_SECONDS,
    Checksum,
    NewUpload,
)
from roadworthy.wire import (
    BadRequest,
    Conflict,
    Gone,
    Keep,
    NotFound,
    Refusal,
    TooLarge,
    TooManyRequests,
)
from roadworthy.wire.errors import ChecksumMismatch, RequestTimeout

RETRY_SECONDS = 60 * 60
"""Until some of the uploads that wait may have expired."""
AT_ONCE = 100

Check = Callable[[], Awaitable[object]]
"""Raises a `Refusal` when who sends may do so no more."""


class Uploads:
    """Uploads of drivers that can be resumed; `clock` gives the time, in UTC."""

    def __init__(self, database: Database, files: Files, clock: Callable[[], datetime]):
        self._database = database
        self._files = files
        self._storage = files.storage
        self._clock = clock

    @property
    def most_bytes(self) -> int:
        """Of one upload."""
        return self._files.most_bytes

    async def create(self, user_id: int, new: NewUpload, keep: Keep | None = None) -> Upload:
        """An upload of which nothing has come; `keep` its name. Raises `TooManyRequests`."""
        most, name, now = MOST_UNFINISHED_FILES * self.most_bytes, new_key(), self._clock()

        def create(connection: Connection) -> Upload:
            upload = create_upload(connection, user_id, new, name, most, now)
            if keep:
                keep(connection, HTTPStatus.CREATED, name.encode())
            return upload

        try:
            return await self._database.write(create)
        except TooManyUploads:
            raise TooManyRequests(RETRY_SECONDS) from None

    async def find(self, user_id: int, name: str) -> Upload:
        """The driver's upload of that name. Raises `NotFound`, and `Gone` when it has expired."""
        upload = await self._database.read(find_upload, user_id, name)
        if upload is None:
            raise NotFound
        if upload.expires_at <= self._clock():
            raise Gone
        return upload

    async def take(
        self, upload: Upload, parts: AsyncIterator[bytes], checksum: Checksum | None, check: Check
    ) -> Upload:
        """The upload with what arrives as `parts`; when they break off, what came is kept.

        With a `checksum` all is kept or nothing. `check` is asked before anything is kept. Raises
        `Conflict` when other bytes came in the meantime, `ChecksumMismatch`, and what `parts` does.
        """
        async with self._files.room_for(upload.user_id):
            if checksum is not None:
                return await self._take_checked(upload, parts, checksum, check)
            body = _Body(parts)
            while not body.is_over:
                async with self._storage.spool.receive(body.part(), PART_BYTES) as file:
                    if file.byte_size:
                        await check()
                        upload = await self._store(upload, file)
            if body.broke is not None:
                raise body.broke
            return upload

    async def _take_checked(
        self, upload: Upload, parts: AsyncIterator[bytes], checksum: Checksum, check: Check
    ) -> Upload:
        async with self._storage.spool.receive(parts, upload.remaining) as file:
            found = await self._storage.spool.off_loop(_digest, file.path, checksum.algorithm)
            if found != checksum.digest:
                raise ChecksumMismatch
            await check()
            return await self._store(upload, file) if file.byte_size else upload

    async def _store(self, upload: Upload, file: SpooledFile) -> Upload:
        key, size = new_key(), file.byte_size
        try:
            begun = await self._database.write(begin_part, upload, key, size, self._clock())
        except TooManyParts:
            raise BadRequest("it came in too many parts: begin it anew") from None
        if not begun:
            raise Conflict
        await self._storage.put(key, file.path)
        further = await self._database.write(finish_part, upload, key, size, self._clock())
        if further is None:
            await self._storage.delete(key)
            raise Conflict
        return further

    async def blob_of(self, upload: Upload) -> int | None:
        """The id of the blob that the upload has become, if all of it has come.

        Who asks again makes good what was interrupted. Raises `Gone` when its bytes are lost, and
        `TooLarge`, with an end to it, when files may no longer be so long.
        """
        if upload.blob_id is not None:
            return upload.blob_id
        if upload.byte_size > self.most_bytes:
            await self.terminate(upload)
            raise TooLarge(self.most_bytes)
        if upload.remaining:
            return None
        try:
            async with self._files.room_for(upload.user_id):
                blob_id = await self._composed(upload)
        except NotStored:
            return await self._become_elsewhere(upload)
        if not await self._database.write(become, upload.id, blob_id):
            await self._files.discard_unheld(blob_id)
            return await self._become_elsewhere(upload)
        await self._remove_parts(upload.id)
        return blob_id

    async def _composed(self, upload: Upload) -> int:
        parts = await self._database.read(stored_parts, upload.id)
        arriving = _joined(self._storage, parts)
        async with self._storage.spool.receive(arriving, upload.byte_size) as file:
            if file.byte_size != upload.byte_size:
                raise NotStored
            return await self._files.keep(
                upload.user_id, file, upload.filename, upload.content_type
            )

    async def _become_elsewhere(self, upload: Upload) -> int:
        """The blob that a quicker request made of the parts, which are gone since."""
        blob_id = (await self.find(upload.user_id, upload.name)).blob_id
        if blob_id is None:
            raise Gone
        return blob_id

    async def terminate(self, upload: Upload) -> None:
        """Remove the upload with all that came of it, unless something holds it by now."""
        await self._database.write(end_upload, upload.id, self._clock())
        await self._remove(upload.id)
        if upload.blob_id is not None:
            await self._files.discard_unheld(upload.blob_id)

    async def purge(self, until: datetime, failures: Failures) -> None:
        """Remove the uploads that had expired at `until`, and what came of those that were not
        finished."""
        after = 0
        while ended := await self._database.report(find_ended, until, after, AT_ONCE):
            for upload_id in ended:
                with failures.counted():
                    await self._remove(upload_id)
            after = ended[-1]

    async def going(self, until: datetime) -> AsyncIterator[Going]:
        """The uploads with which `purge` would remove something that was sent or told."""
        for upload in await self._database.report(find_going, until):
            yield Going(
                f"upload {upload.id} of driver {upload.user_id}, {upload.byte_size} bytes",
                f"it was to be finished by {upload.expires_at:%Y-%m-%d %H:%M}Z",
            )

    async def _remove(self, upload_id: int) -> None:
        await self._remove_parts(upload_id)
        await self._database.write(forget_upload, upload_id)

    async def _remove_parts(self, upload_id: int) -> None:
        keys = await self._database.read(part_keys, upload_id)
        for key in keys:
            await self._storage.delete(key)
        if keys:
            await self._database.write(forget_parts, keys)


class _Body:
    """A body that is cut into parts as it arrives; where it breaks off, so does the last part."""

    def __init__(self, arriving: AsyncIterator[bytes]):
        self._arriving = arriving
        self._rest = b""
        self.is_over = False
        self.broke: Refusal | None = None

    async def part(self) -> AsyncIterator[bytes]:
        """The next bytes: as many as a part has, or as came in its time."""
        size, until = 0, time.monotonic() + PART_SECONDS
        while size < PART_BYTES and time.monotonic() < until:
            piece = self._rest or await self._next()
            if not piece:
                return
            piece, self._rest = piece[: PART_BYTES - size], piece[PART_BYTES - size :]
            size += len(piece)
            yield piece

    async def _next(self) -> bytes:
        try:
            return await anext(self._arriving)
        except StopAsyncIteration:
            self.is_over = True
        except (BadRequest, RequestTimeout) as broke:
            self.is_over, self.broke = True, broke
        return b""


async def _joined(storage: Storage, parts: list[tuple[str, int]]) -> AsyncIterator[bytes]:
    for key, size in parts:
        async with aclosing(storage.read(key, 0, size)) as pieces:
            async for piece in pieces:
                yield piece


def _digest(path: Path, algorithm: str) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).digest()
