"""What other features ask of this one: take files in, check them for their places, link to them."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from roadworthy.documents.access import Viewer
from roadworthy.documents.checking import Asker, Checking
from roadworthy.documents.files import Files
from roadworthy.documents.handing_in import HandingIn
from roadworthy.documents.links import Links, Outlook, window_at
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.wanted import Wanted
from roadworthy.wire import FormLimits, Request, Response, is_form, network_of, received_form
from roadworthy.wire.messages import MOST_BODY_BYTES

MOST_FORM_FILES = 40
FORM_FILES = 5
"""The longest files that one form may come to."""


class Documents:
    """The files of profiles; `public_url` is where people reach us, empty: as they did just now."""

    def __init__(
        self,
        files: Files,
        checking: Checking,
        signatures: Signatures,
        public_url: str,
        clock: Callable[[], datetime],
    ):
        self._files = files
        self._checking = checking
        self._signatures = signatures
        self._public_url = public_url
        self._clock = clock

    async def with_body(
        self, request: Request, user_id: int, answer: Callable[[], Awaitable[Response]]
    ) -> Response:
        """What `answer` gives once the request has its body, and files that came with it are on
        disk. Raises a 400, 408, 413, 429 or 503 `Refusal`.
        """
        if not is_form(request):
            await request.body()
            return await answer()
        most = self._files.most_bytes
        limits = FormLimits(most, FORM_FILES * most + MOST_BODY_BYTES, MOST_FORM_FILES)
        async with (
            self._files.room_for(user_id),
            received_form(request, self._files.storage.spool, limits),
        ):
            return await answer()

    def checked(
        self, request: Request, user_id: int, profile_id: int | None, wanted: Wanted
    ) -> AbstractAsyncContextManager[tuple[dict[str, list[int]], Mapping[str, list[str]]]]:
        """The blobs for each slot, and what is wrong with those for other slots.

        Put them in their places while it lasts: of files that came with the request, what is in
        no place afterwards is removed. Raises `ServiceUnavailable` and `TooManyRequests`.
        """
        handing_in = HandingIn(self._files, self._checking, self._signatures)
        asker = Asker(user_id, network_of(request.client))
        return handing_in.checked(asker, profile_id, wanted)

    def outlook(self, request: Request) -> Outlook:
        """What links in the answer to `request` depend on."""
        return Outlook(self._public_url or request.base_url, window_at(self._clock()))

    def links(self, driver_id: int, outlook: Outlook) -> Links:
        """Links for a driver."""
        return Links(self._signatures, Viewer("driver", driver_id), outlook)
