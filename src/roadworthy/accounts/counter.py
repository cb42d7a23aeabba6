"""The rules of a counter: how many tries are left, and how long until there is one.

The generic cell rate algorithm (ITU-T I.371): all that is kept is the moment at which the counter
is clear again. Each try moves it on by one step, and a try that would move it further than the
limit's period is not taken.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from roadworthy.settings import Limit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Counter(NamedTuple):
    """What is counted under `key`, to a limit. Moments and lengths are in microseconds."""

    key: bytes
    limit: Limit

    @property
    def step(self) -> int:
        """How long until a try comes back."""
        return self.period // self.limit.tries

    @property
    def period(self) -> int:
        """How long until all are back."""
        return self.limit.period // _MICROSECOND

    def wait(self, clear_at: int | None, now: int) -> int:
        """How long until a try is left, 0 when one is."""
        if clear_at is None or clear_at > self.nonsense_after(now):
            return 0
        return max(0, clear_at - self.taken_until(now))

    def taken_until(self, now: int) -> int:
        """A counter that is clear later than this has no try left."""
        return now + self.period - self.step

    def nonsense_after(self, now: int) -> int:
        """What is clear later than this comes from another limit, or a clock that was wrong."""
        return now + 2 * self.period


def longest_wait(
    counters: Sequence[Counter], clear_at: Mapping[bytes, int], now: datetime
) -> timedelta:
    """How long until each of `counters` has a try left; none when each has."""
    at = microseconds(now)
    waits = (counter.wait(clear_at.get(counter.key), at) for counter in counters)
    return timedelta(microseconds=max(waits, default=0))


def microseconds(moment: datetime) -> int:
    """`moment` as a number that SQL can add to."""
    return (moment - _EPOCH) // _MICROSECOND
