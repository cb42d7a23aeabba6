"""Holds those who try too often, over all processes of one database."""

import hmac
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from roadworthy.accounts.counter import Counter, longest_wait
from roadworthy.accounts.queries import User
from roadworthy.accounts.throttle_queries import (
    clear_tries,
    find_wait,
    find_who_signs_in,
    take_tries,
)
from roadworthy.database import Busy, Connection, Database, Unavailable
from roadworthy.mail import CannotBeAddressed, mailable
from roadworthy.settings import Limits, Settings
from roadworthy.wire import TooManyRequests, network_of

TOO_OFTEN = "Too often, for this account or from this address"

ADDRESSES_KNOWN = timedelta(days=90)
"""For so long after a sign-in from an address, strangers cannot lock its account there."""

T = TypeVar("T")


class Attempt(NamedTuple):
    """A sign-in that was let try: whose it would be, and what to give back when it is theirs."""

    user: User | None
    place: bytes
    is_place_stale: bool
    counters: tuple[Counter, ...]


class Throttle:
    """Counts before the work is done; what it keeps names nobody to who has no `secret`.

    `email` is an address as it is stored, of an account or of none: both are treated alike.
    `client` is a request's. `clock` gives the current time, in UTC.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        secret: str,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._settings = settings
        self._key = hmac.digest(secret.encode(), b"throttle", "sha256")
        self._clock = clock

    async def sign_up(self, email: str | None, client: str) -> None:
        """Raises a 429 `Refusal` when it is too often; no `email`: it comes to nothing anyway."""
        limits = self._settings.sign_up_limit
        if email is None:
            limits = limits._replace(account=None)
        counters = self._counters("sign-up", _spelt(email or ""), network_of(client), limits)
        await self._take(counters)

    async def mail(self, letter: str, email: str, client: str) -> None:
        """Call before who is not signed in gets a mail. Raises a 429 `Refusal` when too often.

        Where an account has signed in before, only mails asked for from there count, as for
        signing in.
        """
        limits = self._settings.mail_limit
        place = self.place(client)
        who = await self._database.read(find_who_signs_in, email, place)
        whose = _spelt(email) if who.seen_at is None else f"{email}\0{place.hex()}"
        await self._take(self._counters(letter, whose, network_of(client), limits))

    async def sign_in(self, email: str, client: str) -> Attempt:
        """Who would sign in, once the try is counted. Raises a 429 `Refusal` when too often.

        Where an account has signed in before, only tries at it from there count: whatever others
        do elsewhere, its right password is taken.
        """
        attempt = await self.may_sign_in(email, client)
        await self._take(attempt.counters)
        return attempt

    async def may_sign_in(self, email: str, client: str) -> Attempt:
        """The same, before it is counted; nothing may be answered that depends on the password."""
        now, place = self._clock(), self.place(client)
        known, unknown = (
            self._sign_in_counters(email, network_of(client), is_known=is_known)
            for is_known in (True, False)
        )
        user, seen_at, clear_at = await self._database.read(
            find_who_signs_in, email, place, (*known, *unknown)
        )
        counters = unknown if seen_at is None else known
        _require_none_waits(longest_wait(counters, clear_at, now))
        return Attempt(user, place, _is_stale(seen_at, now), counters)

    async def count(self, attempt: Attempt, then: Callable[[Connection], T]) -> T:
        """Count the try, and what `then` returns in the same transaction.

        Raises a 429 `Refusal`, with nothing done, when others were faster.
        """
        now = self._clock()
        done = await self._database.write(_take_and_do, attempt.counters, now, then)
        if done is None:
            raise await self._refusal(attempt.counters, now)
        return done.result

    async def forgive(self, email: str, client: str) -> None:
        """Who has just proved to be the account's, by mail, has all tries at it again.

        Tries come back with time, too: a database that is busy or away keeps nobody waiting.
        """
        place = network_of(client)
        elsewhere = self._counters("sign-in", email, "", self._settings.sign_in_limit)
        counters = (*elsewhere, *self._sign_in_counters(email, place, is_known=True))
        with suppress(Busy, Unavailable):
            await self._database.write_one(clear_tries, [counter.key for counter in counters])

    def place(self, client: str) -> bytes:
        """What is kept of the address of `client`, for `remember_address`."""
        return self._digest("place", network_of(client))

    def _sign_in_counters(self, email: str, place: str, *, is_known: bool) -> tuple[Counter, ...]:
        """As many where it is known: who measures the time shall not learn that either."""
        limits = self._settings.sign_in_limit
        if is_known:
            there = f"{email}\0{place}"
            return self._counters("sign-in where it is known", there, there, limits)
        return self._counters("sign-in", email, place, limits)

    def _counters(
        self, what: str, account: str, address: str, limits: Limits
    ) -> tuple[Counter, ...]:
        counted = (("account", account, limits.account), ("address", address, limits.address))
        counters = (
            Counter(self._digest(what, kind, whose), limit)
            for kind, whose, limit in counted
            if limit
        )
        return tuple(sorted(counters))  # in one order, so that no two wait for each other

    async def _take(self, counters: tuple[Counter, ...]) -> None:
        if not counters:
            return
        now = self._clock()
        _require_none_waits(await self._database.read(find_wait, counters, now))  # before a write
        if not await self._database.write_one(take_tries, counters, now):
            raise await self._refusal(counters, now)

    async def _refusal(self, counters: tuple[Counter, ...], now: datetime) -> TooManyRequests:
        return _too_many(await self._database.read(find_wait, counters, now))

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256")[
            :16
        ]


class _Done(NamedTuple, Generic[T]):
    result: T


def _take_and_do(
    connection: Connection,
    counters: tuple[Counter, ...],
    now: datetime,
    then: Callable[[Connection], T],
) -> _Done[T] | None:
    if counters and not take_tries(connection, counters, now):
        return None
    return _Done(then(connection))


def _require_none_waits(wait: timedelta) -> None:
    if wait:
        raise _too_many(wait)


def _too_many(wait: timedelta) -> TooManyRequests:
    return TooManyRequests(max(1, math.ceil(wait.total_seconds())))


def _spelt(email: str) -> str:
    """One form for the many in which an address reaches the same mailbox."""
    try:
        return mailable(email)
    except CannotBeAddressed:
        return email


def _is_stale(seen_at: datetime | None, now: datetime) -> bool:
    """Whether a sign-in should be written down: once a day is enough."""
    return seen_at is None or now - seen_at > timedelta(days=1)
