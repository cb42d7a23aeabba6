"""`/api/v1/users`: sign up, in and out."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from roadworthy.accounts.account import NewAccount, judge_sign_up, refuse, stored_address
from roadworthy.accounts.letters import CONFIRMATION
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import User, create_user
from roadworthy.accounts.requests import origin_of, to_the_millisecond, user_parameters
from roadworthy.accounts.schemas import (
    ACCOUNT_EXAMPLE,
    EMAIL,
    PASSWORD,
    PASSWORD_AGAIN,
    PHONE_NUMBER,
    Account,
    shown,
)
from roadworthy.accounts.session_queries import Origin, Session, keep_session, revoke_token
from roadworthy.accounts.signing_in import WRONG, SigningIn
from roadworthy.accounts.throttle import TOO_OFTEN, Throttle
from roadworthy.accounts.throttle_queries import remember_address
from roadworthy.accounts.tokens import (
    NOT_SIGNED_IN,
    TokenExpired,
    Tokens,
)
from roadworthy.database import Connection, Database, IntegrityError
from roadworthy.mail import enqueue_letter
from roadworthy.wire import (
    BadRequest,
    Operation,
    Request,
    Response,
    Route,
    Unauthorized,
    json_response,
)
from roadworthy.wire.values import TAKEN, is_unicode

LONGEST_AUDIENCE = 255


class AccountRoutes:
    """Sign up, in and out; `clock` gives the current time, in UTC."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        signing_in: SigningIn,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._signing_in = signing_in
        self._clock = clock

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", "/api/v1/users", self.sign_up, _SIGN_UP)
        yield Route("POST", "/api/v1/users/sign_in", self.sign_in, _SIGN_IN)
        yield Route("DELETE", "/api/v1/users/sign_out", self.sign_out, _SIGN_OUT)

    async def sign_up(self, request: Request) -> Response:
        """Create an account and sign in to it."""
        audience = _audience(request)
        account, errors = judge_sign_up(await user_parameters(request) or {})
        with self._passwords.in_line(request.client) as line:
            await self._refuse_what_is_wrong(account, errors, request.client)
            digest = await line.digest(account.password)
        now = to_the_millisecond(self._clock())
        try:
            user, token = await self._database.write(
                self._create_signed_in, account, digest, audience, origin_of(request), now
            )
        except IntegrityError:
            refuse({"email": [TAKEN]})
            raise
        return _signed_in(user, token)

    def _create_signed_in(
        self,
        connection: Connection,
        account: NewAccount,
        digest: str,
        audience: str | None,
        origin: Origin,
        now: datetime,
    ) -> tuple[User, str]:
        user_id = create_user(connection, account, digest, now)
        issued = self._tokens.issue(user_id, audience, now)
        session = Session(issued.jti, now, issued.expires_at, *origin)
        keep_session(connection, user_id, session)
        remember_address(connection, user_id, self._throttle.place(origin.address), now)
        enqueue_letter(connection, CONFIRMATION, {"email": account.email}, now)
        return User(user_id, account.email, digest, account.phone_number, now, now), issued.token

    async def sign_in(self, request: Request) -> Response:
        """Give a token for an address and its password."""
        audience = _audience(request)
        given = await user_parameters(request)
        if given is None:
            raise Unauthorized(NOT_SIGNED_IN)
        email, password = _credentials(given)
        user, token = await self._signing_in.sign_in(
            stored_address(email), password, audience, origin_of(request)
        )
        return _signed_in(user, token)

    async def sign_out(self, request: Request) -> Response:
        """Revoke the token that the request carries, on every server process at once."""
        token = request.bearer
        if token is not None:
            try:
                claims = self._tokens.verify(token, self._clock())
            except TokenExpired:
                return Response(204)
            await self._database.write(revoke_token, claims.jti, claims.expires_at)
        return Response(204)

    async def _refuse_what_is_wrong(
        self, account: NewAccount, errors: dict[str, list[str]], client: str
    ) -> None:
        """Whether the address is taken is told only so often."""
        if "email" not in errors and await self._throttle.is_taken(
            account.email, client, comes_to_nothing=bool(errors)
        ):
            errors["email"] = [TAKEN]
        refuse(errors)


def _signed_in(user: User, token: str) -> Response:
    return json_response(201, shown(user), {"authorization": f"Bearer {token}"})


def _audience(request: Request) -> str | None:
    audience = request.header(b"jwt-aud")
    if audience is not None and len(audience) > LONGEST_AUDIENCE:
        raise BadRequest(f"JWT-AUD may have {LONGEST_AUDIENCE} characters")
    return audience


def _credentials(given: Mapping[str, Any]) -> tuple[str, str]:
    """What was sent where text should be; nonsense signs nobody in."""
    email, password = given.get("email"), given.get("password")
    if not isinstance(email, str) or not isinstance(password, str):
        raise Unauthorized(WRONG)
    if "\0" not in email and is_unicode(email + password):
        return email, password
    raise Unauthorized(WRONG)


_SIGN_UP = Operation(
    "Sign up",
    tag="Users",
    answers={201: "Signed up and in", 422: "Values refused", 429: TOO_OFTEN},
    schema=Account,
    key="user",
    parameters=(EMAIL, PASSWORD, PASSWORD_AGAIN, PHONE_NUMBER),
    example={"email": ".+driver@example.com", "password": "correct horse battery"},
    answer=ACCOUNT_EXAMPLE,
    gives_token=True,
)
_SIGN_IN = Operation(
    "Sign in",
    tag="Users",
    answers={201: "Signed in", 401: WRONG, 429: TOO_OFTEN},
    schema=Account,
    key="user",
    parameters=(EMAIL, PASSWORD),
    example={"email": ".+driver@example.com", "password": "correct horse battery"},
    answer=ACCOUNT_EXAMPLE,
    gives_token=True,
)
_SIGN_OUT = Operation(
    "Sign out: revoke this token",
    tag="Users",
    answers={204: "Revoked, or there was nothing to revoke", 401: "Signature verification failed"},
    may_be_signed_in=True,
)
