"""Pages of the configured origins, and no others, may call the API (Fetch standard, CORS)."""

from roadworthy.wire.headers import HeaderList
from roadworthy.wire.messages import Request, Response

TUS_HEADERS = (
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, "
    "Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, "
    "Upload-Checksum, Upload-Signed-Id"
)
EXPOSED = f"Authorization, ETag, Location, Retry-After, {TUS_HEADERS}"
ALLOWED = (
    "Authorization, Content-Type, Content-MD5, If-None-Match, Idempotency-Key, JWT-AUD, "
    f"X-CSRF-Token, X-HTTP-Method-Override, X-Request-Id, X-Requested-With, {TUS_HEADERS}"
)
METHODS = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"


class CrossOrigin:
    """Decides by the `Origin` header; an origin that is not configured gets no CORS header."""

    def __init__(self, origins: frozenset[str]):
        self._origins = frozenset(origin.encode() for origin in origins)

    def preflight(self, request: Request) -> Response | None:
        """The answer to a preflight from one of our origins, if this is one."""
        if b"access-control-request-method" not in request.headers or not self._is_ours(request):
            return None
        return Response(
            204,
            headers={
                "access-control-allow-methods": METHODS,
                "access-control-allow-headers": ALLOWED,
                "access-control-max-age": "7200",
            },
        )

    def headers(self, request: Request) -> HeaderList:
        """What lets the page read the response."""
        if not self._is_ours(request):
            return []
        return [
            (b"access-control-allow-origin", request.headers[b"origin"]),
            (b"access-control-expose-headers", EXPOSED.encode()),
        ]

    def _is_ours(self, request: Request) -> bool:
        return request.headers.get(b"origin") in self._origins
