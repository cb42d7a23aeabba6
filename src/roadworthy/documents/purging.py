"""Removes what nobody holds: blobs that were not attached in time, and bytes without a blob."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from roadworthy.database import Database
from roadworthy.documents.blob import DBS_IMAGE_LIFETIME, LIFETIME
from roadworthy.documents.purge_queries import (
    condemn_blobs,
    condemn_outlived,
    find_condemned,
    find_going,
    find_outlived,
    find_unattached,
    forget_bytes,
    has_blobs,
    known_keys,
)
from roadworthy.storage import Storage, StorageAway, Stored

AT_ONCE = 100


class Going(NamedTuple):
    """What a purge would remove, and why."""

    what: str
    reason: str


class Failures:
    """Counts what storage failed to remove: it stops nothing else, and goes another time."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """What ends with `StorageAway` is one more."""
        try:
            yield
        except StorageAway:
            self.count += 1


class Purging:
    """Does the same again when it is run again; `clock` gives the time, in UTC."""

    def __init__(self, database: Database, storage: Storage, clock: Callable[[], datetime]):
        self._database = database
        self._storage = storage
        self._clock = clock

    async def purge(self, by: datetime, failures: Failures) -> None:
        """Blobs that had waited a day to be attached, images of DBS certificates whose time was
        over, and files that had not arrived whole in a day, `by` then."""
        until = by - LIFETIME
        while old := await self._database.report(find_unattached, until, AT_ONCE):
            await self._database.write(condemn_blobs, old, self._clock())
        until = by - DBS_IMAGE_LIFETIME
        while old := await self._database.report(find_outlived, until, AT_ONCE):
            await self._database.write(condemn_outlived, old, until, self._clock())
        after = 0
        while condemned := await self._database.report(find_condemned, after, AT_ONCE):
            for blob_id, key in condemned:
                with failures.counted():
                    await self._remove(blob_id, key)
            after = condemned[-1][0]
        with failures.counted():
            await self._storage.sweep(by - LIFETIME)

    async def _remove(self, blob_id: int, key: str | None) -> None:
        if key is not None:
            await self._storage.delete(key)
        await self._database.write(forget_bytes, blob_id)

    async def sweep(self, by: datetime, failures: Failures) -> None:
        """Files in storage that no blob names, a day old or older `by` then.

        Not with a database that has no blob at all: that is more likely the wrong one.
        """
        with failures.counted():
            async for file in self._nameless(by):
                with failures.counted():
                    await self._storage.delete(file.key)

    async def going(self, by: datetime) -> AsyncIterator[Going]:
        """What `purge` and `sweep` would remove."""
        for blob in await self._database.report(find_going, by - LIFETIME):
            if blob.purged_at:
                reason = f"it was removed on {_shown(blob.purged_at)}"
            else:
                reason = f"attached nowhere since {_shown(blob.unattached_since)}"
            whose = f"file {blob.id} of driver {blob.user_id}"
            yield Going(f"{whose}, {blob.byte_size} bytes", reason)
        until = by - DBS_IMAGE_LIFETIME
        for blob_id in await self._database.report(find_outlived, until):
            reason = f"the image of a DBS certificate, withdrawn before {_shown(until)}"
            yield Going(f"file {blob_id}", reason)
        for left in await self._storage.stranded(by - LIFETIME):
            reason = f"it has not arrived whole since {_shown(left.modified_at)}"
            yield Going(f"a part {left.name} of a file", reason)
        async for file in self._nameless(by):
            reason = f"no file has them, stored on {_shown(file.modified_at)}"
            yield Going(f"bytes {file.key}, {file.byte_size} bytes", reason)

    async def _nameless(self, by: datetime) -> AsyncIterator[Stored]:
        if not await self._database.report(has_blobs):
            return
        before = by - LIFETIME
        async for batch in self._storage.batches():
            old = [file for file in batch if file.modified_at < before]
            known = await self._database.report(known_keys, [file.key for file in old])
            for file in old:
                if file.key not in known:
                    yield file


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
