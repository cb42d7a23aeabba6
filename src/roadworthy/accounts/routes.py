"""`/api/v1/users`: sign up, in and out."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from roadworthy.accounts.account import (
    ADDRESS_SPACES,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    NewAccount,
    judge_sign_up,
    refuse,
    stored_address,
)
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    Origin,
    User,
    create_user,
    find_user_by_email,
    give_tries_back,
    is_email_taken,
    open_session,
    remember_address,
    renew_digest,
    revoke_token,
)
from roadworthy.accounts.schemas import Account
from roadworthy.accounts.throttle import Attempt, Throttle
from roadworthy.accounts.tokens import (
    NOT_SIGNED_IN,
    Issued,
    TokenExpired,
    Tokens,
)
from roadworthy.database import Connection, Database, IntegrityError
from roadworthy.wire import (
    BadRequest,
    Operation,
    Parameter,
    Parameters,
    Request,
    Response,
    Route,
    Unauthorized,
    instant_text,
    json_response,
    nested,
    shapes,
)
from roadworthy.wire.shapes import Shape
from roadworthy.wire.values import TAKEN, is_unicode

WRONG = "Invalid Email or password."

MOST_LOOKS = 3
"""At an account whose digest is replaced while it is verified: by its renewal, as a rule."""

LONGEST_AUDIENCE = 255
LONGEST_USER_AGENT = 255

MOST_ACCOUNT_BYTES = 16 * 1024
"""Of who is not signed in no more is read than an account can take."""


class AccountRoutes:
    """Sign up, in and out; `clock` gives the current time, in UTC."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", "/api/v1/users", self.sign_up, _SIGN_UP)
        yield Route("POST", "/api/v1/users/sign_in", self.sign_in, _SIGN_IN)
        yield Route("DELETE", "/api/v1/users/sign_out", self.sign_out, _SIGN_OUT)

    async def sign_up(self, request: Request) -> Response:
        """Create an account and sign in to it."""
        audience = _audience(request)
        account, errors = judge_sign_up(await _given(request) or {})
        if "email" not in errors:  # then we say whether it is taken
            self._passwords.require_room()
            await self._throttle.sign_up(account.email, request.client)
        await self._refuse_what_is_wrong(account, errors)
        digest = await self._passwords.digest(account.password)
        now = _to_the_millisecond(self._clock())
        try:
            user, token = await self._database.write(
                self._create_signed_in, account, digest, audience, _origin(request), now
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
        open_session(connection, user_id, digest, issued, origin, now)
        remember_address(connection, user_id, self._throttle.place(origin.address), now)
        return User(user_id, account.email, digest, account.phone_number, now, now), issued.token

    async def sign_in(self, request: Request) -> Response:
        """Give a token for an address and its password."""
        audience = _audience(request)
        given = await _given(request)
        if given is None:
            raise Unauthorized(NOT_SIGNED_IN)
        email, password = _credentials(given)
        self._passwords.require_room()
        attempt = await self._throttle.sign_in(stored_address(email), request.client)
        user = attempt.user
        for _ in range(MOST_LOOKS):
            verified = await self._verify(password, user)
            now = self._clock()
            issued = self._tokens.issue(verified.user.id, audience, now)
            if await self._database.write(
                _let_in, attempt, verified, issued, _origin(request), now
            ):
                return _signed_in(verified.user, issued.token)
            user = await self._database.read(find_user_by_email, verified.user.email)
        raise Unauthorized(WRONG)

    async def _verify(self, password: str, user: User | None) -> "Verified":
        digest = user.password_digest if user else None
        is_right, renewed = await self._passwords.verify_and_renew(password, digest)
        if user is None or not is_right:
            raise Unauthorized(WRONG)
        return Verified(user, renewed)

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
        self, account: NewAccount, errors: dict[str, list[str]]
    ) -> None:
        taken = "email" not in errors and await self._database.read(is_email_taken, account.email)
        if taken:
            errors["email"] = [TAKEN]
        refuse(errors)


class Verified(NamedTuple):
    """Whose password was given, and the digest to keep from now on, if it is another."""

    user: User
    renewed: str | None


