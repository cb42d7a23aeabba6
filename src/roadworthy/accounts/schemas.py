"""Accounts on the wire: what is shown of them, and what may be given."""

import msgspec

from roadworthy.accounts.account import ADDRESS_SPACES, LONGEST_PASSWORD, SHORTEST_PASSWORD
from roadworthy.accounts.queries import User
from roadworthy.accounts.session_queries import Session
from roadworthy.wire import Parameter, instant_text, shapes
from roadworthy.wire.shapes import Shape


class Account(msgspec.Struct):
    """An account as its owner sees it."""

    id: int
    email: str
    phone_number: str | None
    created_at: str
    updated_at: str


class OpenSession(msgspec.Struct):
    """Where the driver is signed in; `current` is the one that asks."""

    id: str
    address: str | None
    created_at: str
    current: bool
    expires_at: str
    user_agent: str | None


class Sessions(msgspec.Struct):
    """The newest first."""

    sessions: list[OpenSession]


class Done(msgspec.Struct):
    """There is nothing to say."""


def shown(user: User) -> Account:
    """The account of `user`."""
    return Account(
        user.id,
        user.email,
        user.phone_number,
        instant_text(user.created_at),
        instant_text(user.updated_at),
    )


def shown_session(session: Session, current: str) -> OpenSession:
    """The session, seen by who carries the token `current`."""
    return OpenSession(
        session.jti,
        session.address,
        instant_text(session.created_at),
        session.jti == current,
        instant_text(session.expires_at),
        session.user_agent,
    )


_SPACES = f"[{ADDRESS_SPACES}]"
_ADDRESS = {
    "type": "string",
    "maxLength": 255,
    "pattern": rf"^{_SPACES}*[^@\u0000{ADDRESS_SPACES}]+@[^@\u0000{ADDRESS_SPACES}]+{_SPACES}*$",
    "examples": [".+driver@example.com"],
}
_SECRET = {
    "type": "string",
    "format": "password",
    "minLength": SHORTEST_PASSWORD,
    "maxLength": LONGEST_PASSWORD,
    "pattern": shapes.NOT_BLANK,
}
_LONG_NUMBER = {
    "type": "integer",
    "anyOf": [
        {"minimum": 10 ** (SHORTEST_PASSWORD - 1)},
        {"maximum": -(10 ** (SHORTEST_PASSWORD - 2))},
    ],
}
_AGAIN = {"type": "string", "format": "password"}
_PROOF = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": shapes.NOT_BLANK}

EMAIL = Parameter("email", "E-mail address", Shape(_ADDRESS, _ADDRESS), required=True)
PASSWORD = Parameter(
    "password", "Password", Shape({"anyOf": [_SECRET, _LONG_NUMBER]}, _SECRET), required=True
)
_NOTHING = {"type": "string", "maxLength": 0}
_NOT_GIVEN = {"type": ["null", "array", "object"]}
NEW_PASSWORD = Parameter(
    "password",
    "Password; none, or an empty one, leaves the one there is",
    Shape({"anyOf": [_SECRET, _LONG_NUMBER, _NOTHING, _NOT_GIVEN]}, {"anyOf": [_SECRET, _NOTHING]}),
)
PASSWORD_AGAIN = Parameter(
    "password_confirmation",
    "The password again",
    Shape({**_AGAIN, "type": ["string", "integer", "null"]}, _AGAIN),
)
PHONE_NUMBER = Parameter("phone_number", "Phone number", shapes.optional_text())
CURRENT_PASSWORD = Parameter(
    "current_password", "The password until now", Shape(_PROOF, _PROOF), required=True
)
RESET_TOKEN = Parameter(
    "reset_password_token", "What the mailed link carries", Shape(_PROOF, _PROOF), required=True
)

_WHEN = "2026-11-23T16:23:29.767Z"
ACCOUNT_EXAMPLE = msgspec.json.encode(Account(1859, ".+driver@example.com", None, _WHEN, _WHEN))
SESSIONS_EXAMPLE = msgspec.json.encode(
    Sessions(
        [
            OpenSession(
                "1d0ffca3-6f5f-4d1c-a1a5-3a0c1f2a86d2",
                "203.0.113.7",
                _WHEN,
                True,  # noqa: FBT003 -- it is this one
                "2026-12-23T16:23:29.000Z",
                "Roadworthy/2.1 (iPhone; iOS 26.1)",
            )
        ]
    )
)
