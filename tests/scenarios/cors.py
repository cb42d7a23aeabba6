"""Pages of the configured origins, and no others, may call the API."""

from tests.support.drivers import FIELDS
from tests.support.scenario import Scenario, Who, as_shown, error
from tests.support.service import ORIGIN, OTHER_ORIGIN

TUS = {"Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Metadata"}
EXPOSED = {"Authorization", "ETag", "Location", "Retry-After", *TUS, "Upload-Expires"}
ALLOWED = {
    "Authorization",
    "Content-Type",
    "Content-MD5",
    "If-None-Match",
    "Idempotency-Key",
    "JWT-AUD",
    "X-HTTP-Method-Override",
    "X-Request-Id",
    "X-Requested-With",
    *TUS,
}
NO_CORS = dict.fromkeys(
    (
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-expose-headers",
    )
)

_FOREIGN = [
    ("an origin that is not configured", "https://evil.example.com"),
    ("a configured one on another port", f"{ORIGIN}:8443"),
    ("a configured one over plain HTTP", ORIGIN.replace("https", "http")),
    ("a configured one with a longer name", f"{ORIGIN}.evil.com"),
    ("null", "null"),
    ("nothing", ""),
    ("a star", "*"),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"a page of {origin} may read the answer",
            who=Who.REGISTERED,
            method="GET",
            headers={"origin": origin},
            answer=as_shown(),
            answer_headers={
                "access-control-allow-origin": origin,
                "access-control-expose-headers": EXPOSED,
                "access-control-allow-credentials": None,
            },
        )
        for origin in (ORIGIN, OTHER_ORIGIN)
    ),
    *(
        Scenario(
            name=f"a page of {what} may not read the answer",
            who=Who.REGISTERED,
            method="GET",
            headers={"origin": origin},
            answer=as_shown(),
            answer_headers=NO_CORS,
        )
        for what, origin in _FOREIGN
    ),
    Scenario(
        name="without an origin nothing is said of origins",
        who=Who.REGISTERED,
        method="GET",
        answer_headers=NO_CORS,
    ),
    *(
        Scenario(
            name=f"our page may ask whether it may {method}",
            who=Who.NOBODY,
            method="OPTIONS",
            headers={
                "origin": ORIGIN,
                "access-control-request-method": method,
                "access-control-request-headers": "authorization,content-type",
            },
            status=204,
            answer_headers={
                "access-control-allow-origin": ORIGIN,
                "access-control-allow-methods": {method},
                "access-control-allow-headers": ALLOWED,
            },
        )
        for method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
    ),
    Scenario(
        name="a foreign page may ask, and is told nothing",
        who=Who.NOBODY,
        method="OPTIONS",
        headers={"origin": "https://evil.example.com", "access-control-request-method": "POST"},
        status=405,
        answer=error(405),
        answer_headers=NO_CORS,
    ),
    Scenario(
        name="our page may read why it was refused",
        who=Who.NOBODY,
        method="GET",
        headers={"origin": ORIGIN},
        status=401,
        answer_headers={"access-control-allow-origin": ORIGIN},
    ),
    Scenario(
        name="our page may read what was wrong",
        headers={"origin": ORIGIN},
        json={"profile": {**FIELDS, "first_name": ""}},
        status=422,
        answer_headers={"access-control-allow-origin": ORIGIN},
    ),
    Scenario(
        name="our page may read that a route is unknown",
        who=Who.NOBODY,
        method="GET",
        path="/api/v1/nothing",
        headers={"origin": ORIGIN},
        status=404,
        answer_headers={"access-control-allow-origin": ORIGIN},
    ),
    Scenario(
        name="our page may read that nothing has changed",
        who=Who.REGISTERED,
        method="GET",
        headers={"origin": ORIGIN, "if-none-match": "*"},
        status=304,
        answer_headers={
            "access-control-allow-origin": ORIGIN,
            "access-control-expose-headers": EXPOSED,
        },
    ),
    Scenario(
        name="a foreign page's request is served: only reading is withheld",
        headers={"origin": "https://evil.example.com"},
        json={"profile": FIELDS},
        answer=as_shown(),
        answer_headers=NO_CORS,
        changes={"profiles": 1},
    ),
]
