"""Removes what nobody holds: blobs that were not attached in time, and bytes without a blob."""

from collections.abc import Callable
from datetime import datetime

from roadworthy.database import Database
from roadworthy.documents.blob import LIFETIME
from roadworthy.documents.queries import (
    condemn_blobs,
    find_condemned,
    find_unattached,
    forget_bytes,
    has_blobs,
    known_keys,
)
from roadworthy.storage import Storage

AT_ONCE = 100


class Purging:
    """Does the same again when it is run again; `clock` gives the time, in UTC."""

    def __init__(self, database: Database, storage: Storage, clock: Callable[[], datetime]):
        self._database = database
        self._storage = storage
        self._clock = clock

    async def purge(self) -> None:
        """Blobs that waited a day to be attached, and files that never arrived whole."""
        until = self._clock() - LIFETIME
        while old := await self._database.report(find_unattached, until, AT_ONCE):
            await self._database.write(condemn_blobs, old, self._clock())
        while condemned := await self._database.report(find_condemned, AT_ONCE):
            for blob_id, key in condemned:
                if key is not None:
                    await self._storage.delete(key)
                await self._database.write(forget_bytes, blob_id)
        await self._storage.spool.sweep(LIFETIME.total_seconds())

    async def sweep(self) -> None:
        """Files in storage that no blob names, a day old or older.

        Not with a database that has no blob at all: that is more likely the wrong one.
        """
        if not await self._database.report(has_blobs):
            return
        before = self._clock() - LIFETIME
        async for batch in self._storage.batches():
            old = [file.key for file in batch if file.modified_at < before]
            known = await self._database.report(known_keys, old)
            for key in old:
                if key not in known:
                    await self._storage.delete(key)
