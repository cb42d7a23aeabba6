"""A route: where a request goes, and what the API document says of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roadworthy.wire.messages import Request, Response
from roadworthy.wire.shapes import Shape

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Parameter:
    """A field of a request body, as the API document describes it."""

    name: str
    description: str
    shape: Shape
    required: bool = False

    def optional(self) -> "Parameter":
        """The same where it need not be given."""
        return Parameter(self.name, self.description, self.shape.optional())

    def not_required(self) -> "Parameter":
        """The same where it need not be given, and must be right if it is."""
        return replace(self, required=False)


@dataclass(frozen=True)
class Operation:
    """What the API document says of a route."""

    summary: str
    tag: str
    answers: Mapping[int, str]
    """Status to what it means; see `openapi.py` for the shapes that go with them."""
    schema: type | None = None
    """The type of a successful body."""
    key: str | None = None
    """The object that the parameters stand in: `profile`, `user`."""
    parameters: tuple[Parameter, ...] = ()
    in_path: Mapping[str, str] = field(default_factory=dict)
    """What each `{name}` of the path is."""
    in_query: Mapping[str, str] = field(default_factory=dict)
    """What else the query string must say, and what that is."""
    may_query: Mapping[str, str] = field(default_factory=dict)
    """What it may say."""
    in_header: Mapping[str, str] = field(default_factory=dict)
    """What headers of its own may say."""
    signed_in: bool = False
    may_be_signed_in: bool = False
    keeps_answers: bool = False
    """Whether an `Idempotency-Key` gets the first answer again."""
    flat_body: bool = False
    """Whether JSON may give the fields without `key` around them."""
    example: Mapping[str, Any] | None = None
    """Of the parameters."""
    answer: bytes | None = None
    """An example of a successful body."""
    gives_token: bool = False
    conditional: bool = False
    answers_bytes: bool = False
    """Whether a successful body is no JSON."""


@dataclass(frozen=True)
class Route:
    """`method` and `path` to the handler that answers; `{name}` in the path is any one part."""

    method: str
    path: str
    handler: Handler
    operation: Operation | None = None
