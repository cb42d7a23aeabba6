"""`/api/v1/users` and its sessions: what the signed-in driver sees and changes of the account."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from roadworthy.accounts.account import judge_change, judge_secret, refuse
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.letters import ADDRESS_CHANGED, CONFIRMATION, PASSWORD_CHANGED
from roadworthy.accounts.link_queries import drop_links
from roadworthy.accounts.links import Purpose
from roadworthy.accounts.passwords import Line, Passwords
from roadworthy.accounts.queries import (
    User,
    change_user,
    close_account,
    find_account,
)
from roadworthy.accounts.requests import origin_of, to_the_millisecond, user_parameters
from roadworthy.accounts.schemas import (
    ACCOUNT_EXAMPLE,
    CURRENT_PASSWORD,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD_AGAIN,
    PHONE_NUMBER,
    SESSIONS_EXAMPLE,
    Account,
    Sessions,
    shown,
    shown_session,
)
from roadworthy.accounts.session_queries import (
    Session,
    SignedIn,
    end_session,
    end_sessions,
    find_sessions,
    keep_session,
)
from roadworthy.accounts.throttle import TOO_OFTEN, Throttle
from roadworthy.accounts.throttle_queries import give_tries_back
from roadworthy.accounts.tokens import LIFETIME, Bearer, TokenRefused, Tokens, bearer
from roadworthy.database import Connection, Database, IntegrityError
from roadworthy.mail import enqueue_letter
from roadworthy.wire import (
    NotFound,
    Operation,
    Request,
    Response,
    Route,
    ServiceUnavailable,
    json_response,
)
from roadworthy.wire.values import INVALID, TAKEN, Refused, text_value

PATH = "/api/v1/users"
SESSIONS = f"{PATH}/sessions"

MOST_LISTED = 200
MOST_LOOKS = 10
"""At an account whose digest others replace while a change is made."""
RETRY_SECONDS = 1

Noted = Callable[[Connection, int], None]
"""Called in the transaction that changes what others show of the account with that id."""


class OwnAccountRoutes:
    """Show, change and close the account, list and end its sessions; `clock` gives the time."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        noted: Noted,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._noted = noted
        self._clock = clock
        self._guard = Guard(database, tokens, clock)

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", PATH, self.show, _SHOW)
        yield Route("PATCH", PATH, self.change, _CHANGE)
        yield Route("PUT", PATH, self.change, _CHANGE)
        yield Route("DELETE", PATH, self.close, _CLOSE)
        yield Route("GET", SESSIONS, self.list_sessions, _LIST_SESSIONS)
        yield Route("DELETE", f"{SESSIONS}/{{id}}", self.end_session, _END_SESSION)

    async def show(self, request: Request) -> Response:
        """The account."""
        user, _ = await self._owner(request)
        return json_response(200, shown(user))

    async def change(self, request: Request) -> Response:
        """Change what is given, for who knows the password."""
        user, token = await self._owner(request)
        given = await user_parameters(request) or {}
        with self._passwords.in_line(request.client) as line:
            wish = _Wish(given, request.client, line)
            changes = await self._digested(await self._judge(wish, user), line)
            for _ in range(MOST_LOOKS):
                if not changes or await self._make(changes, user, token, request):
                    return Response(204)
                user, token = await self._owner(request)
                refuse(await self._judge_current_password(wish, user))
        raise ServiceUnavailable(RETRY_SECONDS)

    async def _judge(self, wish: "_Wish", user: User) -> dict[str, Any]:
        """What shall be new. Raises the 422 that says what is wrong, and 429."""
        changes, errors = judge_change(wish.given)
        changes = {name: value for name, value in changes.items() if value != _present(user, name)}
        errors |= await self._judge_current_password(wish, user)
        # Who does not know the password learns of no address, and who does of a few.
        may_ask = "email" in changes and not errors.keys() & {"email", "current_password"}
        if may_ask and await self._throttle.is_taken(changes["email"], wish.client):
            errors["email"] = [TAKEN]
        refuse(errors)
        if "email" in changes:
            await self._throttle.mail(CONFIRMATION, changes["email"], wish.client)
        return changes

    async def _judge_current_password(self, wish: "_Wish", user: User) -> dict[str, list[str]]:
        password, wrong = judge_secret(wish.given, "current_password")
        if not wrong and not await self._is_known(password, wish, user):
            wrong = INVALID
        return {"current_password": [wrong]} if wrong else {}

    async def _is_known(self, password: str, wish: "_Wish", user: User) -> bool:
        """Whether it is the account's; who holds a token may not guess more often than others."""
        attempt = await self._throttle.sign_in(user.email, wish.client)
        if not await wish.line.verify(password, user.password_digest):
            return False
        await self._database.write(give_tries_back, attempt.counters, self._clock())
        return True

    async def _digested(self, changes: dict[str, Any], line: Line) -> dict[str, Any]:
        """The same, as it is kept."""
        password = changes.pop("password", None)
        if password is None:
            return changes
        return {**changes, "password_digest": await line.digest(password)}

    async def _make(
        self, changes: Mapping[str, Any], user: User, token: Bearer, request: Request
    ) -> bool:
        """Whether it was done: not when the digest that was verified has been replaced since."""
        now = to_the_millisecond(self._clock())
        expires_at = token.expires_at or now + LIFETIME
        kept = Session(token.jti, now, expires_at, *origin_of(request))
        try:
            return await self._database.write(self._change, user, changes, kept, now)
        except IntegrityError:
            refuse({"email": [TAKEN]})
            raise

    def _change(
        self,
        connection: Connection,
        user: User,
        values: Mapping[str, Any],
        kept: Session,
        now: datetime,
    ) -> bool:
        _require_admitted(connection, user.id, kept.jti)
        if not change_user(connection, user, values, now):
            return False
        if "password_digest" in values:
            end_sessions(connection, user.id, but=kept.jti)
            keep_session(connection, user.id, kept)
            drop_links(connection, user.id, Purpose.RESET)
            enqueue_letter(connection, PASSWORD_CHANGED, {"email": user.email}, now)
        if "email" in values:
            drop_links(connection, user.id)
            enqueue_letter(connection, ADDRESS_CHANGED, {"email": user.email}, now)
            enqueue_letter(connection, CONFIRMATION, {"email": values["email"]}, now)
        if values.keys() & {"email", "phone_number"}:
            self._noted(connection, user.id)
        return True

    async def close(self, request: Request) -> Response:
        """Close the account: nobody signs in to it any more, and its address is free."""
        driver = await self._guard.admit(request)
        now = to_the_millisecond(self._clock())
        await self._database.write(_close, driver, now)
        return Response(204)

    async def list_sessions(self, request: Request) -> Response:
        """Where the driver is signed in."""
        driver = await self._guard.admit(request)
        found = await self._database.read(
            find_sessions, driver.id, driver.jti, self._clock(), MOST_LISTED
        )
        return json_response(200, Sessions([shown_session(each, driver.jti) for each in found]))

    async def end_session(self, request: Request) -> Response:
        """Revoke the token of one session."""
        driver = await self._guard.admit(request)
        jti = _session_id(request)
        if not await self._database.write(_end_session, driver, jti):
            raise NotFound
        return Response(204)

    async def _owner(self, request: Request) -> tuple[User, Bearer]:
        """Whose account it is, and the token that says so. Raises `TokenRefused`."""
        token = bearer(request, self._tokens, self._clock())
        found = await self._database.read(find_account, token.user_id, token.jti)
        if found is None:
            raise TokenRefused("nil user")
        user, revoked = found
        if revoked:
            raise TokenRefused("revoked token")
        return user, token


