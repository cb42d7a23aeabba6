"""Bearer tokens, as devise-jwt issues and judges them."""

import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from roadworthy.accounts import jws
from roadworthy.wire import Request, Unauthorized

LIFETIME = timedelta(days=30)
SCOPE = "user"

NOT_SIGNED_IN = "You need to sign in or sign up before continuing."

MOST_JTI = 255
MOST_KEPT = 1024
"""Characters of a token whose check is remembered: room is bounded."""
_LARGEST_INTEGER = 2**63 - 1


class TokenRefused(Unauthorized):
    """401 with the reason a token opens nothing."""


class TokenExpired(TokenRefused):
    """401: a token that once was good."""

    def __init__(self) -> None:
        super().__init__("Signature has expired")


class Claims(NamedTuple):
    """What a verified token says. `user_id` is `None` when its subject can be nobody's."""

    user_id: int | None
    scope: str | None
    audience: str | None
    jti: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Issued:
    """A token just made; it counts once its session is kept."""

    token: str
    jti: str
    expires_at: datetime


class Tokens:
    """Issues tokens with the first of `secrets` and verifies them with any."""

    def __init__(self, secrets: tuple[str, ...]):
        self._secrets = tuple(secret.encode() for secret in secrets)
        # A client sends one token for 30 days; its signature is checked once a while.
        self._verified = lru_cache(maxsize=8192)(self._verified_payload)

    def issue(self, user_id: int, audience: str | None, now: datetime) -> Issued:
        """A token for 30 days from `now`; `audience` is the JWT-AUD header of the request."""
        issued = int(now.timestamp())
        expires = issued + int(LIFETIME.total_seconds())
        jti = str(uuid.uuid4())
        payload = {
            "sub": str(user_id),
            "scp": SCOPE,
            "aud": audience,
            "iat": issued,
            "exp": expires,
            "jti": jti,
        }
        token = jws.sign(payload, self._secrets[0])
        return Issued(token, jti, datetime.fromtimestamp(expires, UTC))

    def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a token that we signed and that holds `now`. Raises `TokenRefused`."""
        check = self._verified if len(token) <= MOST_KEPT else self._verified_payload
        payload = check(token)
        seconds = now.timestamp()
        if payload.get("exp") is not None and _seconds(payload["exp"]) <= seconds:
            raise TokenExpired
        jti = payload.get("jti")
        if not _can_be_revoked(jti):
            raise TokenRefused("Missing jti")
        if payload.get("nbf") is not None and _seconds(payload["nbf"]) > seconds:
            raise TokenRefused("Signature nbf has not been reached")
        return Claims(
            _user_id(payload.get("sub")),
            payload.get("scp"),
            payload.get("aud"),
            jti,
            _moment(payload.get("exp")),
        )

    def _verified_payload(self, token: str) -> dict[str, Any]:
        try:
            return jws.verify(token, self._secrets)
        except jws.Refused as refused:
            raise TokenRefused(str(refused)) from None


class Bearer(NamedTuple):
    """Who carries a driver's token, by its own word."""

    user_id: int
    jti: str
    expires_at: datetime | None


def bearer(request: Request, tokens: Tokens, now: datetime) -> Bearer:
    """Who carries the request's token, which is a driver's and for this audience.

    Raises `TokenRefused`. Whether the user is still there, and the token not revoked, is for
    the caller to look up.
    """
    claims = tokens.verify(required_token(request), now)
    if claims.scope != SCOPE:
        raise TokenRefused("wrong scope")
    if claims.audience != request.header(b"jwt-aud"):
        raise TokenRefused("wrong aud")
    if claims.user_id is None:
        raise TokenRefused("nil user")
    return Bearer(claims.user_id, claims.jti, claims.expires_at)


def required_token(request: Request) -> str:
    """The request's bearer token. Raises `TokenRefused`."""
    token = request.bearer
    if token is None:
        raise TokenRefused(NOT_SIGNED_IN)
    return token


def _can_be_revoked(jti: object) -> TypeGuard[str]:
    """Whether it can stand among the revoked ones: PostgreSQL keeps no NUL and indexes no novel."""
    return isinstance(jti, str) and bool(jti.strip()) and len(jti) <= MOST_JTI and "\0" not in jti


def _seconds(value: object) -> float:
    """A time claim as a number; the original reads text and nonsense the same forgiving way."""
    if isinstance(value, int):
        value = max(-_LARGEST_INTEGER, min(value, _LARGEST_INTEGER))  # a larger one fits no float
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0
    return seconds if math.isfinite(seconds) else 0


def _moment(exp: object) -> datetime | None:
    try:
        return None if exp is None else datetime.fromtimestamp(_seconds(exp), UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _user_id(subject: object) -> int | None:
    text = str(subject)
    if text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST_INTEGER)):
        return int(text) if int(text) <= _LARGEST_INTEGER else None
    return None
