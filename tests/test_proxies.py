"""Who asks, behind proxies: only the word of those that are configured counts."""

import json
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.wire.proxies import client_behind
from tests.conftest import Place
from tests.support.client import Client, Headers
from tests.support.drivers import PASSWORD, new_driver
from tests.support.service import Service
from tests.support.tables import open_tables

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("2001:db8:ffff::/48"))
CASES = [
    # who connects, what they say, who asks
    ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
    ("10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
    ("10.0.0.1", "6.6.6.6,192.0.2.1,10.0.0.2", "192.0.2.1"),
    ("10.0.0.1", "192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
    ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
    ("2001:db8:ffff::1", "2001:db8::7", "2001:db8::7"),
    ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
    ("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
    ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
    ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
    ("10.0.0.1", " \t192.0.2.1 ", "192.0.2.1"),
    # a peer that is no proxy of ours
    ("192.0.2.9", "192.0.2.1", "192.0.2.9"),
    ("", "192.0.2.1", ""),
    ("unix:", "192.0.2.1", "unix:"),
    # nonsense, and what stands before it
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "unknown", "10.0.0.1"),
    ("10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"),
    ("10.0.0.1", "6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2"),
    ("10.0.0.1", "6.6.6.6, 300.1.1.1", "10.0.0.1"),
    ("10.0.0.1", "6.6.6.6,", "10.0.0.1"),
    ("10.0.0.1", "6.6.6.6; 192.0.2.1", "10.0.0.1"),
    ("10.0.0.1", "\xff\x00, [", "10.0.0.1"),
    ("10.0.0.1", "nonsense, 192.0.2.1", "192.0.2.1"),
]


@pytest.mark.parametrize(("peer", "forwarded_for", "client"), CASES)
def test_client(peer: str, forwarded_for: str, client: str) -> None:
    assert client_behind(peer, forwarded_for, TRUSTED) == client


@given(made_up=st.text(st.characters(max_codepoint=255)))
def test_what_a_client_makes_up_changes_nothing(made_up: str) -> None:
    said = f"{made_up}, 192.0.2.1, 10.0.0.2"
    assert client_behind("10.0.0.1", said, TRUSTED) == "192.0.2.1"


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("proxies", "headers", "address"),
    [
        ("", [("x-forwarded-for", "192.0.2.1")], "127.0.0.1"),
        ("10.0.0.0/8", [("x-forwarded-for", "192.0.2.1")], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
        ("127.0.0.1", [("x-real-ip", "192.0.2.1")], "127.0.0.1"),
        (
            "127.0.0.0/8, 10.0.0.5",
            [("x-forwarded-for", "6.6.6.6, 192.0.2.1"), ("X-Forwarded-For", "10.0.0.5")],
            "192.0.2.1",
        ),
    ],
)
def test_the_address_of_a_session(
    place: Place,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    proxies: str,
    headers: Headers,
    address: str,
) -> None:
    tables = open_tables(place.url)
    driver = new_driver(tables)
    service = start(place.folder, {**place.settings, "ROADWORTHY_TRUSTED_PROXIES": proxies})
    body = json.dumps({"user": {"email": driver.email, "password": PASSWORD}})
    answer = connect(service.url).send(
        "POST",
        "/api/v1/users/sign_in",
        [*headers, ("content-type", "application/json")],
        body,
    )
    (session,) = tables.rows("sessions", user_id=driver.id)
    tables.close()

    assert answer.status == 201, answer
    assert session["address"] == address


def test_who_comes_by_a_proxy_is_never_this_machine(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    service = start(place.folder, {**place.settings, "ROADWORTHY_TRUSTED_PROXIES": "127.0.0.1"})
    client = connect(service.url)

    assert client.send("GET", "/metrics").status == 200
    for said in ("127.0.0.1", "192.0.2.1", ""):
        assert client.send("GET", "/metrics", {"x-forwarded-for": said}).status == 404
