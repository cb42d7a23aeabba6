"""Signing in: what has to be on disk is written while the password is verified.

So a sign-in costs what its hash costs, however slow the disk. Its session is unproven until the
password is known to be right: nobody has its token, and the driver is not shown it.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from roadworthy.accounts.passwords import Line, Passwords
from roadworthy.accounts.queries import User, find_user_by_email, renew_digest
from roadworthy.accounts.session_queries import (
    Origin,
    Session,
    drop_session,
    open_session,
    prove_session,
)
from roadworthy.accounts.throttle import Attempt, Throttle
from roadworthy.accounts.throttle_queries import (
    give_tries_back,
    leave_no_trace,
    remember_address,
)
from roadworthy.accounts.tokens import Issued, Tokens
from roadworthy.database import Busy, Connection, Database, Unavailable
from roadworthy.wire import Unauthorized

WRONG = "Invalid Email or password."

MOST_LOOKS = 3
"""At an account whose digest is replaced while it is verified: by its renewal, as a rule."""

ANSWER_FIRST_SECONDS = 0.002
"""What follows an answer must not keep it waiting."""

LATE_SECONDS = 5.0
MOST_LATE = 1000
"""Of those whose database is away; they were let try before it went."""

NOBODY = 0
"""The id of no user: for an address that nobody has, the same statements run."""


class SigningIn:
    """Lets in who knows the password; `clock` gives the current time, in UTC."""

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
        self._settling: dict[asyncio.Task[None], Candidate] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def sign_in(
        self, email: str, password: str, audience: str | None, origin: Origin
    ) -> tuple[User, str]:
        """Whose address (as it is stored) and password these are, and a token for them.

        Raises a 401, 429 or 503 `Refusal`.
        """
        with self._passwords.in_line(origin.address) as line:
            await self._settled(email, origin)

            async def attempted(attempt: Attempt) -> tuple[User, str]:
                for look in range(MOST_LOOKS):
                    candidate = self._candidate(email, attempt, audience, origin)
                    if await self._let_in(candidate, password, line, is_counted=look > 0):
                        return candidate.user, candidate.issued.token
                    user = await self._database.read(find_user_by_email, email)
                    attempt = attempt._replace(user=user)
                raise Unauthorized(WRONG)

            attempt = await self._throttle.may_sign_in(email, origin.address)
            return await self._throttle.trying(attempt, attempted)

    async def settle(self) -> None:
        """Wait for what follows the sign-ins that were answered, unless the database is away."""
        if self._settling:
            await asyncio.wait(set(self._settling))
        for late in self._late:
            late.cancel()

    async def _settled(self, email: str, origin: Origin) -> None:
        """Tries at one account or from one address, one after the other, see what was left."""
        theirs = [
            settling
            for settling, earlier in self._settling.items()
            if earlier.user.email == email or earlier.origin.address == origin.address
        ]
        if theirs:
            await asyncio.wait(theirs)

    def _candidate(
        self, email: str, attempt: Attempt, audience: str | None, origin: Origin
    ) -> "Candidate":
        now = self._clock()
        user = attempt.user or User(NOBODY, email, "", None, now, now)
        return Candidate(user, attempt, self._tokens.issue(user.id, audience, now), origin, now)

    async def _let_in(
        self, candidate: "Candidate", password: str, line: Line, *, is_counted: bool
    ) -> bool:
        """Whether they are let in; not when the digest was replaced after it was read.

        Raises a 401 `Refusal` when it is not of `password`.
        """
        digest = candidate.user.password_digest or None
        verifying = asyncio.ensure_future(line.verify_and_renew(password, digest))
        verifying.add_done_callback(_look_at)
        is_right, is_opened, renewed = False, False, None
        try:
            await asyncio.sleep(0)  # it begins first: it takes longest
            is_opened = await self._open(candidate, is_counted=is_counted)
            is_right, renewed = await verifying
        finally:
            verifying.cancel()
            let_in = is_right and is_opened
            self._afterwards(candidate, renewed, is_proven=let_in)
        if not is_right:
            raise Unauthorized(WRONG)
        return let_in

    async def _open(self, candidate: "Candidate", *, is_counted: bool) -> bool:
        if is_counted:
            return await self._database.write(_open, candidate)
        return await self._throttle.count(
            candidate.attempt, lambda connection: _open(connection, candidate)
        )

    def _afterwards(self, candidate: "Candidate", renewed: str | None, *, is_proven: bool) -> None:
        """Nobody waits for it; who is refused causes as much of it, whether they exist or not."""

        def settle(connection: Connection) -> None:
            if is_proven:
                _prove(connection, candidate, renewed, self._clock())
            else:
                _drop(connection, candidate, self._clock())

        settling = asyncio.create_task(self._settle(settle))
        self._settling[settling] = candidate
        settling.add_done_callback(self._settling.pop)

    async def _settle(self, settle: Callable[[Connection], None]) -> None:
        """Without it, a session is shown late, or one that is nobody's, and a try comes back with
        time. So when the database is away it is done later; the next try does not wait for that.
        """
        await asyncio.sleep(ANSWER_FIRST_SECONDS)
        if not await self._is_settled(settle) and len(self._late) < MOST_LATE:
            late = asyncio.create_task(self._settle_late(settle))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _settle_late(self, settle: Callable[[Connection], None]) -> None:
        while True:
            await asyncio.sleep(LATE_SECONDS)
            if await self._is_settled(settle):
                return

    async def _is_settled(self, settle: Callable[[Connection], None]) -> bool:
        try:
            await self._database.write(settle)
        except (Busy, Unavailable):
            return False  # the database has said why
        return True


class Candidate(NamedTuple):
    """Who would be let in, and with what."""

    user: User
    attempt: Attempt
    issued: Issued
    origin: Origin
    at: datetime


# What an account, its sessions and its counters wait for is taken in one order, everywhere:
# counters, users, addresses, sessions.


def _open(connection: Connection, candidate: Candidate) -> bool:
    user, issued = candidate.user, candidate.issued
    session = Session(issued.jti, candidate.at, issued.expires_at, *candidate.origin)
    return open_session(connection, user.id, user.password_digest, session)


def _prove(
    connection: Connection, candidate: Candidate, renewed: str | None, now: datetime
) -> None:
    user, attempt = candidate.user, candidate.attempt
    give_tries_back(connection, attempt.counters, now)
    if renewed:
        renew_digest(connection, user.id, user.password_digest, renewed)
    if attempt.is_place_stale:
        remember_address(connection, user.id, attempt.place, now)
    prove_session(connection, candidate.issued.jti)


def _drop(connection: Connection, candidate: Candidate, now: datetime) -> None:
    """The next try waits for it: it writes, and waits for the disk, for nobody's session too."""
    drop_session(connection, candidate.issued.jti)
    leave_no_trace(connection, UUID(candidate.issued.jti).bytes, now)


def _look_at(verifying: "asyncio.Future[tuple[bool, str | None]]") -> None:
    """An error that nobody waits for any more is no news."""
    if not verifying.cancelled():
        verifying.exception()
