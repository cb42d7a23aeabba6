"""Which kinds of digest accounts have: whoever is refused waits for one of each."""

from collections.abc import Callable
from datetime import datetime, timedelta

from roadworthy.accounts.kind_queries import (
    find_kinds,
    find_kinds_of_accounts,
    forget_kinds,
    note_kinds,
)
from roadworthy.database import Busy, Connection, Database, Unavailable

KEPT = timedelta(days=1)
"""After nobody was seen to have it: by then who moved in as we looked has been seen."""


class KindsInUse:
    """Read at every try: whoever moves in brings theirs along. `clock` gives the time, in UTC."""

    def __init__(self, database: Database, clock: Callable[[], datetime]):
        self._database = database
        self._clock = clock

    async def now(self) -> set[str]:
        """Each kind that an account may have. Raises `Unavailable` and `Busy`."""
        return await self._database.read(find_kinds)

    async def look_again(self) -> bool:
        """Look at all accounts, for those that got their digest in another way, or lost it.

        Whether that could be done: of many accounts it takes long.
        """
        now = self._clock()

        def note(connection: Connection) -> None:
            note_kinds(connection, kinds, now)
            forget_kinds(connection, now - KEPT)

        try:
            kinds = await self._database.report(find_kinds_of_accounts)
            await self._database.write(note)
        except (Unavailable, Busy):
            return False  # the database has said why
        return True