class _Wish(NamedTuple):
    """What somebody wants changed, and from where."""

    given: Mapping[str, Any]
    client: str
    line: Line


def _close(connection: Connection, driver: SignedIn, now: datetime) -> None:
    _require_admitted(connection, driver.id, driver.jti)
    close_account(connection, driver.id, now)


def _end_session(connection: Connection, driver: SignedIn, jti: str) -> bool:
    _require_admitted(connection, driver.id, driver.jti)
    return end_session(connection, driver.id, jti)


def _require_admitted(connection: Connection, user_id: int, jti: str) -> None:
    """Raise `TokenRefused` when the token was revoked after the request began."""
    found = find_account(connection, user_id, jti)
    if found is None or found[1]:
        raise TokenRefused("revoked token")


def _present(user: User, name: str) -> object:
    """What a field has now; nobody knows of the password."""
    return {"email": user.email, "phone_number": user.phone_number}.get(name)


def _session_id(request: Request) -> str:
    try:
        return text_value(request.captured["id"]) or ""
    except Refused:
        raise NotFound from None


_SHOW = Operation(
    "Show the account",
    tag="Users",
    answers={200: "The account"},
    schema=Account,
    answer=ACCOUNT_EXAMPLE,
    signed_in=True,
    conditional=True,
)
_CHANGE = Operation(
    "Change the given fields of the account; a new password revokes every other token",
    tag="Users",
    answers={204: "Changed", 422: "Values refused", 429: TOO_OFTEN},
    key="user",
    parameters=(
        EMAIL.not_required(),
        NEW_PASSWORD,
        PASSWORD_AGAIN,
        PHONE_NUMBER,
        CURRENT_PASSWORD,
    ),
    example={"phone_number": "07856 207372", "current_password": "correct horse battery"},
    signed_in=True,
)
_CLOSE = Operation(
    "Close the account",
    tag="Users",
    answers={204: "Closed: no token opens it, and its address is free"},
    signed_in=True,
)
_LIST_SESSIONS = Operation(
    f"List where the driver is signed in, the newest {MOST_LISTED}",
    tag="Users > Sessions",
    answers={200: "The sessions"},
    schema=Sessions,
    answer=SESSIONS_EXAMPLE,
    signed_in=True,
    conditional=True,
)
_END_SESSION = Operation(
    "Sign out elsewhere: revoke the token of a session",
    tag="Users > Sessions",
    answers={204: "Revoked", 404: "The driver has no such session"},
    in_path={"id": "Of the session"},
    signed_in=True,
)
