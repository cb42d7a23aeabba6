"""The pages that links in mails lead to. They do nothing until somebody presses their button:
what reads mail before people do follows links too.
"""

from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus

from roadworthy.accounts import (
    CONFIRMATION_TOKEN,
    RESET_TOKEN,
    Purpose,
    Recovery,
    user_parameters,
)
from roadworthy.database import Busy, Unavailable
from roadworthy.storage import StorageAway
from roadworthy.web.rendering import private_page
from roadworthy.wire import (
    Parameters,
    Refusal,
    Request,
    Response,
    Route,
    ServiceUnavailable,
    Unprocessable,
    query_parameters,
)

CONFIRMATION_PATH = "/account/confirmation"
PASSWORD_PATH = "/account/password"  # noqa: S105 -- where one is chosen

Show = Callable[[Request], Awaitable[Response]]


class AccountPages:
    """Confirm an address, choose a new password."""

    def __init__(self, recovery: Recovery):
        self._recovery = recovery

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", CONFIRMATION_PATH, for_people(self.ask_to_confirm))
        yield Route("POST", CONFIRMATION_PATH, for_people(self.confirm))
        yield Route("GET", PASSWORD_PATH, for_people(self.ask_for_password))
        yield Route("POST", PASSWORD_PATH, for_people(self.reset_password))

    async def ask_to_confirm(self, request: Request) -> Response:
        """The button."""
        token = _text(query_parameters(request), CONFIRMATION_TOKEN)
        addressee = await self._recovery.addressee(Purpose.CONFIRMATION, token)
        if addressee is None:
            return dead_link()
        return private_page(200, "confirmation.html", email=addressee.email, token=token)

    async def confirm(self, request: Request) -> Response:
        """What it does."""
        try:
            await self._recovery.confirm(await user_parameters(request) or {})
        except Unprocessable:
            return dead_link()
        return private_page(200, "confirmed.html")

    async def ask_for_password(self, request: Request) -> Response:
        """The form."""
        return await self._form(_text(query_parameters(request), RESET_TOKEN))

    async def reset_password(self, request: Request) -> Response:
        """What it does; what is wrong stands beside its field."""
        given = await user_parameters(request) or {}
        try:
            # An empty field is there to be filled: only the API may leave it out.
            await self._recovery.reset_password(
                {"password_confirmation": "", **given}, request.client
            )
        except Unprocessable as refusal:
            return await self._form(_text(given, RESET_TOKEN), refusal.errors)
        return private_page(200, "password_changed.html")

    async def _form(self, token: str, errors: dict[str, list[str]] | None = None) -> Response:
        addressee = await self._recovery.addressee(Purpose.RESET, token)
        if addressee is None:
            return dead_link()
        return private_page(
            422 if errors else 200,
            "password.html",
            email=addressee.email,
            token=token,
            errors=errors or {},
        )


def _text(given: Parameters, name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def dead_link() -> Response:
    """For a link that leads nowhere, or no more."""
    return private_page(404, "dead_link.html")


def for_people(show: Show) -> Show:
    """Answers with a page even where the request is refused."""

    async def answer(request: Request) -> Response:
        try:
            return await show(request)
        except Refusal as refused:
            refusal = refused
        except (Busy, Unavailable, StorageAway):
            refusal = ServiceUnavailable()
        response = private_page(
            refusal.status,
            "trouble.html",
            busy=refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            too_often=refusal.status == HTTPStatus.TOO_MANY_REQUESTS,
        )
        response.headers = {**refusal.headers, **(response.headers or {})}
        return response

    return answer
