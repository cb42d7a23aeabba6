"""What we answer when we do not do what was asked, in the shapes that clients know."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

Headers = Mapping[str, str]

REASONS = {
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
    460: "Checksum Mismatch",
}
"""The phrases of RFC 9110 where Python still has older ones, and of tus 1.0."""


class Refusal(Exception):
    """Ends a request with `status` and a JSON body; `headers` come on top of the usual ones."""

    def __init__(self, status: int, body: Mapping[str, object], headers: Headers | None = None):
        super().__init__(status)
        self.status = status
        self.body = msgspec.json.encode(body)
        self.headers = dict(headers or {})


class _Plain(Refusal):
    """`{"status":…,"error":…}`, with `detail` after them when there is something to add."""

    status: int

    def __init__(self, detail: str | None = None, headers: Headers | None = None):
        phrase = REASONS.get(self.status) or HTTPStatus(self.status).phrase
        body: dict[str, object] = {"status": self.status, "error": phrase}
        if detail:
            body["detail"] = detail
        super().__init__(self.status, body, headers)


class BadRequest(_Plain):
    """400: the request cannot be understood."""

    status = 400


class NotFound(_Plain):
    """404: no such route or record."""

    status = 404


class MethodNotAllowed(_Plain):
    """405: the route exists, the method does not."""

    status = 405

    def __init__(self, allowed: Iterable[str]):
        super().__init__(headers={"allow": ", ".join(allowed)})


class RequestTimeout(_Plain):
    """408: the body did not arrive in time."""

    status = 408


class Conflict(_Plain):
    """409: it is no longer as who asks believes."""

    status = 409


class Gone(_Plain):
    """410: it was there, and will not be again."""

    status = 410


class PreconditionFailed(_Plain):
    """412: we do not speak as the request asks."""

    status = 412


class TooLarge(_Plain):
    """413: the body is over `limit` bytes."""

    status = 413

    def __init__(self, limit: int):
        super().__init__(f"a body may have {limit} bytes")


class UnsupportedMediaType(_Plain):
    """415: the body is of a type that is not taken here."""

    status = 415


class RangeNotSatisfiable(_Plain):
    """416: the file, of `size` bytes, has no such part."""

    status = 416

    def __init__(self, size: int):
        super().__init__(headers={"content-range": f"bytes */{size}"})


class ChecksumMismatch(_Plain):
    """460: the bytes are others than the client sent (tus 1.0)."""

    status = 460


class TooManyRequests(_Plain):
    """429: too often; `retry_after` seconds later one is taken."""

    status = 429

    def __init__(self, retry_after: int):
        super().__init__(headers={"retry-after": str(retry_after)})


class HeadTooLarge(_Plain):
    """431: the first line and the headers are more than anybody needs."""

    status = 431


class ServerError(_Plain):
    """500: a fault of ours."""

    status = 500


class ServiceUnavailable(_Plain):
    """503: busy, or a part we need is away; try again in `retry_after` seconds."""

    status = 503

    def __init__(self, retry_after: int = 1):
        super().__init__(headers={"retry-after": str(retry_after)})


class Unauthorized(Refusal):
    """401: who asks is not known; `reason` is one of the documented ones."""

    def __init__(self, reason: str):
        super().__init__(401, {"error": reason}, {"www-authenticate": "Bearer"})


class Unprocessable(Refusal):
    """422: values refused, every refused field with its messages."""

    def __init__(self, errors: Mapping[str, list[str]]):
        super().__init__(422, {"errors": errors})
        self.errors = dict(errors)
