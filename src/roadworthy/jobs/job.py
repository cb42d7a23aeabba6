"""The rules of a job: when it is tried again, and when it is given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_ATTEMPTS = 12
LEASE = timedelta(minutes=5)

_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=6)


class Hopeless(Exception):
    """Raised by what does a job: it is given up at once, as trying again would change nothing."""


@dataclass(frozen=True)
class Job:
    """A job that a worker holds; `attempts` counts this one."""

    id: int
    kind: str
    payload: str
    """JSON."""
    attempts: int
    recurring: bool


@dataclass(frozen=True)
class Recurring:
    """Work of `kind` that comes again `every` so often."""

    kind: str
    every: timedelta


def retry_at(attempts: int, now: datetime) -> datetime | None:
    """When a job that failed `attempts` times is tried again; `None`: it is given up."""
    if attempts >= MOST_ATTEMPTS:
        return None
    return now + min(_FIRST_WAIT * (1 << (attempts - 1)), _LONGEST_WAIT)
