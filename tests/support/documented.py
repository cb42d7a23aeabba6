"""The documented request and response, to the byte, and the documented driver."""

import json
import re
from pathlib import Path

from tests.support.client import Answer, Client

DATA = Path(__file__).parents[1] / "data"
REQUEST = (DATA / "create-profile.request.json").read_bytes()
RESPONSE = (DATA / "create-profile.response.json").read_bytes()

DOCUMENTED_DRIVER = ".+driver@example.com"
DOCUMENTED_ID = 707

DOCUMENTED_HEADERS = [
    ("x-frame-options", r"SAMEORIGIN"),
    ("x-xss-protection", r"0"),
    ("x-content-type-options", r"nosniff"),
    ("x-permitted-cross-domain-policies", r"none"),
    ("referrer-policy", r"strict-origin-when-cross-origin"),
    ("content-type", r"application/json; charset=utf-8"),
    ("vary", r"Accept, Origin"),
    ("etag", r'W/"06634d4fe0a273304b1836e718fb6aaf"'),
    ("cache-control", r"max-age=0, private, must-revalidate"),
    ("x-request-id", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("x-runtime", r"\d+\.\d{6}"),
    ("content-length", r"1054"),
]
OF_THE_SERVER = {"server", "date"}
"""What any HTTP server adds; the documented page leaves it out."""


def sign_up(client: Client) -> list[tuple[str, str]]:
    """The documented request headers, after the documented driver signed up."""
    user = {"user": {"email": DOCUMENTED_DRIVER, "password": "correct horse battery"}}
    answer = client.send(
        "POST", "/api/v1/users", {"content-type": "application/json"}, json.dumps(user)
    )
    assert answer.status == 201, answer
    return [
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Authorization", answer.header("authorization") or ""),
        ("Cookie", ""),
    ]


def assert_documented_headers(answer: Answer) -> None:
    """Those of the page, in its order; only a server's own may stand around them."""
    sent = [(name, value) for name, value in answer.headers if name not in OF_THE_SERVER]
    assert [name for name, _ in sent] == [name for name, _ in DOCUMENTED_HEADERS], answer
    for (name, value), (_, shape) in zip(sent, DOCUMENTED_HEADERS, strict=True):
        assert re.fullmatch(shape, value), f"{name}: {value} is not like {shape}"
