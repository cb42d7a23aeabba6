"""Pages of files as pictures, for who looks at one without opening it."""

import asyncio
from weakref import WeakValueDictionary

import structlog

from roadworthy.documents.access import Viewer
from roadworthy.inspection import FileRefused, Inspector, InspectorBusy
from roadworthy.storage import NotStored, Storage
from roadworthy.wire import NotFound, ServiceUnavailable

log = structlog.get_logger()

PAGE_TYPE = "image/jpeg"
RETRY_SECONDS = 10


class Pages:
    """Renders them anew each time: nothing of a file is kept twice."""

    def __init__(self, storage: Storage, inspector: Inspector):
        self._storage = storage
        self._inspector = inspector
        self._turns: WeakValueDictionary[Viewer, asyncio.Lock] = WeakValueDictionary()

    async def page(self, viewer: Viewer, key: str, number: int) -> bytes:
        """The page of that number, from 1, as a JPEG; those of one viewer take turns.

        Raises `NotFound` where there is none, and `ServiceUnavailable`.
        """
        turn = self._turns.setdefault(viewer, asyncio.Lock())
        async with turn:
            try:
                return await self._page(key, number)
            except FileRefused:
                raise NotFound from None
            except InspectorBusy:
                raise ServiceUnavailable(RETRY_SECONDS) from None
            except NotStored:
                log.error("storage", reason="a file is missing")  # noqa: TRY400 -- no traceback
                raise NotFound from None

    async def _page(self, key: str, number: int) -> bytes:
        async with self._storage.fetched(key) as path, self._storage.spool.empty() as rendered:
            await self._inspector.page(path, rendered, number)
            return await self._storage.spool.off_loop(rendered.read_bytes)
