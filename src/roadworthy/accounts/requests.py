"""What the routes of accounts take from a request."""

from datetime import UTC, datetime

from roadworthy.accounts.session_queries import Origin
from roadworthy.wire import Parameters, Request, nested

LONGEST_USER_AGENT = 255

MOST_ACCOUNT_BYTES = 16 * 1024
"""Of who is not signed in no more is read than an account can take."""


async def user_parameters(request: Request) -> Parameters | None:
    """The parameters under `user`; `None` when there are none. Raises a 400 or 413 `Refusal`."""
    return await nested(request, "user", most=MOST_ACCOUNT_BYTES)


def origin_of(request: Request) -> Origin:
    """Where a sign-in comes from."""
    agent = request.header(b"user-agent")
    return Origin(request.client, agent[:LONGEST_USER_AGENT] if agent else None)


def to_the_millisecond(moment: datetime) -> datetime:
    """The moment as it can be shown."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
