"""A database opened for one piece of work of a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from roadworthy.database.advice import advice
from roadworthy.database.core import Database, Unavailable
from roadworthy.database.opening import open_database
from roadworthy.telemetry import configure_logs

T = TypeVar("T")


def with_database(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of the database at `url`. Raises `Unavailable` and what `work` does."""
    configure_logs()

    async def run() -> T:
        database = open_database(url, for_command=True)
        await database.open()
        try:
            return await work(database)
        except Unavailable as away:
            reason = str(away)
            raise Unavailable(f"cannot use the database: {reason}: {advice(reason)}") from away
        finally:
            await database.close()

    return asyncio.run(run())
