"""What becomes of what a handler raises, and of bodies that arrive part by part."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import msgspec
import pytest

from roadworthy.database import Busy, Unavailable
from roadworthy.wire import Application, Request, Response, Route, TooManyRequests


async def nothing() -> None:
    """No start and no stop."""


def scope_of(client: str) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": (client, 1),
    }


def ask(raised: Exception) -> list[MutableMapping[str, Any]]:
    """What is sent when the handler raises."""

    async def handler(_: Request) -> Response:
        raise raised

    route = Route("GET", "/", handler)
    application = Application(
        [route], origins=frozenset(), trusted_proxies=(), start=nothing, stop=nothing
    )
    sent = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope_of("127.0.0.1"), receive, send))
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


def test_bodies_from_one_place_leave_room_for_those_from_others() -> None:
    """However many accounts somebody has; of an IPv6 network each address is one place."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"x" * 300_000, "more_body": True}

    async def begin(client: str) -> AsyncGenerator[bytes, None]:
        headers = [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
        parts = Request({**scope_of(client), "headers": headers}, receive).parts(10**9)
        assert await anext(parts)
        return parts

    async def day() -> None:
        for client, other in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")):
            begun = [await begin(client) for _ in range(128)]
            with pytest.raises(TooManyRequests):
                await begin(client)
            begun.append(await begin(other))
            await begun.pop(0).aclose()
            begun.append(await begin(client))
            for parts in begun:
                await parts.aclose()

    asyncio.run(day())
