"""Hands the download to who has the link and can sign in to the account that it was mailed to."""

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from datetime import datetime

from roadworthy.accounts import (
    WRONG,
    Attempt,
    Line,
    Passwords,
    Purpose,
    Throttle,
    digest_of,
    find_addressee,
    give_tries_back,
    stored_address,
)
from roadworthy.database import Database
from roadworthy.documents import Files, Viewer, begun, record_view
from roadworthy.exports.queries import Export, find_export
from roadworthy.wire import Unauthorized


class Handover:
    """Each time is recorded; `clock` gives the time, in UTC."""

    def __init__(
        self,
        database: Database,
        files: Files,
        passwords: Passwords,
        throttle: Throttle,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._files = files
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def find(self, token: str) -> tuple[int, Export] | None:
        """Whose link carries `token`, and what it leads to, while both are good."""
        now = self._clock()
        digest = digest_of(token)
        addressee = await self._database.read(find_addressee, Purpose.EXPORT, digest, now)
        if addressee is None:
            return None
        export = await self._database.read(find_export, addressee.id, now)
        return (addressee.id, export) if export else None

    async def signs_in(self, user_id: int, email: str, password: str, client: str) -> bool:
        """Whether these are the account's. Raises a 429 or 503 `Refusal`."""
        with self._passwords.in_line(client) as line:
            try:
                await self._throttle.trying(
                    await self._throttle.may_sign_in(stored_address(email), client),
                    lambda attempt: self._try(attempt, user_id, password, line),
                )
            except Unauthorized:
                return False
        return True

    async def _try(self, attempt: Attempt, user_id: int, password: str, line: Line) -> None:
        """Raises the 401 when they are not, and 429."""
        await self._throttle.count(attempt, lambda _: None)
        user = attempt.user
        is_right = await line.verify(password, user.password_digest if user else None)
        if not is_right or user is None or user.id != user_id:
            raise Unauthorized(WRONG)
        await self._database.write(give_tries_back, attempt.counters, self._clock())

    async def hand_out(
        self, user_id: int, export: Export
    ) -> tuple[AsyncGenerator[bytes, None], Callable[[], None]]:
        """The bytes, and what to call when they are sent; that the driver got them is on disk.

        Raises a 404 or 503 `Refusal`.
        """
        viewer, now = Viewer("driver", user_id), self._clock()
        with ExitStack() as leaving:
            piece_bytes = leaving.enter_context(self._files.leaving.one(viewer))
            await self._database.write_one(
                record_view, user_id, export.blob_id, viewer, "attachment", now
            )
            parts = self._files.storage.read(export.key, 0, export.byte_size, piece_bytes)
            return await begun(parts), leaving.pop_all().close
