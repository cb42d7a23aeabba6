"""Lets in who is signed in."""

from collections.abc import Callable
from datetime import datetime

from roadworthy.accounts.session_queries import SignedIn, find_signed_in
from roadworthy.accounts.tokens import TokenRefused, Tokens, bearer
from roadworthy.database import Database
from roadworthy.wire import Request


class Guard:
    """Tells who asks, by the token of the request; `clock` gives the time, in UTC."""

    def __init__(self, database: Database, tokens: Tokens, clock: Callable[[], datetime]):
        self._database = database
        self._tokens = tokens
        self._clock = clock

    async def admit(self, request: Request) -> SignedIn:
        """The driver whose token it is. Raises `TokenRefused`."""
        who = bearer(request, self._tokens, self._clock())
        found = await self._database.read(find_signed_in, who.user_id, who.jti)
        return require_admitted(found)


def require_admitted(found: SignedIn | None) -> SignedIn:
    """`found`, when it is somebody whose token counts. Raises `TokenRefused`."""
    if found is None:
        raise TokenRefused("nil user")
    if found.revoked:
        raise TokenRefused("revoked token")
    return found
