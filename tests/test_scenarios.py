"""Every table of requests and answers, on both databases."""

import json
from typing import Any

import httpx
import pytest

from tests.scenarios import accounts, bodies, conventions, profiles, tokens, values
from tests.scenarios.scenario import PLAIN, Scenario
from tests.support.service import Driver, Service

TABLES = [accounts, bodies, conventions, profiles, tokens, values]
ROWS = [
    pytest.param(row, id=f"{table.__name__.rpartition('.')[2]}: {row.name}")
    for table in TABLES
    for row in table.SCENARIOS
]


@pytest.mark.parametrize("row", ROWS)
def test_scenario(row: Scenario, service: Service) -> None:
    driver = service.new_driver(row.profile)

    response = _send(row, service, driver)

    assert response.status_code == row.status, response.text
    _check_body(row, response)
    _check_headers(row, response)
    if row.stored is not None:
        _check_stored(row.stored, service, driver)


def _send(row: Scenario, service: Service, driver: Driver) -> httpx.Response:
    headers = driver.headers if row.signed_in else {}
    for name, value in row.headers.items():
        headers[name] = value if isinstance(value, str) else value(service, driver)
    if row.type:
        headers["Content-Type"] = row.type
    content = row.body.encode() if isinstance(row.body, str) else row.body
    with service.client() as client:
        path = row.path.replace("{email}", driver.email)
        given = json.loads(json.dumps(row.json).replace("{email}", driver.email))
        return client.request(
            row.method,
            path,
            headers=headers,
            content=content,
            **({} if row.json is None else {"json": given}),
        )


def _check_body(row: Scenario, response: httpx.Response) -> None:
    expected = {"errors": row.errors} if row.errors is not None else row.answer
    if expected is not None:
        answered = response.json()
        answered.pop("detail", None)
        assert answered == expected
        assert list(answered) == list(expected)
    if row.errors is not None:
        assert list(response.json()["errors"]) == list(row.errors), "the documented order"
    if row.status in PLAIN and row.method != "HEAD":
        assert response.json() | PLAIN[row.status] == response.json()
    if row.shows:
        shown = response.json()
        shown = shown.get("profile", shown)
        assert {name: shown[name] for name in row.shows} == row.shows


def _check_headers(row: Scenario, response: httpx.Response) -> None:
    for name, value in row.sends.items():
        assert response.headers.get(name) == value, name


def _check_stored(expected: Any, service: Service, driver: Driver) -> None:
    found = service.rows("SELECT * FROM profiles WHERE user_id = $1", driver.id)
    if not expected:
        assert found == []
        return
    assert {name: str(found[0][name]) for name in expected} == {
        name: str(value) for name, value in expected.items()
    }
