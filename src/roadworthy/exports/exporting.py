"""The job that gathers everything into one ZIP file. It is never in memory: the file grows on disk,
file by file, and goes to storage when it is whole.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from roadworthy.database import Database
from roadworthy.documents import NewBlob, create_blob_of_ours
from roadworthy.exports.archive import Names, add_content, add_file, index_of, json_of
from roadworthy.exports.held import HeldFile, find_held, find_held_files
from roadworthy.exports.queries import KIND, find_unmade, finish_export
from roadworthy.storage import NotStored, Storage, new_key

log = structlog.get_logger()

FILENAME = "roadworthy.zip"
ZIP = "application/zip"

__all__ = ["FILENAME", "KIND", "ZIP", "Exporting"]


class Exporting:
    """Does the same again when it is run again; `clock` gives the time, in UTC."""

    def __init__(self, database: Database, storage: Storage, clock: Callable[[], datetime]):
        self._database = database
        self._storage = storage
        self._clock = clock

    async def make(self, payload: Mapping[str, Any]) -> None:
        """Gather, store, and have a letter sent."""
        export_id = payload["export_id"]
        user_id = await self._database.read(find_unmade, export_id)
        if user_id is None:
            return
        async with self._storage.spool.empty() as path:
            await self._gather(user_id, path)
            blob_id = await self._store(user_id, path)
        # One that is not finished is attached nowhere, and goes in a day.
        await self._database.write(finish_export, export_id, user_id, blob_id, self._clock())

    async def _gather(self, user_id: int, path: Path) -> None:
        held: dict[str, Any] = await self._database.report(find_held, user_id)
        names = Names()
        inside: dict[int, str] = {}
        for file in await self._database.report(find_held_files, user_id):
            if await self._add(file, path, name := names.of(file.slot, file.filename)):
                inside[file.id] = name
        for row in held["files"]:
            row["in_this_archive"] = inside.get(row["id"])
        now = self._clock()
        await self._storage.spool.off_loop(_describe, path, held, now)

    async def _add(self, file: HeldFile, path: Path, name: str) -> bool:
        """Whether its bytes were still there."""
        try:
            async with self._storage.fetched(file.key) as source:
                await self._storage.spool.off_loop(partial(_add_if_there, path, name, source))
        except NotStored:
            log.warning("export", reason="a file is missing", file=file.id)
            return False
        return True

    async def _store(self, user_id: int, path: Path) -> int:
        """The row comes before the bytes, so that none are there without one."""
        file = await self._storage.spool.measure(path)
        key = new_key()
        blob = NewBlob(FILENAME, ZIP, file.byte_size, file.checksum)
        blob_id = await self._database.write(
            create_blob_of_ours, user_id, blob, key, self._storage.name, self._clock()
        )
        await self._storage.put(key, path)
        return blob_id


def _describe(path: Path, held: Mapping[str, Any], now: datetime) -> None:
    """Years of what somebody was shown take seconds to write down."""
    add_content(path, "data.json", json_of(held, now))
    add_content(path, "index.html", index_of(held, now))


def _add_if_there(path: Path, name: str, source: Path) -> None:
    try:
        add_file(path, name, source)
    except FileNotFoundError:  # it was purged while we came to it
        raise NotStored from None
