"""What becomes of what a handler raises."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

from roadworthy.database import Busy, Unavailable
from roadworthy.wire import Application, Request, Response, Route


async def nothing() -> None:
    """No start and no stop."""


def ask(raised: Exception) -> list[MutableMapping[str, Any]]:
    """What is sent when the handler raises."""

    async def handler(_: Request) -> Response:
        raise raised

    route = Route("GET", "/", handler)
    application = Application(
        [route], origins=frozenset(), trusted_proxies=(), start=nothing, stop=nothing
    )
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
    }
    sent = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return sent


@pytest.mark.parametrize("raised", [Busy(), Unavailable("gone")], ids=["busy", "away"])
def test_who_cannot_be_served_now_is_told_to_come_back(raised: Exception) -> None:
    head, body = ask(raised)

    assert head["status"] == 503
    assert (b"retry-after", b"1") in head["headers"]
    assert msgspec.json.decode(body["body"]) == {"status": 503, "error": "Service Unavailable"}


def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    head, body = ask(KeyError("a secret"))

    assert head["status"] == 500
    assert msgspec.json.decode(body["body"]) == {"status": 500, "error": "Internal Server Error"}
