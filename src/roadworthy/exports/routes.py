"""`POST /api/v1/users/export`: the driver asks for everything that is held about them."""

from collections.abc import Callable, Iterator
from datetime import datetime

from roadworthy.accounts import TOO_OFTEN, Done, Guard, Throttle
from roadworthy.database import Database
from roadworthy.exports.queries import ask_for_export, find_waiting
from roadworthy.wire import Operation, Request, Response, Route, json_response

PATH = "/api/v1/users/export"


class ExportRoutes:
    """One at a time for each account; `clock` gives the current time, in UTC."""

    def __init__(
        self,
        database: Database,
        guard: Guard,
        throttle: Throttle,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._guard = guard
        self._throttle = throttle
        self._clock = clock

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", PATH, self.ask, _ASK)

    async def ask(self, request: Request) -> Response:
        """Have it made and mailed; who waits for one already goes on waiting."""
        driver = await self._guard.admit(request)
        if await self._database.read(find_waiting, driver.id, self._clock()) is None:
            await self._throttle.mail("export", driver.email, request.client)
            await self._database.write(ask_for_export, driver.id, self._clock())
        return json_response(200, Done())


_ASK = Operation(
    "Mail a link to download everything that is held about the driver",
    tag="Users",
    answers={200: "A mail is on its way, within minutes as a rule", 429: TOO_OFTEN},
    schema=Done,
    signed_in=True,
)
