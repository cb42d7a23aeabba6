"""A request as handlers see it and a response as they give it."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from contextlib import contextmanager
from datetime import UTC, datetime
from random import getrandbits
from typing import Any, NamedTuple

import msgspec

from roadworthy.wire.errors import (
    BadRequest,
    HeadTooLarge,
    Refusal,
    RequestTimeout,
    ServiceUnavailable,
    TooLarge,
    TooManyRequests,
)
from roadworthy.wire.proxies import Networks, client_behind, network_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_HEAD_BYTES = 32 * 1024
"""Of its first line and headers."""
MOST_BODY_BYTES = 256 * 1024
"""A profile takes less, with every character of a long text escaped."""
BODY_SECONDS = 30

MOST_HELD_BYTES = 64 * 1024 * 1024
"""Of all bodies that arrive or are dealt with in this process, unless they are small."""
SMALL_BYTES = 16 * 1024

SLOWEST_BYTES_A_SECOND = 8 * 1024
"""Of a body taken part by part, after its first `BODY_SECONDS`: a poor signal does better."""
MOST_STREAMS = 256
"""Bodies that are taken part by part in this process at once."""
PART_BYTES = 256 * 1024
PART_SECONDS = 1
"""What arrived is handed on when it is as much, or has waited as long, once more arrives."""

MOST_DISCARDED_BYTES = 16 * 1024 * 1024
DISCARD_SECONDS = 5

_HOST = re.compile(r"[\w.\-]+(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?", re.ASCII)
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.IGNORECASE)
_OF_PROXIES = frozenset({b"via", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip"})
_NOT_IN_REQUEST_ID = re.compile(r"[^A-Za-z0-9_@-]")


_NOTHING_CAPTURED: dict[str, str] = {}


class Form(NamedTuple):
    """A body that was taken apart as it arrived."""

    pairs: Sequence[tuple[str, Any]]
    digest: bytes
    """SHA-256 of all that it says: the same for the same, sent again."""


class Request:
    """One request. Header names are lower-case bytes, as ASGI gives them.

    The word of a peer among `trusted_proxies` is taken for who asks. `path` is as its route knows
    it, however it was written; `captured` is what it has where the route says `{name}`.
    """

    __slots__ = (
        "_body",
        "_held",
        "_is_received",
        "_peer",
        "_place",
        "_receive",
        "_scope",
        "_to_come",
        "_trusted_proxies",
        "captured",
        "declared_bytes",
        "form",
        "headers",
        "id",
        "method",
        "path",
        "query",
        "scheme",
    )

    def __init__(self, scope: Scope, receive: Receive, trusted_proxies: Networks = ()):
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.captured: dict[str, str] = _NOTHING_CAPTURED
        self.query: bytes = scope["query_string"]
        self.scheme: str = scope.get("scheme", "http")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self.headers) != len(scope["headers"]):
            self._join_lines(scope["headers"])
        self.id = request_id(self.headers.get(b"x-request-id"))
        self._peer: str = (scope.get("client") or ("",))[0]
        self._trusted_proxies = trusted_proxies
        self._scope = scope
        self.form: Form | None = None
        """What its body says, where that came part by part and is not kept."""
        self._receive = receive
        self._body: bytes | None = None
        self._held = 0
        self._place = ""
        self.declared_bytes = self._declared_bytes()
        """How long the body is; `None` when only its end will tell (RFC 9112, 6.3)."""
        self._to_come = self.declared_bytes
        self._is_received = self._to_come == 0

    def _declared_bytes(self) -> int | None:
        if b"transfer-encoding" in self.headers:
            return None
        digits = self.headers.get(b"content-length", b"").lstrip(b"0")
        return int(digits or 0)  # the server takes no more than 20 digits, and any zeros before

    def require_modest_head(self) -> None:
        """Raise `HeadTooLarge` where reading what it says could take long."""
        size = len(self.path) + len(self.query) + sum(map(len, self.headers.values()))
        if size > MOST_HEAD_BYTES:
            raise HeadTooLarge

    def header(self, name: bytes) -> str | None:
        """The value of the header `name`, the last one if it was sent more than once."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def bearer(self) -> str | None:
        """What stands behind `Bearer`, in any case, in the `Authorization` header."""
        words = (self.header(b"authorization") or "").split()
        if len(words) > 1 and words[0].lower() == "bearer":
            return words[1]
        return None

    @property
    def client(self) -> str:
        """The address of who asks."""
        forwarded_for = self.header(b"x-forwarded-for")
        if forwarded_for is None or not self._trusted_proxies:
            return self._peer
        return client_behind(self._peer, forwarded_for, self._trusted_proxies)

    @property
    def base_url(self) -> str:
        """Where the client reached us, by its own word; empty when that is no address."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        return f"{self.scheme}://{host}" if _HOST.fullmatch(host) else ""

    @property
    def is_local(self) -> bool:
        """Whether it was sent from this machine, to this machine, and shows no sign of a proxy."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        hosts = sum(name == b"host" for name, _ in self._scope["headers"])
        return (
            hosts == 1
            and self._scope["http_version"] != "1.0"  # so speak proxies that say nothing else
            and self._peer in {"127.0.0.1", "::1"}
            and _LOCAL_HOST.fullmatch(host) is not None
            and not any(b"forwarded" in name or name in _OF_PROXIES for name in self.headers)
        )

    def _join_lines(self, lines: Iterable[tuple[bytes, bytes]]) -> None:
        """Several lines of a header that is a list are one list (RFC 9110, 5.3)."""
        for list_name in (b"if-none-match", b"x-forwarded-for"):
            values = [value for name, value in lines if name == list_name]
            if values:
                self.headers[list_name] = b", ".join(values)

    def require_at_most(self, most: int) -> None:
        """Raise `TooLarge` when the body is declared to be longer."""
        if (self.declared_bytes or 0) > most:
            raise TooLarge(most)

    async def body(self, most: int = MOST_BODY_BYTES) -> bytes:
        """The whole body, of at most `most` bytes. Raises a 400, 408, 413 or 503 `Refusal`."""
        self.require_at_most(most)
        if self._body is None:
            self._body = await self._read(most)
        return self._body

    async def _read(self, most: int) -> bytes:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._gather(most)
        except TimeoutError:
            raise RequestTimeout from None

    async def _gather(self, most: int) -> bytes:
        body = bytearray()
        while not self._is_received:
            body += await self._next_part()
            self._hold(len(body))
            if len(body) > most:
                raise TooLarge(most)
        return bytes(body)

    def _hold(self, size: int) -> None:
        """That so much of the body is here. Raises a 429 or 503 `Refusal` for want of room."""
        more = size - self._held
        if size <= SMALL_BYTES:
            _held.take_anyway(more)
        else:
            if not self._place:
                self._place = network_of(self.client)
                _held.give_back("", self._held)
                self._held, more = 0, size
            _held.take(self._place, more)
        self._held = size

    def release(self) -> None:
        """Its body is needed no more: others may have the memory."""
        if self._held:
            _held.give_back(self._place, self._held)
            self._held = 0

    async def parts(self, most: int) -> AsyncGenerator[bytes, None]:
        """The body of at most `most` bytes, part by part as it arrives.

        Raises a 400, 408, 413, 429 or 503 `Refusal`; use it once, in place of `body`.
        """
        self.require_at_most(most)
        began, size = time.monotonic(), 0
        with _streams.taken(network_of(self.client)):
            while not self._is_received:
                seconds = BODY_SECONDS + size / SLOWEST_BYTES_A_SECOND
                part, trouble = await self._part_within(began + seconds - time.monotonic())
                size += len(part)
                if size > most:
                    raise TooLarge(most)
                if part:
                    yield part
                if trouble:
                    raise trouble

    async def _part_within(self, seconds: float) -> tuple[bytes, Refusal | None]:
        """Some of what arrives, as a server hands it out in small pieces, and why no more does."""
        pieces, size, began = list[bytes](), 0, time.monotonic()
        try:
            async with asyncio.timeout(min(seconds, BODY_SECONDS)):
                while not self._is_received and size < PART_BYTES:
                    piece = await self._next_part()
                    pieces.append(piece)
                    size += len(piece)
                    if time.monotonic() > began + PART_SECONDS:
                        break
        except TimeoutError:
            return b"".join(pieces), RequestTimeout()
        except BadRequest as trouble:
            return b"".join(pieces), trouble
        return b"".join(pieces), None

    async def _next_part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            # Its framing is broken, or the client hung up, and nobody waits for the answer.
            raise BadRequest("the body ended before it was whole")
        part: bytes = message.get("body", b"")
        if self._to_come is not None:  # to be told that it is whole would take as long again
            self._to_come -= len(part)
        self._is_received = self._to_come == 0 or not message.get("more_body", False)
        return part

    async def discard_rest(self) -> bool:
        """Receive what nobody asked for, within limits; whether the connection can go on after it.

        Who is answered while still sending may see only that the connection broke.
        """
        if self._is_received:
            return True
        if b"expect" in self.headers and self._to_come == self.declared_bytes:
            return False  # it waits to be told whether to send (RFC 9110, 10.1.1)
        size = 0
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._is_received and size <= MOST_DISCARDED_BYTES:
                    size += len(await self._next_part())
        except (TimeoutError, BadRequest):
            return False
        return self._is_received


