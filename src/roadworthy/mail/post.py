"""The post: letters are asked for in the transaction that causes them, and written when sent."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.headerregistry import Address
from typing import Any

from roadworthy.database import Connection
from roadworthy.jobs import Hopeless, enqueue
from roadworthy.mail.address import CannotBeAddressed
from roadworthy.mail.delivery import Deliver, Undeliverable
from roadworthy.mail.letter import Letter, message_of

KIND = "mail"
"""Of the jobs that send letters."""

About = Mapping[str, Any]
"""What was known when a letter was asked for; `name` tells it from every other, `at` says when."""

Writer = Callable[[About], Awaitable[Letter | None]]
"""Writes the letter from what is true now; `None` when there is nobody left to write to.

It may be asked again about a letter that was sent, if nobody noted that it was.
"""


def enqueue_letter(connection: Connection, letter: str, about: About, now: datetime) -> None:
    """Have `letter` sent soon, if this transaction commits. `about` shall hold no secret: it stays
    in the database until the letter is sent, which may be never.
    """
    name = f"{now:%Y%m%d-%H%M%S%f}-{secrets.token_hex(8)}"
    said = {**about, "letter": letter, "name": name, "at": now.isoformat()}
    enqueue(connection, KIND, said, now)


class Post:
    """Sends the letters that jobs ask for; `writers` has who writes each, `clock` the time."""

    def __init__(
        self,
        writers: Mapping[str, Writer],
        deliver: Deliver,
        sender: Address,
        clock: Callable[[], datetime],
    ):
        self._writers = writers
        self._deliver = deliver
        self._sender = sender
        self._clock = clock

    async def send(self, about: About) -> None:
        """Write and deliver one. Raises `Hopeless` when it can reach nobody."""
        letter = await self._writers[about["letter"]](about)
        if letter is None:
            return
        try:
            message = message_of(letter, self._sender, about["name"], self._clock())
            await self._deliver(message)
        except (CannotBeAddressed, Undeliverable) as error:
            raise Hopeless(str(error)) from error
