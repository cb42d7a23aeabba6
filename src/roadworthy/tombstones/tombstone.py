"""A tombstone, and how a copy has it: a line of JSON."""

from datetime import datetime
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T", "Noted", "Complete")


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


class Noted(Tombstone, frozen=True, omit_defaults=True):
    """One of the database of that name; an older release did not say of which."""

    database: str | None = None


class Complete(msgspec.Struct, frozen=True, omit_defaults=True):
    """That a copy has all that ended until `complete_to` in `database`, which came from `of`."""

    complete_to: datetime
    database: str | None = None
    of: tuple[str, ...] = ()


def noted(tombstone: Tombstone, database: str) -> Noted:
    """The same, of `database`."""
    return Noted(**msgspec.structs.asdict(tombstone), database=database)


def is_spent(tombstone: Tombstone, now: datetime) -> bool:
    """Whether it holds down what could not rise anyway."""
    return tombstone.expires_at is not None and tombstone.expires_at <= now


def as_line(said: Noted | Complete) -> bytes:
    """How a copy has it, with the line's end."""
    return _ENCODER.encode(said) + b"\n"


def from_line(line: bytes) -> Noted | Complete | None:
    """What a line of a copy says; `None` when it says nothing, as one that was cut off."""
    return _decoded(line, _TOMBSTONES) or _decoded(line, _COMPLETE)


def _decoded(line: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        said = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said if _could_be(said) else None


def _could_be(said: Noted | Complete) -> bool:
    if isinstance(said, Complete):
        return said.complete_to.year in _YEARS and said.complete_to.tzinfo is not None
    ids = (said.id, 1 if said.user_id is None else said.user_id)
    moments = [moment for moment in (said.expires_at, said.happened_at) if moment]
    return all(0 < each <= _LARGEST_ID for each in ids) and all(
        moment.year in _YEARS for moment in moments
    )


_LARGEST_ID = 2**62
_YEARS = range(1970, 9000)
_ENCODER = msgspec.json.Encoder()
_TOMBSTONES = msgspec.json.Decoder(Noted)
_COMPLETE = msgspec.json.Decoder(Complete)
