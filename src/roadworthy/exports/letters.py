"""The letter that says where the download is."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from roadworthy.accounts import Link, Purpose, digest_of, keep_link, link_token
from roadworthy.database import Database
from roadworthy.mail import About, Letter, Writer

LETTER = "export"
PAGE = "/account/export"
LIFETIME = timedelta(days=7)
"""Of a download, and of its link."""


class ExportLetters:
    """Writes it; the link begins with `base_url` and is made with `secret`."""

    def __init__(
        self,
        database: Database,
        secret: str,
        base_url: str,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._secret = secret
        self._base_url = base_url
        self._clock = clock

    @property
    def writers(self) -> Mapping[str, Writer]:
        """Who writes which."""
        return {LETTER: self._export}

    async def _export(self, about: About) -> Letter | None:
        made_at = datetime.fromisoformat(about["at"])
        token = link_token(Purpose.EXPORT, about["name"], self._secret)
        link = Link(digest_of(token), Purpose.EXPORT, about["email"], made_at + LIFETIME)
        if link.expires_at <= self._clock():
            return None
        if not await self._database.write(keep_link, link, made_at):
            return None
        return Letter(
            about["email"],
            "What we hold about you",
            (
                "You asked for everything that is held about you at Roadworthy. It is ready.",
                "To download it, open this page within seven days and sign in:",
            ),
            f"{self._base_url}{PAGE}?token={token}",
            "Download it",
            ("If you did not ask for it, change your password: somebody else is signed in.",),
        )