class _Room:
    """What those at one place share with those at others: nobody takes more of it than is left, so
    that who comes next finds some, however many accounts or addresses somebody has.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._by_place: Counter[str] = Counter()

    def take(self, place: str, size: int = 1) -> None:
        """Raises a 429 `Refusal` when the place has its share, a 503 when nothing is left."""
        left = self._most - self._taken
        if size > left:
            raise ServiceUnavailable
        if self._by_place[place] + size > left:
            raise TooManyRequests(1)
        self._taken += size
        self._by_place[place] += size

    def take_anyway(self, size: int) -> None:
        """For who is refused nothing, and whose place is not asked for."""
        self._taken += size
        self._by_place[""] += size

    def give_back(self, place: str, size: int = 1) -> None:
        """What was taken."""
        self._taken -= size
        self._by_place[place] -= size
        if not self._by_place[place]:
            del self._by_place[place]

    @contextmanager
    def taken(self, place: str) -> Iterator[None]:
        """While one is taken. Raises a 429 or 503 `Refusal` for want of room."""
        self.take(place)
        try:
            yield
        finally:
            self.give_back(place)


_held = _Room(MOST_HELD_BYTES)
_streams = _Room(MOST_STREAMS)


def request_id(sent: bytes | None) -> str:
    """The client's own id where it sent one that can be used, else a new one."""
    if sent:
        kept = _NOT_IN_REQUEST_ID.sub("", sent.decode("latin-1"))[:255]
        if kept:
            return kept
    return _uuid()


