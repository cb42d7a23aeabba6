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
        said = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    ids = (said.id, 1 if said.user_id is None else said.user_id)
    moments = [moment for moment in (said.expires_at, said.happened_at) if moment]
    could_be = all(0 < each <= _LARGEST_ID for each in ids) and all(
        moment.year in _YEARS for moment in moments
    )
    return said if could_be else None


_LARGEST_ID = 2**62
_YEARS = range(1970, 9000)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Tombstone)
