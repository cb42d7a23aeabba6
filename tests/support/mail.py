"""Mail that was sent: read from an outbox, and links set as if they had been mailed."""

import email.policy
import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from tests.support.tables import Tables

SECONDS = 20
LINK = re.compile(r"^https?://\S+$", re.MULTILINE)

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Mail:
    """A message, as whoever gets it sees it."""

    message: EmailMessage

    @property
    def to(self) -> str:
        return str(self.message["To"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def name(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def link(self) -> str:
        """The only link in it."""
        (link,) = LINK.findall(self.text)
        return str(link)

    @property
    def token(self) -> str:
        """What the link carries."""
        return self.link.rpartition("=")[2]

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, self.message
        return str(part.get_content()).replace("\r\n", "\n")


def read_mail(content: bytes) -> Mail:
    message = BytesParser(_class=EmailMessage, policy=email.policy.default).parsebytes(content)
    return Mail(message)


class Box:
    """The mails in the outbox of a data folder."""

    def __init__(self, folder: Path):
        self.folder = folder / "outbox"

    def all(self) -> list[Mail]:
        """In the order in which they were asked for."""
        return [read_mail(file.read_bytes()) for file in sorted(self.folder.glob("*.eml"))]

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.all() if mail.to == address]

    def wait_for(self, address: str, count: int = 1) -> list[Mail]:
        """The mails to `address`, once there are so many."""
        until = time.monotonic() + SECONDS
        while len(self.to(address)) < count and time.monotonic() < until:
            time.sleep(0.05)
        found = self.to(address)
        assert len(found) == count, f"{[mail.subject for mail in found]} came to {address}"
        return found


def wait_until_sent(tables: Tables) -> None:
    """Until no letter waits to be sent."""
    until = time.monotonic() + SECONDS
    while tables.rows("jobs", kind="mail"):
        assert time.monotonic() < until, tables.rows("jobs")
        time.sleep(0.05)


def link_to(
    tables: Tables, user_id: int, purpose: str, token: str | None = None, **changes: object
) -> str:
    """The token of a link as if it had been mailed to the user, an hour from its end."""
    token = token or secrets.token_urlsafe(32)
    (user,) = tables.rows("users", id=user_id)
    row: Mapping[str, object] = {
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "user_id": user_id,
        "purpose": purpose,
        "email": user["email"],
        "expires_at": datetime.now(UTC) + HOUR,
        **changes,
    }
    tables.execute(tables["mailed_links"].insert().values(**row))
    return token
