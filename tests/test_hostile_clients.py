"""Slow and hostile clients hold up nobody, and take no more memory than they are given."""

import contextlib
import errno
import json
import resource
import socket
import time
from collections.abc import Callable

import pytest

from roadworthy.sockets import drop_unread
from tests.conftest import Place, Running
from tests.support.client import Client
from tests.support.drivers import FIELDS, PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.processes import megabytes
from tests.support.service import Service
from tests.support.tables import open_tables

Connect = Callable[[str], Client]

IDLE = 10_000
SLOW = 500
MOST_GROWTH = 160
"""Megabytes that all of those may take together."""

NOT_SERVED = range(400, 500)


Dial = Callable[[str], socket.socket]


@pytest.fixture
def embedded(new_place: Callable[[str], Place]) -> Place:
    """A service with memory of its own; which database it has changes nothing here."""
    return new_place("sqlite")


def registered_in(place: Place) -> Driver:
    """A driver with a profile."""
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    tables.close()
    return driver


def head(method: str, path: str, driver: Driver | None = None, **headers: object) -> bytes:
    """The lines of a request, up to the empty one."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if driver:
        lines.append(f"Authorization: Bearer {driver.token}")
    return ("\r\n".join(lines) + "\r\n").encode()


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    gathered = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            gathered += part
    return gathered


def test_slow_and_idle_clients_hold_up_nobody(
    embedded: Place, start: Callable[..., Service], connect: Connect, dial: Dial
) -> None:
    slow, other = registered_in(embedded), registered_in(embedded)
    service = start(embedded.folder, embedded.settings)
    client = connect(service.url)
    assert other.send(client, "GET").status == 200
    before = megabytes(service)

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most > IDLE + 3 * SLOW, "too few open files are allowed here: raise `ulimit -Hn`"
    idle = [dial(service.url) for _ in range(IDLE)]
    headers = [dial(service.url) for _ in range(SLOW)]
    for each in headers:
        each.sendall(head("GET", "/up", X_Slow="a" * 1000))
    bodies = [dial(service.url) for _ in range(SLOW)]
    request = head("PATCH", PROFILE_PATH, slow, Content_Type="application/json", Content_Length=100)
    for each in bodies:
        each.sendall(request + b'\r\n{"profile":')

    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert other.send(client, "GET").status == 200
        assert other.send(client, "PATCH", {"bio": str(time.monotonic())}).status == 200
        assert megabytes(service) - before < MOST_GROWTH
        time.sleep(0.1)

    for each in (*idle, *headers):
        assert received(each) == b"", "it is answered though it asked nothing"
    for each in bodies:
        assert received(each).startswith(b"HTTP/1.1 408 "), "a body that never comes is waited for"
    assert service.errors == ""


def test_large_bodies_that_arrive_slowly_have_bounded_room(
    embedded: Place, start: Callable[..., Service], connect: Connect, dial: Dial
) -> None:
    """All together they are more than there is room for; small ones still pass."""
    slow, other = registered_in(embedded), registered_in(embedded)
    service = start(embedded.folder, embedded.settings)
    client = connect(service.url)
    assert other.send(client, "GET").status == 200
    before = megabytes(service)

    size = 256 * 1024
    request = head(
        "PATCH", PROFILE_PATH, slow, Content_Type="application/json", Content_Length=size
    )
    for _ in range(600):
        connection = dial(service.url)
        with contextlib.suppress(ConnectionError):
            connection.sendall(request + b"\r\n" + b" " * (size - 1))
        assert other.send(client, "PATCH", {"bio": "x" * 10_000}).status == 200

    assert megabytes(service) - before < MOST_GROWTH
    assert received(connection).startswith(b"HTTP/1.1 429 "), "there was room for all of them"


def test_pipelined_requests_are_answered_in_order(
    client: Client, service: Running, dial: Dial, registered: Driver
) -> None:
    assert registered.send(client, "GET").status == 200
    connection = dial(service.url)
    asked = [f"pipelined-{number}" for number in range(100)]
    for name in asked[:-1]:
        connection.sendall(head("GET", PROFILE_PATH, registered, X_Request_Id=name) + b"\r\n")
    connection.sendall(
        head("GET", PROFILE_PATH, registered, X_Request_Id=asked[-1], Connection="close") + b"\r\n"
    )

    lines = received(connection).split(b"\r\n")
    answered = [line.partition(b" ")[2].decode() for line in lines if line[:12] == b"x-request-id"]
    assert answered == asked


def test_answers_nobody_reads_are_not_piled_up(
    embedded: Place, start: Callable[..., Service], connect: Connect, dial: Dial
) -> None:
    greedy = registered_in(embedded)
    service = start(embedded.folder, embedded.settings)
    assert greedy.send(connect(service.url), "GET").status == 200
    before = megabytes(service)
    asked = (head("GET", PROFILE_PATH, greedy) + b"\r\n") * 1000
    for _ in range(20):
        connection = dial(service.url)
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(20):
                connection.sendall(asked)

    assert greedy.send(connect(service.url), "GET").status == 200
    assert megabytes(service) - before < MOST_GROWTH


def test_who_takes_no_answer_does_not_keep_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drop_unread(0.5)
        with socket.create_connection(listener.getsockname()):  # never reads
            accepted, _ = listener.accept()
            accepted.settimeout(30)
            with pytest.raises(OSError, match="timed out") as ended:
                accepted.sendall(b"x" * 64 * 1024 * 1024)
            assert ended.value.errno == errno.ETIMEDOUT, "the kernel ended it, not our patience"
            accepted.close()


@pytest.mark.parametrize("size", [2, 100_000, 3_000_000])
def test_after_an_answer_that_did_not_wait_for_the_body_the_connection_goes_on(
    client: Client, registered: Driver, size: int
) -> None:
    json_type = {"content-type": "application/json"}
    for _ in range(3):
        assert client.send("POST", PROFILE_PATH, json_type, b" " * size).status == 401
        assert client.send("POST", "/nowhere", json_type, b" " * size).status == 404
        assert registered.send(client, "GET").status == 200


def test_who_asks_whether_to_send_a_body_is_refused_before(service: Running, dial: Dial) -> None:
    connection = dial(service.url)
    asked = head("POST", PROFILE_PATH, Content_Length=100_000, Expect="100-continue")
    connection.sendall(asked + b"\r\n")

    assert received(connection).startswith(b"HTTP/1.1 401 "), "not 100, which asks for the body"


def test_who_hangs_up_is_not_waited_for(
    client: Client, service: Running, dial: Dial, driver: Driver
) -> None:
    body = json.dumps({"profile": FIELDS}).encode()
    request = head(
        "POST", PROFILE_PATH, driver, Content_Type="application/json", Content_Length=len(body)
    )
    for sent in (request, request + b"\r\n", request + b"\r\n" + body[:-1]):
        connection = dial(service.url)
        connection.sendall(sent)
        connection.close()

    assert driver.send(client, "GET").status == 404, "half a request was taken for a whole one"
    assert driver.send(client, "POST", FIELDS).status == 200


_UP = b"GET /up HTTP/1.1\r\nHost: localhost\r\n"
_SIGN_UP = b"POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_CHUNKED = _SIGN_UP + b"Transfer-Encoding: chunked\r\n\r\n"

_BROKEN = {
    "a chunk of no size": _CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk of more than there is": _CHUNKED + b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a chunk that runs over": _CHUNKED + b"1\r\n{}{}{}\r\n0\r\n\r\n",
    "a length below nothing": _SIGN_UP + b"Content-Length: -1\r\n\r\n",
    "two lengths": _SIGN_UP + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length that is none": _SIGN_UP + b"Content-Length: two\r\n\r\n{}",
    "a length over any": _SIGN_UP + b"Content-Length: 99999999999999999999\r\n\r\n",
    "a length far over ours": _SIGN_UP + b"Content-Length: 9999999999\r\n\r\n{}",
    "an unknown transfer encoding": _SIGN_UP + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "a header of 300 kB": _UP + b"X: " + b"a" * 300_000 + b"\r\n\r\n",
    "a thousand headers": _UP + b"".join(b"X%d: a\r\n" % n for n in range(1000)) + b"\r\n",
    "a path of 200 kB": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in a header": _UP + b"X: a\0b\r\n\r\n",
    "a space before a colon": b"GET /up HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a folded header": _UP + b"X: a\r\n b\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /up\r\n\r\n",
    "a version to come": b"GET /up HTTP/3.7\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x11" * 190 + b"\r\n\r\n",
    "noise": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("sent", _BROKEN.values(), ids=_BROKEN)
def test_what_is_not_http_is_refused(
    client: Client, service: Running, dial: Dial, sent: bytes
) -> None:
    connection = dial(service.url)
    with contextlib.suppress(ConnectionError):
        connection.sendall(sent)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    answer = received(connection)

    assert not answer or int(answer.split()[1]) in NOT_SERVED, answer
    assert client.send("GET", "/up").status == 200
