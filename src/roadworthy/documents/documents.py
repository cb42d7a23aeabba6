"""What other features ask of this one: check files for their places, and link to those there."""

from collections.abc import Callable, Mapping
from datetime import datetime

from roadworthy.documents.access import Viewer
from roadworthy.documents.checking import Checking
from roadworthy.documents.links import Links, Outlook, window_at
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.wanted import Wanted
from roadworthy.wire import Request


class Documents:
    """The files of profiles; `public_url` is where people reach us, empty: as they did just now."""

    def __init__(
        self,
        checking: Checking,
        signatures: Signatures,
        public_url: str,
        clock: Callable[[], datetime],
    ):
        self._checking = checking
        self._signatures = signatures
        self._public_url = public_url
        self._clock = clock

    async def check(
        self, user_id: int, profile_id: int | None, wanted: Wanted
    ) -> tuple[dict[str, list[int]], Mapping[str, list[str]]]:
        """See `Checking.check`."""
        return await self._checking.check(user_id, profile_id, wanted)

    def outlook(self, request: Request) -> Outlook:
        """What links in the answer to `request` depend on."""
        return Outlook(self._public_url or request.base_url, window_at(self._clock()))

    def links(self, driver_id: int, outlook: Outlook) -> Links:
        """Links for a driver."""
        return Links(self._signatures, Viewer("driver", driver_id), outlook)