def _uuid() -> str:
    """A random UUID (RFC 9562, version 4), for telling requests apart, not for secrets."""
    digits = f"{getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


KEPT_BY_NOBODY = "private, no-store"
"""Of files: they are personal, and whoever may see one asks for it again."""


class Response:
    """What a handler answers.

    `etag` is computed from `body` when it is not given; `cache_control` may be set where it is not
    the usual one.
    """

    __slots__ = ("body", "cache_control", "content_type", "etag", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        *,
        etag: str | None = None,
        content_type: str = "application/json; charset=utf-8",
        headers: dict[str, str] | None = None,
    ):
        self.status = status
        self.body = body
        self.etag = etag
        self.content_type = content_type
        self.cache_control: str | None = None
        self.headers = headers

    @property
    def length(self) -> int:
        """Of the whole body, in bytes."""
        return len(self.body)


class StreamedResponse(Response):
    """An answer of `length` bytes that come as `parts`, kept by nobody; HEAD asks for none.

    `done`, which may be set, is called once nobody asks for more, whatever became of it.
    """

    __slots__ = ("_length", "done", "parts")

    def __init__(
        self,
        status: int,
        parts: AsyncGenerator[bytes, None],
        length: int,
        *,
        etag: str,
        content_type: str,
        headers: dict[str, str],
    ):
        super().__init__(status, etag=etag, content_type=content_type, headers=headers)
        self.cache_control = KEPT_BY_NOBODY
        self.parts = parts
        self._length = length
        self.done: Callable[[], None] = lambda: None

    @property
    def length(self) -> int:
        """Of the whole body, in bytes."""
        return self._length

    async def close(self) -> None:
        """Ask for no more."""
        try:
            await self.parts.aclose()
        finally:
            self.done()


def json_response(status: int, value: object, headers: dict[str, str] | None = None) -> Response:
    """`value` as compact JSON."""
    return Response(status, msgspec.json.encode(value), headers=headers)


def instant_text(moment: datetime) -> str:
    """UTC to the millisecond: `2026-11-23T16:23:29.767Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
