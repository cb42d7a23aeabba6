"""The interface that both databases meet."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]


class Unavailable(Exception):
    """The database cannot answer now.

    A write was undone, unless the connection broke while it was committed: then nobody can tell,
    and who tries again should do so in a way that may be done twice (`wire.Idempotency`).
    """


class Busy(Exception):
    """More waits than the database can take; try again in a second."""


class Database(ABC):
    """Runs query functions. Raises `Unavailable`, `Busy` and what the function raises."""

    @abstractmethod
    async def open(self) -> None:
        """Call once, on the event loop that will use it. Succeeds while the database is away."""

    @abstractmethod
    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a point look-up: a statement that an index answers."""

    @abstractmethod
    async def report(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that may scan; never on the event loop."""

    @abstractmethod
    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in one transaction, durable when this returns, undone when the query raises."""

    @abstractmethod
    async def write_one(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a query of one statement, which needs no transaction around it."""

    @abstractmethod
    async def close(self) -> None:
        """Finish the writes that wait, then let go of every connection."""
