"""The headers of every response, in the documented order, and conditional requests."""

import hashlib
import time

from roadworthy.wire.messages import Request, Response

HeaderList = list[tuple[bytes, bytes]]

SECURITY: HeaderList = [
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-xss-protection", b"0"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
]
VARY = (b"vary", b"Accept, Origin")
REVALIDATE = (b"cache-control", b"max-age=0, private, must-revalidate")
NO_CACHE = (b"cache-control", b"no-cache")
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""For a year, browsers ask this host over TLS only (RFC 6797); other hosts are not ours to say."""
CLOSE = (b"connection", b"close")
NO_STORE = "no-store"
"""Of what has no entity tag: it says how things stand at one moment."""

BODILESS = frozenset({204, 304})


def etag_of(body: bytes) -> str:
    """The weak entity tag that the documented API computes."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def has_already(request: Request, etag: str) -> bool:
    """Whether who asks has what `etag` tags, and wants it only if it is another now."""
    known = request.header(b"if-none-match")
    return request.method in {"GET", "HEAD"} and known is not None and matches(known, etag)


def matches(if_none_match: str, etag: str) -> bool:
    """Whether `if_none_match` names `etag`, compared weakly (RFC 9110, 13.1.2)."""
    if if_none_match == etag:
        return True
    if if_none_match.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(
        candidate.strip().removeprefix("W/") == wanted for candidate in if_none_match.split(",")
    )


def headers_of(response: Response, request_id: str, started: float) -> HeaderList:
    """Every header of `response`, its own in place of the usual ones of the same name.

    `started` is `time.perf_counter()` at the request's start.
    """
    status = response.status
    headers = SECURITY.copy()
    if status not in BODILESS:
        headers.append((b"content-type", response.content_type.encode()))
    headers.append(VARY)
    if response.etag is not None:
        headers.append((b"etag", response.etag.encode()))
    if response.cache_control is not None:
        headers.append((b"cache-control", response.cache_control.encode()))
    else:
        headers.append(NO_CACHE if response.etag is None else REVALIDATE)
    headers.append((b"x-request-id", request_id.encode()))
    headers.append((b"x-runtime", b"%.6f" % (time.perf_counter() - started)))
    if status not in BODILESS:
        headers.append((b"content-length", b"%d" % response.length))
    if response.headers:
        own = {name.encode() for name in response.headers}
        headers = [header for header in headers if header[0] not in own]
        headers += [(k.encode(), v.encode("latin-1")) for k, v in response.headers.items()]
    return headers
