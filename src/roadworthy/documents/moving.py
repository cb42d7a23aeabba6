"""Copies all files to another storage while they are served from this one.

Nothing is remembered between two runs: what is at the target and has the size and the checksum that
its row says is right, whoever put it there; what is not is copied. What is missing goes first, so
that a run that follows another has soon copied what came in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from roadworthy.database import Database
from roadworthy.documents.blob import LIFETIME
from roadworthy.documents.purge_queries import has_blobs, known_keys
from roadworthy.documents.queries import Blob, find_blob, find_by_keys, find_stored, note_storage
from roadworthy.storage import NotStored, Storage, TooLong, checksum_of, md5

AT_ONCE = 8
PAGE = 200

Step = Callable[[int], None]
"""Told how many bytes more are done."""


@dataclass
class Moved:
    """What was done; `wrong` has the ids of files that are not at the source as they should be."""

    copied: int = 0
    present: int = 0
    """Were there already, and are right."""
    deleted: int = 0
    wrong: list[int] = field(default_factory=list)


class Moving:
    """From `source` to `target`, each of which stays open; `step` is told of progress."""

    def __init__(self, database: Database, source: Storage, target: Storage, step: Step):
        self._database = database
        self._source = source
        self._target = target
        self._step = step
        self._done: set[int] = set()
        self.moved = Moved()

    async def copy(self) -> None:
        """Have every file at the target, verified. Raises `StorageAway`."""
        await self._each(self._copy_if_missing)
        await self._each(self._verify)
        await self._each(self._copy_if_missing)  # what came meanwhile

    async def delete(self, now: datetime) -> None:
        """Remove from the source what is verified at the target, and what no file has any more.

        Nothing is to be served from it. Raises `StorageAway`.
        """
        wrong = set(self.moved.wrong)
        if not await self._database.report(has_blobs):
            return
        await self._note_target()
        before = now - LIFETIME
        await self._source.sweep(before)
        async for batch in self._source.batches():
            known = await self._database.report(known_keys, [file.key for file in batch])
            copied = await self._copied_keys(known, wrong)
            for file in batch:
                if file.key in copied or (file.key not in known and file.modified_at < before):
                    await self._source.delete(file.key)
                    self.moved.deleted += 1

    async def _each(self, do: Callable[[Blob], Coroutine[Any, Any, None]]) -> None:
        async for blobs in self._pages():
            for start in range(0, len(blobs), AT_ONCE):
                await _together(do(blob) for blob in blobs[start : start + AT_ONCE])

    async def _pages(self) -> AsyncIterator[list[Blob]]:
        """What is not done yet."""
        last = 0
        while page := await self._database.report(find_stored, last, PAGE):
            last = page[-1].id
            yield [blob for blob in page if blob.id not in self._done]

    async def _copy_if_missing(self, blob: Blob) -> None:
        size = await self._target.size(blob.key)
        if size == blob.byte_size:
            return
        if size is not None:
            await self._target.delete(blob.key)
        await self._copy(blob)

    async def _verify(self, blob: Blob) -> None:
        if await self._is_right(blob):
            self.moved.present += 1
            self._is_done(blob)
            return
        await self._target.delete(blob.key)
        await self._copy(blob)

    async def _copy(self, blob: Blob) -> None:
        parts = self._source.read(blob.key, 0, blob.byte_size)
        try:
            async with self._target.spool.receive(parts, blob.byte_size) as file:
                if (file.byte_size, file.checksum) == (blob.byte_size, blob.checksum):
                    await self._target.put(blob.key, file.path)
        except (NotStored, TooLong):
            pass
        if await self._is_right(blob):
            self.moved.copied += 1
        elif await self._still_has_bytes(blob):
            await self._target.delete(blob.key)
            self.moved.wrong.append(blob.id)
        self._is_done(blob)

    async def _is_right(self, blob: Blob) -> bool:
        """By the bytes themselves, as the target gives them."""
        digest, size = md5(), 0
        if await self._target.size(blob.key) != blob.byte_size:
            return False
        try:
            async for part in self._target.read(blob.key, 0, blob.byte_size):
                digest.update(part)
                size += len(part)
        except NotStored:
            return False
        return (size, checksum_of(digest)) == (blob.byte_size, blob.checksum)

    async def _still_has_bytes(self, blob: Blob) -> bool:
        """It may have been purged meanwhile."""
        found = await self._database.report(find_blob, blob.id)
        return found is not None and found.uploaded_at is not None and found.purged_at is None

    def _is_done(self, blob: Blob) -> None:
        self._done.add(blob.id)
        self._step(blob.byte_size)

    async def _copied_keys(self, known: set[str], wrong: set[int]) -> set[str]:
        found = await self._database.report(find_by_keys, known)
        return {blob.key for blob in found if blob.id in self._done and blob.id not in wrong}

    async def _note_target(self) -> None:
        ids = sorted(self._done - set(self.moved.wrong))
        for start in range(0, len(ids), PAGE):
            await self._database.write(note_storage, ids[start : start + PAGE], self._target.name)


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
