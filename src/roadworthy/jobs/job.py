"""The rules of a job: who does it, when it is tried again, and when it is given up."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MOST_ATTEMPTS = 12
LEASE = timedelta(minutes=5)

LONGEST_LEASE = 2 * LEASE
"""One that lasts longer yet was given by a clock that was ahead: clocks differ by a little."""

_FIRST_WAIT = timedelta(seconds=5)
_LEAP_SECONDS = 60
_DOUBT_SECONDS = 60 * 60


@dataclass(frozen=True)
class Handler:
    """How the jobs of a kind are done: `run` gets the payload.

    It may run again for the same job: what it does twice must do no harm.
    """

    run: Callable[[Mapping[str, Any]], Awaitable[None]]
    limit: timedelta = timedelta(minutes=10)
    """Then it is cancelled and has failed; a thread that it started goes on."""
    every: timedelta | None = None
    """There is always one such job, which comes again so often, but not while the clock is in
    doubt. Its payload's `last_run` (ISO 8601) is when it was last done, if it was."""


class Hopeless(Exception):
    """Raised by what does a job: it is given up at once, as trying again would change nothing."""


class Incomplete(Exception):
    """Raised by recurring work that did all it could, but not everything: it comes again when it
    would have, and its error is to be seen until then."""


@dataclass(frozen=True)
class Job:
    """A job that a worker holds; `attempts` counts this one."""

    id: int
    kind: str
    payload: str
    """JSON."""
    attempts: int
    recurring: bool
    begun_at: datetime


class ClockWatch:
    """Holds a clock against elapsed time: after a leap it is in doubt for an hour.

    What was to come at its time would else come at any: a purge, a month's reminders.
    """

    def __init__(self) -> None:
        self._lead: float | None = None
        self._in_doubt_until = -math.inf

    def is_in_doubt(self, now: datetime, elapsed: float) -> bool:
        """Call often; `elapsed` is in seconds, since any moment."""
        lead = now.timestamp() - elapsed
        if self._lead is not None and abs(lead - self._lead) > _LEAP_SECONDS:
            self._in_doubt_until = elapsed + _DOUBT_SECONDS
        self._lead = lead
        return elapsed < self._in_doubt_until


def retry_at(attempts: int, every: timedelta | None, now: datetime) -> datetime | None:
    """When a job that failed `attempts` times is tried again; `None`: it is given up.

    What comes again `every` so often is not given up, and not tried later than it comes again.
    """
    wait = _FIRST_WAIT * (1 << min(attempts, MOST_ATTEMPTS) - 1)
    if every:
        return now + min(wait, every)
    return now + wait if attempts < MOST_ATTEMPTS else None


def latest_run(every: timedelta, now: datetime) -> datetime:
    """Recurring work that waits for longer was put off by a clock that was ahead."""
    return now + 2 * every
