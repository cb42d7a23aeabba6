"""A tombstone, and how a copy has it: a line of JSON."""

from datetime import datetime
from typing import Literal

import msgspec


class Tombstone(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that ended for good.

    `token`: the token `jti` was revoked. `password`: that of `user_id` was changed at
    `happened_at`, and no earlier one opens the account. `account`: `user_id` closed it then.
    """

    id: int
    kind: Literal["token", "password", "account"]
    jti: str | None = None
    expires_at: datetime | None = None
    user_id: int | None = None
    happened_at: datetime | None = None


def is_spent(tombstone: Tombstone, now: datetime) -> bool:
    """Whether it holds down what could not rise anyway."""
    return tombstone.expires_at is not None and tombstone.expires_at <= now


def as_line(tombstone: Tombstone) -> bytes:
    """How a copy has it, with the line's end."""
    return _ENCODER.encode(tombstone) + b"\n"


def from_line(line: bytes) -> Tombstone | None:
    """What a line of a copy says; `None` when it says nothing, as one that was cut off."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Tombstone)
