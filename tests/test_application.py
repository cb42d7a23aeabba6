"""What becomes of what a handler raises, and of bodies that arrive part by part."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, MutableMapping
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


def serving(route: Route) -> Application:
    return Application(
        [route], origins=frozenset(), trusted_proxies=(), start=nothing, stop=nothing
    )


async def exchange(
    application: Application, scope: dict[str, Any], *body: bytes
) -> list[MutableMapping[str, Any]]:
    """What is sent in answer to a request with `body`, which comes part by part."""
    sent = []
    parts = list(body) or [b""]

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent


def status_of(sent: list[MutableMapping[str, Any]]) -> int:
    return int(sent[0]["status"])


def ask(raised: Exception) -> list[MutableMapping[str, Any]]:
    """What is sent when the handler raises."""

    async def handler(_: Request) -> Response:
        raise raised

    return asyncio.run(exchange(serving(Route("GET", "/", handler)), scope_of("127.0.0.1")))


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


def test_a_request_knows_its_own_path_and_not_only_its_template() -> None:
    """Keys of idempotency, say, belong to it."""
    seen = []

    async def handler(request: Request) -> Response:
        seen.append((request.path, request.captured))
        return Response(204)

    application = serving(Route("GET", "/drivers/{driver}/notes", handler))
    for path in ("/drivers/7/notes", "//drivers/8/notes.json", "/drivers/8/notes/"):
        asyncio.run(exchange(application, {**scope_of("127.0.0.1"), "path": path}))

    assert seen == [
        ("/drivers/7/notes", {"driver": "7"}),
        ("/drivers/8/notes", {"driver": "8"}),
        ("/drivers/8/notes", {"driver": "8"}),
    ]


@pytest.mark.parametrize("zeros", [b"", b"0" * 5000])
def test_a_length_is_taken_however_it_is_written(zeros: bytes) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, await request.body())

    scope = {
        **scope_of("127.0.0.1"),
        "method": "POST",
        "headers": [(b"host", b"localhost"), (b"content-length", zeros + b"5")],
    }
    head, body = asyncio.run(exchange(serving(Route("POST", "/", handler)), scope, b"hello"))
    assert (head["status"], body["body"]) == (200, b"hello")


def test_bodies_count_for_as_long_as_their_requests_last() -> None:
    """The memory is full of those that wait for a slow writer, too; of one place, half of it."""
    size, most = 256 * 1024, 64 * 1024 * 1024
    writer = asyncio.Event()

    async def handler(request: Request) -> Response:
        await request.body()
        await writer.wait()
        return Response(204)

    application = serving(Route("POST", "/", handler))
    headers = [(b"host", b"localhost"), (b"content-length", b"%d" % size)]

    def send(client: str) -> Coroutine[Any, Any, Any]:
        scope = {**scope_of(client), "method": "POST", "headers": headers}
        return exchange(application, scope, b"x" * 10_000, b"x" * (size - 10_000))

    async def day() -> None:
        half = most // size // 2
        waiting = [asyncio.create_task(send("192.0.2.1")) for _ in range(half)]
        await asyncio.sleep(0.1)
        for _ in range(64):  # what is refused leaves no more room than there was
            refused = await asyncio.wait_for(send("192.0.2.1"), 5)
            assert status_of(refused) == 429
        waiting += [asyncio.create_task(send(f"198.51.100.{n}")) for n in range(half)]
        await asyncio.sleep(0.1)
        assert status_of(await send("203.0.113.1")) == 503
        writer.set()
        assert {status_of(sent) for sent in await asyncio.gather(*waiting)} == {204}
        assert status_of(await send("192.0.2.1")) == 204

    asyncio.run(day())


def test_bodies_from_one_place_leave_room_for_those_from_others() -> None:
    """However many accounts somebody has; of an IPv6 network each address is one place.

    Each place may take as much as is left, so who has many leaves some, too.
    """

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


def test_who_cannot_start_does_not_serve() -> None:
    async def start() -> None:
        raise KeyError

    application = Application(
        [], origins=frozenset(), trusted_proxies=(), start=start, stop=nothing
    )

    sent = asyncio.run(exchange(application, {"type": "lifespan"}))

    assert sent == [{"type": "lifespan.startup.failed"}]
