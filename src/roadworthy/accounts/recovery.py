"""What the links in mails let their holders do: confirm an address, choose a new password."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from roadworthy.accounts.account import judge_new_password, judge_secret
from roadworthy.accounts.letters import PASSWORD_CHANGED
from roadworthy.accounts.link_queries import Addressee, drop_links, find_addressee, use_link
from roadworthy.accounts.links import Purpose, digest_of
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import confirm_address, set_password
from roadworthy.accounts.requests import to_the_millisecond
from roadworthy.accounts.throttle import Throttle
from roadworthy.accounts.throttle_queries import remember_address
from roadworthy.database import Connection, Database
from roadworthy.mail import enqueue_letter
from roadworthy.wire import Unprocessable
from roadworthy.wire.values import INVALID

CONFIRMATION_TOKEN = "confirmation_token"  # noqa: S105 -- a parameter's name
RESET_TOKEN = "reset_password_token"  # noqa: S105


class Recovery:
    """Each link does it once; `clock` gives the current time, in UTC."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        throttle: Throttle,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def addressee(self, purpose: Purpose, token: str) -> Addressee | None:
        """Whose link carries `token`, while it is good."""
        digest = digest_of(token)
        return await self._database.read(find_addressee, purpose, digest, self._clock())

    async def require_confirmation_link(self, given: Mapping[str, Any]) -> None:
        """Raise the 422 that `confirm` would."""
        token = _required(given, CONFIRMATION_TOKEN)
        if await self.addressee(Purpose.CONFIRMATION, token) is None:
            raise _no_link(CONFIRMATION_TOKEN)

    async def confirm(self, given: Mapping[str, Any]) -> None:
        """Confirm the address that the link went to. Raises the 422 that says why not."""
        token = _required(given, CONFIRMATION_TOKEN)
        if not await self._database.write(_confirm, digest_of(token), self._clock()):
            raise _no_link(CONFIRMATION_TOKEN)

    async def reset_password(self, given: Mapping[str, Any], client: str) -> None:
        """Put a new password in place, and revoke every token. Raises the 422 that says why not.

        A password that is refused leaves the link good.
        """
        token = _required(given, RESET_TOKEN)
        if await self.addressee(Purpose.RESET, token) is None:
            raise _no_link(RESET_TOKEN)
        password = judge_new_password(given)
        with self._passwords.in_line(client) as line:
            digest = await line.digest(password)
        now = to_the_millisecond(self._clock())
        place = self._throttle.place(client)
        email = await self._database.write(_reset_password, digest_of(token), digest, place, now)
        if email is None:
            raise _no_link(RESET_TOKEN)  # somebody was quicker
        await self._throttle.forgive(email, client)


def _confirm(connection: Connection, digest: str, now: datetime) -> bool:
    addressee = use_link(connection, Purpose.CONFIRMATION, digest, now)
    if addressee is None:
        return False
    confirm_address(connection, addressee.id, now)
    return True


def _reset_password(
    connection: Connection, digest: str, password_digest: str, place: bytes, now: datetime
) -> str | None:
    """The address of who did, if the link was good; where they did, no stranger locks them out."""
    addressee = use_link(connection, Purpose.RESET, digest, now)
    if addressee is None:
        return None
    remember_address(connection, addressee.id, place, now)
    set_password(connection, addressee.id, password_digest, now)
    drop_links(connection, addressee.id, Purpose.RESET)
    enqueue_letter(connection, PASSWORD_CHANGED, {"email": addressee.email}, now)
    return addressee.email


def _required(given: Mapping[str, Any], name: str) -> str:
    token, wrong = judge_secret(given, name)
    if wrong:
        raise Unprocessable({name: [wrong]})
    return token


def _no_link(name: str) -> Unprocessable:
    return Unprocessable({name: [INVALID]})
