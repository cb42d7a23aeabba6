"""Headers, paths, methods, conditional requests and CORS."""

import re

from tests.scenarios.scenario import PLAIN, Scenario
from tests.support.service import ORIGIN, PROFILE, VALID, Driver, Service

SECURITY = {
    "x-frame-options": "SAMEORIGIN",
    "x-xss-protection": "0",
    "x-content-type-options": "nosniff",
    "x-permitted-cross-domain-policies": "none",
    "referrer-policy": "strict-origin-when-cross-origin",
    "vary": "Accept, Origin",
}
ERROR = {
    **SECURITY,
    "cache-control": "no-cache",
    "etag": None,
    "content-type": "application/json; charset=utf-8",
}
NOT_MODIFIED = {
    **SECURITY,
    "content-type": None,
    "content-length": None,
    "cache-control": "max-age=0, private, must-revalidate",
}
METHODS = "GET, POST, PATCH, PUT, DELETE, HEAD"
PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization, idempotency-key",
}
EXPOSED = (
    "Authorization, ETag, Location, Retry-After, Tus-Resumable, Tus-Version, Tus-Extension, "
    "Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Defer-Length, "
    "Upload-Metadata, Upload-Expires, Upload-Checksum, Upload-Signed-Id"
)


def _etag(service: Service, driver: Driver) -> str:
    with service.client() as client:
        return client.get(PROFILE, headers=driver.headers).headers["etag"]


def _strong(service: Service, driver: Driver) -> str:
    return _etag(service, driver).removeprefix("W/")


SCENARIOS = [
    # Headers
    Scenario(
        "a success's headers",
        200,
        profile=VALID,
        sends={**SECURITY, "cache-control": "max-age=0, private, must-revalidate"},
    ),
    Scenario(
        "an error's headers", 401, signed_in=False, sends={**ERROR, "www-authenticate": "Bearer"}
    ),
    Scenario("headers of an error before routing", 404, path="/nowhere", sends=ERROR),
    Scenario("headers of a wrong method", 405, "TRACE", sends={**ERROR, "allow": METHODS}),
    *(
        Scenario(
            f"the request id {sent!r}",
            200,
            profile=VALID,
            headers={"X-Request-Id": sent},
            sends={"x-request-id": kept},
        )
        for sent, kept in (
            ("abc-DEF_1@2", "abc-DEF_1@2"),
            ("a b/c.d", "abcd"),
            ("x" * 300, "x" * 255),
        )
    ),
    # Conditional requests
    *(
        row
        for method in ("GET", "HEAD")
        for row in (
            Scenario(
                f"{method} the same tag",
                304,
                method,
                profile=VALID,
                headers={"If-None-Match": _etag},
                sends=NOT_MODIFIED,
            ),
            Scenario(
                f"{method} the tag compared weakly",
                304,
                method,
                profile=VALID,
                headers={"If-None-Match": _strong},
                sends=NOT_MODIFIED,
            ),
            Scenario(
                f"{method} a list with the tag",
                304,
                method,
                profile=VALID,
                headers={"If-None-Match": lambda s, d: f'"a", {_etag(s, d)}, W/"b"'},
            ),
            Scenario(
                f"{method} any tag", 304, method, profile=VALID, headers={"If-None-Match": "*"}
            ),
            Scenario(
                f"{method} another tag",
                200,
                method,
                profile=VALID,
                headers={"If-None-Match": 'W/"x"'},
            ),
            Scenario(f"{method} any tag of nothing", 404, method, headers={"If-None-Match": "*"}),
        )
    ),
    Scenario(
        "a tag does not stop a change",
        200,
        "PATCH",
        profile=VALID,
        json={"bio": "x"},
        headers={"If-None-Match": "*"},
        shows={"bio": "x"},
    ),
    Scenario(
        "If-Match is ignored",
        200,
        "PATCH",
        profile=VALID,
        json={"bio": "x"},
        headers={"If-Match": '"other"'},
        shows={"bio": "x"},
    ),
    Scenario(
        "X-HTTP-Method-Override is ignored",
        422,
        "POST",
        profile=VALID,
        json={"profile": VALID},
        headers={"X-HTTP-Method-Override": "DELETE"},
    ),
    # Paths
    *(
        Scenario(f"the path {path}", 200, path=path, profile=VALID, shows=VALID)
        for path in (
            f"{PROFILE}.json",
            f"{PROFILE}?format=json",
            f"{PROFILE}/",
            "/api//v1///users/profile",
            f"{PROFILE}.json/",
        )
    ),
    *(
        Scenario(f"no such path {path}", 404, path=path, answer=PLAIN[404])
        for path in (
            "/",
            "/api",
            "/API/v1/users/profile",
            "/api/v1/users/Profile",
            f"{PROFILE}/1",
            f"{PROFILE}.xml",
            "/api/v1/users/profiles",
            "/rails",
            "/api/v1/users/profile%00",
        )
    ),
    Scenario(
        "no such path, not signed in", 404, path="/api/v1/x", signed_in=False, answer=PLAIN[404]
    ),
    Scenario("a wrong method, not signed in", 405, "OPTIONS", signed_in=False, answer=PLAIN[405]),
    Scenario(
        "a wrong method elsewhere",
        405,
        "GET",
        path="/api/v1/users/sign_in",
        sends={"allow": "POST"},
    ),
    Scenario(
        "errors are JSON whatever is accepted",
        401,
        signed_in=False,
        headers={"Accept": "text/html"},
        answer={"error": "You need to sign in or sign up before continuing."},
    ),
    # Order of judgement
    Scenario(
        "an unsigned request learns nothing of its body",
        401,
        "POST",
        signed_in=False,
        body="{",
        type="application/json",
    ),
    Scenario(
        "an unsigned request learns nothing of its size",
        401,
        "POST",
        signed_in=False,
        body=b" " * (1024 * 1024 + 1),
        type="application/json",
    ),
    # CORS
    Scenario(
        "our origin",
        200,
        profile=VALID,
        headers={"Origin": ORIGIN},
        sends={
            "access-control-allow-origin": ORIGIN,
            "access-control-expose-headers": EXPOSED,
            "access-control-allow-credentials": None,
        },
    ),
    Scenario(
        "our origin, an error",
        401,
        signed_in=False,
        headers={"Origin": ORIGIN},
        sends={"access-control-allow-origin": ORIGIN},
    ),
    Scenario(
        "another origin",
        200,
        profile=VALID,
        headers={"Origin": "https://evil.example"},
        sends={"access-control-allow-origin": None, "access-control-expose-headers": None},
    ),
    Scenario(
        "a preflight",
        204,
        "OPTIONS",
        signed_in=False,
        headers={"Origin": ORIGIN, **PREFLIGHT},
        sends={
            "access-control-allow-origin": ORIGIN,
            "access-control-allow-methods": "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS",
            "access-control-allow-headers": "Authorization, Content-Type, Content-MD5, "
            "If-None-Match, Idempotency-Key, JWT-AUD, X-Request-Id, X-Requested-With, "
            + re.sub("^.*Retry-After, ", "", EXPOSED),
        },
    ),
    Scenario(
        "a preflight of another origin",
        405,
        "OPTIONS",
        signed_in=False,
        headers={"Origin": "https://evil.example", **PREFLIGHT},
        sends={"access-control-allow-origin": None, "access-control-allow-methods": None},
    ),
    # The service itself
    Scenario("up", 200, path="/up", signed_in=False, answer={"status": "up"}),
    Scenario(
        "the docs page loads nothing",
        200,
        path="/docs",
        signed_in=False,
        sends={
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "base-uri 'none'; form-action 'none'",
        },
    ),
]
