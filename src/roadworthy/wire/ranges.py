"""Parts of a file: the `Range` header (RFC 9110, 14)."""

import re
from typing import NamedTuple

from roadworthy.wire.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


class Part(NamedTuple):
    """From the byte `start` to before `stop`."""

    start: int
    stop: int


def part_wanted(header: str | None, if_range: str | None, etag: str, size: int) -> Part | None:
    """The part of a file of `size` bytes that is asked for; `None`: all of it.

    A header of another kind, or for several parts, is answered with the whole, as is one for a file
    that has changed (`if_range` is not `etag`). Raises `RangeNotSatisfiable`.
    """
    match = _ONE_RANGE.fullmatch(header) if header else None
    if match is None or (if_range is not None and if_range != etag):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        raise RangeNotSatisfiable(size)
    return Part(start, stop)
