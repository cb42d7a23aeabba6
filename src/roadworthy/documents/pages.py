"""Pages of files as pictures, for who looks at one without opening it."""

import time
from collections import OrderedDict

import structlog

from roadworthy.documents.access import Viewer
from roadworthy.documents.rooms import RETRY_SECONDS, OneByOne
from roadworthy.inspection import FileRefused, Inspector, InspectorBusy
from roadworthy.storage import NotStored, Storage
from roadworthy.wire import NotFound, ServiceUnavailable

log = structlog.get_logger()

PAGE_TYPE = "image/jpeg"
MOST_REFUSED = 1000
REFUSED_SECONDS = 600
"""Pages that could not be rendered, and for how long that is remembered: to find out may take all
the time that one may cost.
"""


class Pages:
    """Renders them anew each time: nothing of a file is kept twice."""

    def __init__(self, storage: Storage, inspector: Inspector):
        self._storage = storage
        self._inspector = inspector
        self._turns = OneByOne[Viewer]()
        self._refused = OrderedDict[tuple[str, int], float]()

    async def page(self, viewer: Viewer, key: str, number: int, place: str) -> bytes:
        """The page of that number, from 1, as a JPEG; those of one viewer take turns, and then
        those who ask from one `place`.

        Raises `NotFound` where there is none, or none that can be rendered, and
        `ServiceUnavailable`.
        """
        async with self._turns.one(viewer):
            if self._refused.get((key, number), 0) > time.monotonic():
                raise NotFound
            try:
                return await self._page(key, number, place)
            except FileRefused:
                self._remember(key, number)
                raise NotFound from None
            except InspectorBusy:
                raise ServiceUnavailable(RETRY_SECONDS) from None
            except NotStored:
                log.error("storage", reason="a file is missing")  # noqa: TRY400 -- no traceback
                raise NotFound from None

    def _remember(self, key: str, number: int) -> None:
        self._refused[key, number] = time.monotonic() + REFUSED_SECONDS
        if len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)

    async def _page(self, key: str, number: int, place: str) -> bytes:
        async with self._storage.fetched(key) as path, self._storage.spool.empty() as rendered:
            await self._inspector.page(path, rendered, number, place)
            return await self._storage.spool.off_loop(rendered.read_bytes)
