"""The documented request, and every byte and header of its response."""

import hashlib
import http.client
import re
from pathlib import Path

from tests.support.service import PROFILE, Service

REQUEST = Path(__file__, "../data/create-profile.request.json").resolve().read_bytes()
RESPONSE = Path(__file__, "../data/create-profile.response.json").resolve().read_bytes()

HEADERS: list[tuple[str, str | re.Pattern[str]]] = [
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "0"),
    ("x-content-type-options", "nosniff"),
    ("x-permitted-cross-domain-policies", "none"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("content-type", "application/json; charset=utf-8"),
    ("vary", "Accept, Origin"),
    ("etag", 'W/"06634d4fe0a273304b1836e718fb6aaf"'),
    ("cache-control", "max-age=0, private, must-revalidate"),
    ("x-request-id", re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
    ("x-runtime", re.compile(r"\d+\.\d{6}")),
    ("content-length", "1054"),
]
"""As the page shows them, in its order."""


def test_the_documented_driver_registers(service: Service) -> None:
    token = _sign_up(service, ".+driver@example.com")
    _next_profile_is(service, 707)

    status, headers, body = _ask(service, "POST", REQUEST, token)

    assert status == 200
    assert body == RESPONSE
    assert len(body) == 1054
    documented = [pair for pair in headers if pair[0] not in {"server", "date"}]
    assert [name for name, _ in documented] == [name for name, _ in HEADERS]
    for (name, expected), (_, value) in zip(HEADERS, documented, strict=True):
        if isinstance(expected, str):
            assert value == expected, name
        else:
            assert expected.fullmatch(value), f"{name}: {value}"

    assert _ask(service, "GET", None, token)[2] == RESPONSE
    tag = hashlib.sha256(RESPONSE).hexdigest()[:32]
    assert f'W/"{tag}"' == "".join(value for name, value in headers if name == "etag")


def _sign_up(service: Service, email: str) -> str:
    account = {"user": {"email": email, "password": "correct horse"}}
    with service.client() as client:
        response = client.post("/api/v1/users", json=account)
    assert response.status_code == 201, response.text
    return response.headers["authorization"]


def _next_profile_is(service: Service, number: int) -> None:
    if service.rows.is_sqlite:
        service.rows("DELETE FROM sqlite_sequence WHERE name = 'profiles'")
        service.rows("INSERT INTO sqlite_sequence VALUES ('profiles', $1)", number - 1)
    else:
        service.rows(f"ALTER SEQUENCE profiles_id_seq RESTART WITH {number}")


def _ask(
    service: Service, method: str, body: bytes | None, authorization: str
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Past the client library, so that the order and case of headers are seen."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    headers = {"Accept": "application/json", "Authorization": authorization}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, PROFILE, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.getheaders(), content
