"""Takes files in and throws them out: bytes in storage, and the rows that name them.

A row comes before its bytes and goes after them, so that whatever breaks in between, no bytes are
left that nothing names.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from roadworthy.database import Busy, Database, Unavailable
from roadworthy.documents.blob import NewBlob, too_big
from roadworthy.documents.leaving import Leaving
from roadworthy.documents.purge_queries import condemn_blobs, forget_bytes
from roadworthy.documents.queries import Blob, TooManyBlobs, create_blob, find_blob, mark_uploaded
from roadworthy.documents.rooms import Rooms
from roadworthy.storage import SpooledFile, Storage, StorageAway, TooLong, new_key
from roadworthy.wire import NotFound, TooManyRequests, Unprocessable
from roadworthy.wire.values import INVALID, Refused

MOST_AT_ONCE = 8
"""Files of one driver that arrive in this process at the same time."""
ROOM_SECONDS = 15
"""For so long one more waits."""
PURGED_WITHIN = timedelta(hours=1)
"""Once their time is over."""


class Files:
    """The files of drivers, of at most `most_bytes` each; `clock` gives the time, in UTC."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        most_bytes: int,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._clock = clock
        self._rooms = Rooms[int](MOST_AT_ONCE, ROOM_SECONDS, lambda: TooManyRequests(1))
        self.storage = storage
        self.leaving = Leaving()
        self.most_bytes = most_bytes

    def room_for(self, user_id: int) -> AbstractAsyncContextManager[None]:
        """While a file of the driver arrives; one that is too many waits. Raises `TooManyRequests`
        when it does so for too long.
        """
        return self._rooms.one(user_id)

    async def keep(self, user_id: int, file: SpooledFile, filename: str, content_type: str) -> int:
        """The id of a new blob of the driver, with the bytes of `file`, which is moved away.

        Raises `Refused` when it is empty or too big, and `TooManyRequests`. When its bytes cannot
        be kept, the next purge removes the blob.
        """
        if file.byte_size > self.most_bytes:
            raise Refused(too_big(self.most_bytes))
        if file.byte_size == 0:
            raise Refused(INVALID)
        key, now = new_key(), self._clock()
        blob = NewBlob(filename, content_type, file.byte_size, file.checksum)
        try:
            blob_id = await self._database.write(
                create_blob, user_id, blob, key, self.storage.name, now
            )
        except TooManyBlobs as too_many:
            raise too_many_requests(too_many, now) from None
        try:
            await self.storage.put(key, file.path)
            await self._database.write(mark_uploaded, blob_id, self._clock())
        except BaseException:
            await self._give_up(blob_id)
            raise
        return blob_id

    async def _give_up(self, blob_id: int) -> None:
        """The next purge removes it; where storage did not answer, bytes may still come."""
        with contextlib.suppress(Busy, Unavailable):
            await self._database.write(condemn_blobs, [blob_id], self._clock())

    async def receive(self, blob: Blob, parts: AsyncIterator[bytes]) -> None:
        """Store the bytes that arrive for `blob`, or, if it has them, see that they are the same.

        Raises `Unprocessable` when they are others than was said, and `NotFound` when it is gone.
        """
        try:
            async with self.storage.spool.receive(parts, blob.byte_size) as file:
                _require_as_said(file, blob)
                if blob.uploaded_at is None:
                    await self.storage.put(blob.key, file.path)
        except TooLong:
            raise Unprocessable({"byte_size": [INVALID]}) from None
        if not await self._database.write(mark_uploaded, blob.id, self._clock()):
            await self.storage.delete(blob.key)
            raise NotFound

    async def discard(self, blob: Blob) -> None:
        """Remove the blob and its bytes, unless something holds it; the purge removes bytes that
        the storage does not now.
        """
        await self._database.write(condemn_blobs, [blob.id], self._clock())
        found = await self._database.read(find_blob, blob.id)
        if found is not None and found.purged_at is not None:
            with contextlib.suppress(StorageAway):
                await self.storage.delete(found.key)
                await self._database.write(forget_bytes, blob.id)

    async def discard_unheld(self, blob_id: int) -> None:
        """Remove the blob of that id and its bytes, unless something holds it or it is gone."""
        blob = await self._database.read(find_blob, blob_id)
        if blob is not None and blob.unattached_since is not None:
            await self.discard(blob)


def too_many_requests(too_many: TooManyBlobs, now: datetime) -> TooManyRequests:
    """Until the first of them is purged."""
    wait = max(too_many.until - now, timedelta(0)) + PURGED_WITHIN
    return TooManyRequests(int(wait.total_seconds()))


def _require_as_said(file: SpooledFile, blob: Blob) -> None:
    if file.byte_size != blob.byte_size:
        raise Unprocessable({"byte_size": [INVALID]})
    if file.checksum != blob.checksum:
        raise Unprocessable({"checksum": [INVALID]})
