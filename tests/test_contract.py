"""The documented request gives the documented response: every header in order, every byte."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Running
from tests.support.client import Answer, Client
from tests.support.drivers import PROFILE_PATH

DATA = Path(__file__).parent / "data"
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


@pytest.fixture
def api(fresh_service: Running, connect: Callable[[str], Client]) -> Client:
    """A service whose next profile gets the documented id."""
    fresh_service.tables.set_next_id("profiles", DOCUMENTED_ID)
    return connect(fresh_service.url)


@pytest.fixture
def signed(api: Client) -> list[tuple[str, str]]:
    """The documented request headers, after the documented driver signed up."""
    user = {"user": {"email": DOCUMENTED_DRIVER, "password": "correct horse battery"}}
    answer = api.send(
        "POST", "/api/v1/users", {"content-type": "application/json"}, json.dumps(user)
    )
    assert answer.status == 201, answer
    return [
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Authorization", answer.header("authorization") or ""),
        ("Cookie", ""),
    ]


def test_the_copies_are_the_documented_ones() -> None:
    assert len(REQUEST) == 193
    assert len(RESPONSE) == 1054
    assert hashlib.sha256(RESPONSE).hexdigest().startswith("06634d4fe0a273304b1836e718fb6aaf")


def test_create_profile(api: Client, signed: list[tuple[str, str]]) -> None:
    created = api.send("POST", PROFILE_PATH, signed, REQUEST)
    shown = api.send("GET", PROFILE_PATH, signed)

    for answer in (created, shown):
        assert answer.status == 200, answer
        assert answer.body == RESPONSE
        assert_documented_headers(answer)


def assert_documented_headers(answer: Answer) -> None:
    """Those of the page, in its order; only a server's own may stand around them."""
    sent = [(name, value) for name, value in answer.headers if name not in OF_THE_SERVER]
    assert [name for name, _ in sent] == [name for name, _ in DOCUMENTED_HEADERS], answer
    for (name, value), (_, shape) in zip(sent, DOCUMENTED_HEADERS, strict=True):
        assert re.fullmatch(shape, value), f"{name}: {value} is not like {shape}"
