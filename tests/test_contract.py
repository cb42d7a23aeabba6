"""The documented request gives the documented response: every header in order, every byte."""

import hashlib
from collections.abc import Callable

import pytest

from tests.conftest import Running
from tests.support.client import Client
from tests.support.documented import (
    DOCUMENTED_ID,
    REQUEST,
    RESPONSE,
    assert_documented_headers,
    sign_up,
)
from tests.support.drivers import PROFILE_PATH


@pytest.fixture
def api(fresh_service: Running, connect: Callable[[str], Client]) -> Client:
    """A service whose next profile gets the documented id."""
    fresh_service.tables.set_next_id("profiles", DOCUMENTED_ID)
    return connect(fresh_service.url)


def test_the_copies_are_the_documented_ones() -> None:
    assert len(REQUEST) == 193
    assert len(RESPONSE) == 1054
    assert hashlib.sha256(RESPONSE).hexdigest().startswith("06634d4fe0a273304b1836e718fb6aaf")


def test_create_profile(api: Client) -> None:
    signed = sign_up(api)
    created = api.send("POST", PROFILE_PATH, signed, REQUEST)
    shown = api.send("GET", PROFILE_PATH, signed)

    for answer in (created, shown):
        assert answer.status == 200, answer
        assert answer.body == RESPONSE
        assert_documented_headers(answer)
