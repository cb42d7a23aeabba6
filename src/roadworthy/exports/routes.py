"""`POST /api/v1/users/export`: the driver asks for everything that is held about them."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from roadworthy.accounts import TOO_OFTEN, Done, Guard, SignedIn, Throttle
from roadworthy.database import Connection, Database
from roadworthy.exports.queries import ask_for_export, find_waiting
from roadworthy.wire import Idempotency, Keep, Operation, Request, Response, Route, json_response

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
        self._idempotency = Idempotency(database, clock)

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", PATH, self.ask, _ASK)

    async def ask(self, request: Request) -> Response:
        """Have it made and mailed; who waits for one already goes on waiting."""
        driver = await self._guard.admit(request)
        return await self._idempotency.once(
            request, driver.id, lambda keep: self._ask(request, driver, keep)
        )

    async def _ask(self, request: Request, driver: SignedIn, keep: Keep | None) -> Response:
        answer = json_response(200, Done())
        waits = await self._database.read(find_waiting, driver.id, self._clock()) is not None
        if waits and keep is None:
            return answer

        def ask(connection: Connection) -> None:
            may = partial(
                self._throttle.take_for_mail, connection, "export", driver.email, request.client
            )
            ask_for_export(connection, driver.id, may, self._clock())
            if keep:
                keep(connection, answer.status, answer.body)

        await self._database.write(ask)
        return answer


_ASK = Operation(
    "Mail a link to download everything that is held about the driver",
    tag="Users",
    answers={200: "A mail is on its way, within minutes as a rule", 429: TOO_OFTEN},
    schema=Done,
    signed_in=True,
    keeps_answers=True,
)
