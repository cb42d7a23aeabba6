"""Erases what we hold about those who left.

What stays are numbers and times: that there was an account and when it was closed, so that its
number is nobody else's and a restored backup closes it again; and who was shown which file, as the
law wants a record of everybody who has seen a certificate (Police Act 1997, s.122 and s.124).
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from roadworthy.accounts import erase_account, erase_traces, find_closed
from roadworthy.database import Connection, Database
from roadworthy.documents import Going, erase_files, size_held
from roadworthy.exports import erase_exports
from roadworthy.profiles import claim_files, erase_profile
from roadworthy.wire import erase_answers

AT_ONCE = 100
LISTED_AT_MOST = 100_000


class Erasure:
    """Does the same again when it is run again; `clock` gives the time, in UTC.

    Bytes of files go with the next purge of what nobody holds.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]):
        self._database = database
        self._clock = clock

    async def erase(self, until: datetime) -> None:
        """Everything of the accounts that were closed at `until` or before."""
        while closed := await self._database.report(find_closed, until, AT_ONCE):
            for account in closed:
                while await self._database.write(_erase_some, account.id, self._clock()):
                    pass

    async def going(self, until: datetime) -> AsyncIterator[Going]:
        """The accounts that `erase` would erase."""
        for account in await self._database.report(find_closed, until, LISTED_AT_MOST):
            files, size = await self._database.report(size_held, account.id)
            yield Going(
                f"everything of account {account.id}, with {files} files of {size} bytes",
                f"closed on {account.closed_at:%Y-%m-%d %H:%M}Z",
            )


def _erase_some(connection: Connection, user_id: int, now: datetime) -> int:
    """How many rows; the account itself goes when there are none left."""
    claim_files(connection, user_id)
    erased = (
        erase_exports(connection, user_id, now)
        or erase_files(connection, user_id, now)
        or erase_profile(connection, user_id)
        or erase_answers(connection, user_id)
        or erase_traces(connection, user_id)
    )
    if not erased:
        erase_account(connection, user_id)
    return erased
