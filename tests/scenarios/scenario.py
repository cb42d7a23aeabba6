"""One row of a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.support.service import PROFILE, VALID, Driver, Service

HeaderValue = str | Callable[[Service, Driver], str]


@dataclass(frozen=True)
class Scenario:
    """A request, by a driver of its own, and its answer.

    The driver is signed in unless `signed_in` is false, and has `profile` if one is given.
    """

    name: str
    status: int
    method: str = "GET"
    path: str = PROFILE
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    json: Any = None
    """A body sent as JSON."""
    body: bytes | str | None = None
    """A body sent as it is; say its type in `type`."""
    type: str | None = None
    signed_in: bool = True
    profile: Mapping[str, Any] | None = None
    answer: Any = None
    """The whole body, as JSON."""
    errors: Mapping[str, list[str]] | None = None
    """The body is `{"errors": …}` with these, in this order."""
    shows: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the profile, or of the answer itself where it has no profile."""
    sends: Mapping[str, str | None] = field(default_factory=dict)
    """Headers of the answer; `None`: not there."""
    stored: Mapping[str, Any] | None = None
    """Columns of the driver's profile afterwards; empty: there is none."""


def each(*values: Any) -> tuple[Any, ...]:
    """Values of whatever types, to make a row of each."""
    return values


def form(**fields: str) -> str:
    """`VALID`, changed by `fields`, as a form's body."""
    changed = {**VALID, **fields}
    return "&".join(f"profile[{name}]={quote(value)}" for name, value in changed.items())


def multipart(*parts: tuple[str, str], boundary: str = "AaB03x") -> bytes:
    """A multipart body of `parts`: what follows `form-data; `, and the content."""
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n"
        for head, content in parts
    ]
    return ("".join(lines) + f"--{boundary}--\r\n").encode()


PLAIN = {
    400: {"status": 400, "error": "Bad Request"},
    404: {"status": 404, "error": "Not Found"},
    405: {"status": 405, "error": "Method Not Allowed"},
    413: {"status": 413, "error": "Content Too Large"},
}
