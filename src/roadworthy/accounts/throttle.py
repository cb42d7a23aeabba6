"""Holds those who try too often, over all processes of one database."""

import hmac
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from roadworthy.accounts.counter import Counter, longest_wait
from roadworthy.accounts.queries import User, is_email_taken
from roadworthy.accounts.throttle_queries import (
    clear_tries,
    find_wait,
    find_who_signs_in,
    take_tries,
)
from roadworthy.database import Busy, Connection, Database, Unavailable
from roadworthy.mail import CannotBeAddressed, mailable
from roadworthy.settings import Limits, Settings
from roadworthy.wire import TooManyRequests, Unauthorized, network_of

TOO_OFTEN = "Too often, for this account or from this address"

ADDRESSES_KNOWN = timedelta(days=90)
"""For so long after a sign-in from an address, strangers cannot lock its account there."""

T = TypeVar("T")


class Attempt(NamedTuple):
    """A sign-in that may be tried: whose it would be, and what it would use up."""

    user: User | None
    place: bytes
    seen_at: datetime | None
    """When they last signed in from there."""
    counters: tuple[Counter, ...]
    spare: tuple[Counter, ...]
    """What `beyond` uses up."""
    wait: timedelta
    """Until `counters` have a try left."""
    at: datetime

    @property
    def is_known(self) -> bool:
        """Whether the account has signed in from there."""
        return self.seen_at is not None

    @property
    def is_place_stale(self) -> bool:
        """Whether a sign-in from there should be written down: once a day is enough."""
        return self.seen_at is None or self.at - self.seen_at > timedelta(days=1)

    def beyond(self) -> "Attempt":
        """The same, when no try is left: where the account is not known, nobody's."""
        return self._replace(counters=self.spare, user=self.user if self.is_known else None)


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

    async def is_taken(self, email: str, client: str, *, comes_to_nothing: bool = False) -> bool:
        """Whether somebody signed up with `email`. Raises a 429 `Refusal` when it is too often.

        What `comes_to_nothing` anyway is not counted for the address that it asks after.
        """
        limits = self._settings.sign_up_limit
        whose = "" if comes_to_nothing else _spelt(email)
        if comes_to_nothing:
            limits = limits._replace(account=None)
        await self._take(self._counters("sign-up", whose, network_of(client), limits))
        return await self._database.read(is_email_taken, email)

    async def mail(self, letter: str, email: str, client: str) -> None:
        """Call before somebody gets a mail. Raises a 429 `Refusal` when it is too often."""
        await self._take(self._mail_counters(letter, email, client))

    def take_for_mail(self, connection: Connection, letter: str, email: str, client: str) -> None:
        """The same, in the transaction that sends it."""
        counters, now = self._mail_counters(letter, email, client), self._clock()
        if counters and not take_tries(connection, counters, now):
            raise _too_many(find_wait(connection, counters, now))

    async def mailing(
        self, letter: str, email: str, client: str, send: Callable[[bytes | None], Awaitable[None]]
    ) -> None:
        """The same for who is not signed in: `send` it, unless it is too often.

        Some are sent all the same, but only to who has signed in from the place that `send` gets,
        so that no stranger can keep a driver from a new password. Whether anybody has is looked up
        when this was answered: the 429 tells of no account.
        """
        try:
            await self.mail(letter, email, client)
        except TooManyRequests:
            with suppress(TooManyRequests):
                await self._take(self._spare_for_mail(letter, email, client))
                await send(self.place(client))
            raise
        await send(None)

    def _mail_counters(self, letter: str, email: str, client: str) -> tuple[Counter, ...]:
        limits = self._settings.mail_limit
        return self._counters(letter, _spelt(email), network_of(client), limits)

    def _spare_for_mail(self, letter: str, email: str, client: str) -> tuple[Counter, ...]:
        limits = self._settings.mail_limit
        by_address = self._counters(letter, "", network_of(client), limits._replace(account=None))
        return tuple(sorted((*self._spare(letter, email, client, limits), *by_address)))

    async def sign_in(self, email: str, client: str) -> Attempt:
        """Who would sign in, once the try is counted. Raises a 429 `Refusal` when too often.

        Only for who knows already whose account it is: others use `trying`.
        """
        attempt = await self.may_sign_in(email, client)
        if attempt.wait and attempt.is_known:
            attempt = attempt.beyond()
        await self._take(attempt.counters)
        return attempt

    async def may_sign_in(self, email: str, client: str) -> Attempt:
        """Who would sign in; nothing is counted yet."""
        now, place = self._clock(), self.place(client)
        limits = self._settings.sign_in_limit
        counters = self._counters("sign-in", email, network_of(client), limits)
        spare = self._spare("sign-in", email, client, limits)
        who = await self._database.read(find_who_signs_in, email, place, counters)
        wait = longest_wait(counters, who.clear_at, now)
        return Attempt(who.user, place, who.seen_at, counters, spare, wait, now)

    async def trying(self, attempt: Attempt, then: Callable[[Attempt], Awaitable[T]]) -> T:
        """What `then` returns, which counts the attempt and raises a 401 when it comes to nothing.

        Where the account has signed in before, strangers cannot lock it: when all tries are used
        up, `then` has some more to count. Where it has not, it has as many, as nobody's: so the 429
        that those come to tells of no account, nor does its time. Raises the 401 and 429.
        """
        refusal = _too_many(attempt.wait)
        if not attempt.wait:
            try:
                return await then(attempt)
            except TooManyRequests as others_were_faster:
                refusal = others_were_faster
        with suppress(TooManyRequests, Unauthorized):
            return await then(attempt.beyond())
        raise refusal

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
        limits = self._settings.sign_in_limit
        elsewhere = self._counters("sign-in", email, "", limits._replace(address=None))
        counters = (*elsewhere, *self._spare("sign-in", email, client, limits))
        with suppress(Busy, Unavailable):
            await self._database.write_one(clear_tries, [counter.key for counter in counters])

    def place(self, client: str) -> bytes:
        """What is kept of the address of `client`, for `remember_address`."""
        return self._digest("place", network_of(client))

    def _spare(self, what: str, email: str, client: str, limits: Limits) -> tuple[Counter, ...]:
        there = f"{email}\0{network_of(client)}"
        own = Limits(limits.account or limits.address, None)
        return self._counters(f"{what} where it is known", there, "", own)

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
        if wait := await self._database.read(find_wait, counters, now):  # before a write
            raise _too_many(wait)
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


def _too_many(wait: timedelta) -> TooManyRequests:
    return TooManyRequests(max(1, math.ceil(wait.total_seconds())))


def _spelt(email: str) -> str:
    """One form for the many in which an address reaches the same mailbox."""
    try:
        return mailable(email)
    except CannotBeAddressed:
        return email