def _let_in(
    connection: Connection,
    attempt: Attempt,
    verified: Verified,
    issued: Issued,
    origin: Origin,
    now: datetime,
) -> bool:
    """Open the session, unless the digest was replaced since it was verified."""
    user, digest = verified.user, verified.user.password_digest
    if verified.renewed:
        if not renew_digest(connection, user.id, digest, verified.renewed):
            return False
        digest = verified.renewed
    if not open_session(connection, user.id, digest, issued, origin, now):
        return False
    if attempt.is_place_stale:
        remember_address(connection, user.id, attempt.place, now)
    give_tries_back(connection, attempt.counters, now)
    return True


def _signed_in(user: User, token: str) -> Response:
    return json_response(201, _account(user), {"authorization": f"Bearer {token}"})


def _origin(request: Request) -> Origin:
    agent = request.header(b"user-agent")
    return Origin(request.client, agent[:LONGEST_USER_AGENT] if agent else None)


def _audience(request: Request) -> str | None:
    audience = request.header(b"jwt-aud")
    if audience is not None and len(audience) > LONGEST_AUDIENCE:
        raise BadRequest(f"JWT-AUD may have {LONGEST_AUDIENCE} characters")
    return audience


async def _given(request: Request) -> Parameters | None:
    return await nested(request, "user", most=MOST_ACCOUNT_BYTES)


def _credentials(given: Mapping[str, Any]) -> tuple[str, str]:
    """What was sent where text should be; nonsense signs nobody in."""
    email, password = given.get("email"), given.get("password")
    if not isinstance(email, str) or not isinstance(password, str):
        raise Unauthorized(WRONG)
    if "\0" not in email and is_unicode(email + password):
        return email, password
    raise Unauthorized(WRONG)


def _account(user: User) -> Account:
    return Account(
        user.id,
        user.email,
        user.phone_number,
        instant_text(user.created_at),
        instant_text(user.updated_at),
    )


def _to_the_millisecond(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


_SPACES = f"[{ADDRESS_SPACES}]"
_ADDRESS = {
    "type": "string",
    "maxLength": 255,
    "pattern": rf"^{_SPACES}*[^@\u0000{ADDRESS_SPACES}]+@[^@\u0000{ADDRESS_SPACES}]+{_SPACES}*$",
    "examples": [".+driver@example.com"],
}
_SECRET = {
    "type": "string",
    "format": "password",
    "minLength": SHORTEST_PASSWORD,
    "maxLength": LONGEST_PASSWORD,
    "pattern": shapes.NOT_BLANK,
}
_LONG_NUMBER = {"type": "integer", "minimum": 10 ** (SHORTEST_PASSWORD - 1)}
_EMAIL = Parameter("email", "E-mail address", Shape(_ADDRESS, _ADDRESS), required=True)
_PASSWORD = Parameter(
    "password", "Password", Shape({"anyOf": [_SECRET, _LONG_NUMBER]}, _SECRET), required=True
)
_WHEN = "2026-11-23T16:23:29.767Z"
_ANSWER = msgspec.json.encode(Account(1859, ".+driver@example.com", None, _WHEN, _WHEN))
_AGAIN = {"type": "string", "format": "password"}

_TOO_OFTEN = "Too often, for this account or from this address"

_SIGN_UP = Operation(
    "Sign up",
    tag="Users",
    answers={201: "Signed up and in", 422: "Values refused", 429: _TOO_OFTEN},
    schema=Account,
    key="user",
    parameters=(
        _EMAIL,
        _PASSWORD,
        Parameter(
            "password_confirmation",
            "The password again",
            Shape({**_AGAIN, "type": ["string", "integer", "null"]}, _AGAIN),
        ),
        Parameter("phone_number", "Phone number", shapes.optional_text()),
    ),
    example={"email": ".+driver@example.com", "password": "correct horse battery"},
    answer=_ANSWER,
    gives_token=True,
)
_SIGN_IN = Operation(
    "Sign in",
    tag="Users",
    answers={201: "Signed in", 401: WRONG, 429: _TOO_OFTEN},
    schema=Account,
    key="user",
    parameters=(_EMAIL, _PASSWORD),
    example={"email": ".+driver@example.com", "password": "correct horse battery"},
    answer=_ANSWER,
    gives_token=True,
)
_SIGN_OUT = Operation(
    "Sign out: revoke this token",
    tag="Users",
    answers={204: "Revoked, or there was nothing to revoke", 401: "Signature verification failed"},
    may_be_signed_in=True,
)
