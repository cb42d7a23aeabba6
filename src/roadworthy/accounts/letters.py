"""The letters that an account gets."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from roadworthy.accounts.link_queries import Link, keep_link
from roadworthy.accounts.links import LIFETIMES, Purpose, digest_of, link_token
from roadworthy.database import Database
from roadworthy.mail import About, Letter, Writer

CONFIRMATION = "confirmation"
RESET = "reset"
PASSWORD_CHANGED = "password changed"  # noqa: S105 -- a letter's name
ADDRESS_CHANGED = "address changed"

_PAGES = {
    Purpose.CONFIRMATION: "/account/confirmation?confirmation_token=",
    Purpose.RESET: "/account/password?reset_password_token=",
}
_NOT_ME = "If it was not you, tell your operator at once."


class AccountLetters:
    """Writes them; links begin with `base_url` and are made with `secret`."""

    def __init__(
        self, database: Database, secret: str, base_url: str, clock: Callable[[], datetime]
    ):
        self._database = database
        self._secret = secret
        self._base_url = base_url
        self._clock = clock

    @property
    def writers(self) -> Mapping[str, Writer]:
        """Who writes which."""
        return {
            CONFIRMATION: self._confirmation,
            RESET: self._reset,
            PASSWORD_CHANGED: self._password_changed,
            ADDRESS_CHANGED: self._address_changed,
        }

    async def _confirmation(self, about: About) -> Letter | None:
        link = await self._link(Purpose.CONFIRMATION, about)
        if link is None:
            return None
        return Letter(
            about["email"],
            "Confirm your e-mail address",
            (
                "Somebody, you we hope, gave this address for their account with Roadworthy.",
                "To confirm that it is yours, open this page within three days:",
            ),
            link,
            "Confirm my address",
            ("If it was not you, you need do nothing.",),
        )

    async def _reset(self, about: About) -> Letter | None:
        link = await self._link(Purpose.RESET, about)
        if link is None:
            return None
        return Letter(
            about["email"],
            "Choose a new password",
            (
                "Somebody, you we hope, forgot the password of your account with Roadworthy.",
                "To choose a new one, open this page within six hours:",
            ),
            link,
            "Choose a new password",
            (
                "The page works once, and only the newest one sent to you.",
                "If it was not you, you need do nothing: your password stays as it is.",
            ),
        )

    async def _password_changed(self, about: About) -> Letter:
        return Letter(
            about["email"],
            "Your password was changed",
            (
                f"The password of your account with Roadworthy was changed on {_day(about)}.",
                "Whoever was signed in with the old one no longer is.",
                _NOT_ME,
            ),
        )

    async def _address_changed(self, about: About) -> Letter:
        return Letter(
            about["email"],
            "Your e-mail address was changed",
            (
                f"The address of your account with Roadworthy was changed on {_day(about)}.",
                "From now on mail goes to the new one, and you sign in with it.",
                _NOT_ME,
            ),
        )

    async def _link(self, purpose: Purpose, about: About) -> str | None:
        """The page that the letter leads to; `None` when nobody needs it any more."""
        token = link_token(purpose, about["name"], self._secret)
        expires_at = self._clock() + LIFETIMES[purpose]
        link = Link(digest_of(token), purpose, about["email"], expires_at)
        asked_at = datetime.fromisoformat(about["at"])
        only_from = bytes.fromhex(about["only_from"]) if "only_from" in about else None
        if not await self._database.write(keep_link, link, asked_at, only_from):
            return None
        return f"{self._base_url}{_PAGES[purpose]}{token}"


def _day(about: About) -> str:
    at = datetime.fromisoformat(about["at"]).astimezone(UTC)
    return f"{at.day} {at:%B %Y at %H:%M} UTC"
