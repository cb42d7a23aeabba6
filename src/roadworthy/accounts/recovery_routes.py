"""`/api/v1/users/password` and `/api/v1/users/confirmation`: by mail, for who is not signed in."""

from collections.abc import Callable, Iterator
from datetime import datetime

from roadworthy.accounts.account import judge_address
from roadworthy.accounts.letters import CONFIRMATION, RESET
from roadworthy.accounts.recovery import CONFIRMATION_TOKEN, Recovery
from roadworthy.accounts.requests import user_parameters
from roadworthy.accounts.schemas import EMAIL, PASSWORD, PASSWORD_AGAIN, RESET_TOKEN, Done
from roadworthy.accounts.throttle import TOO_OFTEN, Throttle
from roadworthy.database import Database
from roadworthy.mail import enqueue_letter
from roadworthy.wire import Operation, Request, Response, Route, json_response, query_parameters

PASSWORD_PATH = "/api/v1/users/password"  # noqa: S105 -- where it is asked for
CONFIRMATION_PATH = "/api/v1/users/confirmation"


class RecoveryRoutes:
    """Ask for a link and use one; `clock` gives the current time, in UTC."""

    def __init__(
        self,
        database: Database,
        recovery: Recovery,
        throttle: Throttle,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._recovery = recovery
        self._throttle = throttle
        self._clock = clock

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", PASSWORD_PATH, self.ask_for_reset, _ASK_FOR_RESET)
        yield Route("PATCH", PASSWORD_PATH, self.reset, _RESET)
        yield Route("PUT", PASSWORD_PATH, self.reset, _RESET)
        yield Route("POST", CONFIRMATION_PATH, self.ask_for_confirmation, _ASK_FOR_CONFIRMATION)
        yield Route("GET", CONFIRMATION_PATH, self.confirm, _CONFIRM)

    async def ask_for_reset(self, request: Request) -> Response:
        """Mail a link to choose a new password with, if anybody has the address."""
        return await self._ask_for(RESET, request)

    async def ask_for_confirmation(self, request: Request) -> Response:
        """Mail a link to confirm the address with, if anybody has it and has not yet."""
        return await self._ask_for(CONFIRMATION, request)

    async def _ask_for(self, letter: str, request: Request) -> Response:
        """Whether anybody has the address is looked up when this has been answered: nobody learns
        it from the answer, or from the time it took.
        """
        email = judge_address(await user_parameters(request) or {})

        async def send(only_from: bytes | None) -> None:
            about = {"email": email, **({"only_from": only_from.hex()} if only_from else {})}
            await self._database.write_one(enqueue_letter, letter, about, self._clock())

        await self._throttle.mailing(letter, email, request.client, send)
        return json_response(200, Done())

    async def reset(self, request: Request) -> Response:
        """Choose a new password."""
        given = await user_parameters(request) or {}
        await self._recovery.reset_password(given, request.client)
        return Response(204)

    async def confirm(self, request: Request) -> Response:
        """Confirm the address; who asks for the headers only has not done so."""
        given = query_parameters(request)
        if request.method == "HEAD":
            await self._recovery.require_confirmation_link(given)
        else:
            await self._recovery.confirm(given)
        return json_response(200, Done())


_ASK_FOR_RESET = Operation(
    "Forgot the password: mail a link",
    tag="Users > Password",
    answers={
        200: "If anybody has the address, a mail is on its way",
        422: "It is no address",
        429: TOO_OFTEN,
    },
    schema=Done,
    key="user",
    parameters=(EMAIL,),
    example={"email": ".+driver@example.com"},
)
_RESET = Operation(
    "Choose a new password with a mailed link; it revokes every token",
    tag="Users > Password",
    answers={204: "Changed", 422: "Values refused"},
    key="user",
    parameters=(RESET_TOKEN, PASSWORD, PASSWORD_AGAIN),
    example={
        "reset_password_token": "J7Vq4T1mJ3s8nYw0x3qkq7m3E9cVqQ0cZ4b1uS5f2aA",
        "password": "another correct horse",
        "password_confirmation": "another correct horse",
    },
)
_ASK_FOR_CONFIRMATION = Operation(
    "Mail the link that confirms the address again",
    tag="Users > Confirmation",
    answers={
        200: "If it is not confirmed, a mail is on its way",
        422: "It is no address",
        429: TOO_OFTEN,
    },
    schema=Done,
    key="user",
    parameters=(EMAIL,),
    example={"email": ".+driver@example.com"},
)
_CONFIRM = Operation(
    "Confirm the address with a mailed link",
    tag="Users > Confirmation",
    answers={200: "Confirmed", 422: "The link is not good, or no more"},
    schema=Done,
    in_query={CONFIRMATION_TOKEN: "What the mailed link carries"},
)
