"""Response headers. Those of every response are held by `support/scenario.py` on every row."""

import re

from tests.support.drivers import FIELDS
from tests.support.scenario import UUID, Scenario, Who

REVALIDATE = "max-age=0, private, must-revalidate"

_REQUEST_IDS: list[tuple[str, str | bytes, str | None]] = [
    ("a client's own request id comes back", "5b84cd14-ef9d-4560-b56e-76b853b3bd19", None),
    ("a request id may be any of the letters taken", "AZaz09_@-", None),
    ("other letters are taken out of a request id", "a b\tc/d.e<f>%2Fg", "abcdef2Fg"),
    ("letters beyond ASCII are taken out of a request id", "é-1".encode(), "-1"),
    ("a request id is kept to 255 letters", "x" * 300, "x" * 255),
    ("it is cut after the other letters are out", "." * 300 + "y" * 256, "y" * 255),
]

SCENARIOS = [
    *(
        Scenario(
            name=name,
            who=Who.REGISTERED,
            method="GET",
            headers={"x-request-id": sent},
            answer_headers={"x-request-id": comes_back or sent},
        )
        for name, sent, comes_back in _REQUEST_IDS
    ),
    *(
        Scenario(
            name=f"a request id that is {what} is as if none was sent",
            who=Who.REGISTERED,
            method="GET",
            headers={"x-request-id": sent},
            answer_headers={"x-request-id": UUID},
        )
        for what, sent in (("empty", ""), ("of other letters only", "../{}<>"))
    ),
    Scenario(
        name="without a request id there is a new one",
        who=Who.REGISTERED,
        method="GET",
        answer_headers={"x-request-id": UUID},
    ),
    Scenario(
        name="an error has the client's request id too",
        who=Who.NOBODY,
        method="GET",
        headers={"x-request-id": "mine"},
        status=401,
        answer_headers={"x-request-id": "mine"},
    ),
    Scenario(
        name="so has an answer to an unknown route",
        who=Who.NOBODY,
        method="GET",
        path="/nothing/here",
        headers={"x-request-id": "mine"},
        status=404,
        answer_headers={"x-request-id": "mine"},
    ),
    Scenario(
        name="a 401 says which scheme opens the route",
        who=Who.NOBODY,
        method="GET",
        status=401,
        answer_headers={"www-authenticate": "Bearer"},
    ),
    Scenario(
        name="no other error says so",
        method="GET",
        status=404,
        answer_headers={"www-authenticate": None},
    ),
    Scenario(
        name="HEAD answers what GET does, less the body",
        who=Who.REGISTERED,
        method="HEAD",
        answer_headers=lambda stage: {
            "etag": stage.etag,
            "cache-control": REVALIDATE,
            "content-length": re.compile(r"10\d\d"),
        },
    ),
    Scenario(
        name="HEAD on an error has no body either",
        who=Who.NOBODY,
        method="HEAD",
        status=401,
        answer_headers={"content-length": "61", "www-authenticate": "Bearer"},
    ),
    Scenario(
        name="HEAD before there is a profile",
        method="HEAD",
        status=404,
        answer_headers={"content-length": re.compile(r"\d+")},
    ),
    Scenario(
        name="a success is tagged, whatever the method",
        json={"profile": FIELDS},
        answer_headers=lambda stage: {"etag": stage.etag},
        changes={"profiles": 1},
    ),
    Scenario(
        name="the service is up",
        who=Who.NOBODY,
        method="GET",
        path="/up",
        answer_headers={"cache-control": REVALIDATE},
    ),
]
