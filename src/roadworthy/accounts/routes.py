"""`/api/v1/users`: sign up, in and out."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from roadworthy.accounts.account import NewAccount, judge_sign_up, refuse, stored_address
from roadworthy.accounts.letters import CONFIRMATION
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    Origin,
    User,
    create_user,
    find_user_by_email,
    is_email_taken,
    open_session,
    renew_digest,
    revoke_token,
)
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
from roadworthy.accounts.throttle import TOO_OFTEN, Attempt, Throttle
from roadworthy.accounts.throttle_queries import give_tries_back, remember_address
from roadworthy.accounts.tokens import (
    NOT_SIGNED_IN,
    Issued,
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

WRONG = "Invalid Email or password."

MOST_LOOKS = 3
"""At an account whose digest is replaced while it is verified: by its renewal, as a rule."""

LONGEST_AUDIENCE = 255


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
        account, errors = judge_sign_up(await user_parameters(request) or {})
        if "email" not in errors:  # then we say whether it is taken
            self._passwords.require_room()
            await self._throttle.sign_up(None if errors else account.email, request.client)
        await self._refuse_what_is_wrong(account, errors)
        digest = await self._passwords.digest(account.password)
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
        open_session(connection, user_id, digest, issued, origin, now)
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
        with self._passwords.in_line(self._throttle.place(request.client)):
            return await self._sign_in(request, stored_address(email), password, audience)

    async def _sign_in(
        self, request: Request, email: str, password: str, audience: str | None
    ) -> Response:
        attempt = await self._throttle.sign_in(email, request.client)
        user = attempt.user
        for _ in range(MOST_LOOKS):
            verified = await self._verify(password, user)
            now = self._clock()
            issued = self._tokens.issue(verified.user.id, audience, now)
            if await self._database.write(
                _let_in, attempt, verified, issued, origin_of(request), now
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
