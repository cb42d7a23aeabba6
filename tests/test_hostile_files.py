"""Slow and hostile clients with files: bounded memory, bounded time, and others are served."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.conftest import Place
from tests.support.blobs import Announced, announce, attach, fetch, pdf, upload
from tests.support.client import Client
from tests.support.drivers import Driver, new_driver, with_profile
from tests.support.processes import bytes_read, megabytes
from tests.support.service import Service
from tests.support.tables import open_tables

Connect = Callable[[str], Client]
Dial = Callable[[str], socket.socket]

MEGABYTE = 1024 * 1024
AT_ONCE = 50
MOST_GROWTH = 80
"""Megabytes that 50 files of 10 MB which arrive at once may take."""
MOST_GROWTH_UNREAD = 250
"""The same for 152 of 19 MB that are asked for and not read."""


@pytest.fixture
def embedded(new_place: Callable[[str], Place]) -> Place:
    """A service with memory of its own; which database it has changes nothing here."""
    return new_place("sqlite")


@pytest.fixture
def service(embedded: Place, start: Callable[..., Service]) -> Service:
    return start(embedded.folder, embedded.settings)


@pytest.fixture
def client(service: Service, connect: Connect) -> Client:
    return connect(service.url)


@pytest.fixture
def drivers(embedded: Place) -> list[Driver]:
    tables = open_tables(embedded.url)
    found = [with_profile(tables, new_driver(tables)) for _ in range(20)]
    tables.close()
    return found


def _head(blob: Announced, length: int) -> bytes:
    parts = urlsplit(blob.url)
    return (
        f"PUT {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/pdf\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def _get(url: str) -> bytes:
    parts = urlsplit(url)
    return f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()


def _shown(client: Client, driver: Driver, size: int) -> str:
    """The URL of a file of that size."""
    url: str = attach(client, driver, cv=upload(client, driver, pdf(filler=size)))["cv"]["url"]
    return url


def test_large_files_that_arrive_at_once_take_no_memory(
    service: Service, client: Client, drivers: list[Driver]
) -> None:
    content = pdf(filler=10 * MEGABYTE)
    blobs = [announce(client, drivers[n % 10], content) for n in range(AT_ONCE)]
    before, peak = megabytes(service), 0.0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        sent = [threads.submit(blob.send) for blob in blobs]
        while not all(each.done() for each in sent):
            peak = max(peak, megabytes(service))
            time.sleep(0.02)
    assert {each.result().status for each in sent} == {204}
    assert peak - before < MOST_GROWTH


def test_who_sends_slowly_is_waited_for_only_so_long(
    service: Service, client: Client, drivers: list[Driver], dial: Dial, embedded: Place
) -> None:
    blobs = [announce(client, drivers[0], pdf()) for _ in range(20)]
    slow = []
    for blob in blobs:
        slow.append(dial(service.url))
        slow[-1].sendall(_head(blob, len(blob.content)) + b"%PDF-1.4")
    statuses = [int(connection.recv(65536).split()[1]) for connection in slow]
    assert statuses.count(408) == 8, "more of one driver's arrive at once than may"
    assert statuses.count(429) == 12
    assert list((embedded.folder / "files" / "incoming").iterdir()) == []
    assert service.errors == ""


def test_who_hangs_up_while_sending_leaves_nothing(
    service: Service, client: Client, drivers: list[Driver], dial: Dial, embedded: Place
) -> None:
    content = pdf(filler=MEGABYTE)
    blobs = [announce(client, drivers[0], content) for _ in range(5)]
    for blob in blobs:
        connection = dial(service.url)
        connection.sendall(_head(blob, len(content)) + content[:-1])
        connection.close()
    files = embedded.folder / "files"
    time.sleep(1)
    until = time.monotonic() + 20
    while time.monotonic() < until and list(files.glob("incoming/*")):
        time.sleep(0.05)
    assert list(files.glob("incoming/*")) == []
    assert list(files.glob("??/??/*")) == []
    assert blobs[0].send().status == 204


def test_files_that_nobody_reads_are_not_piled_up(
    service: Service, client: Client, drivers: list[Driver], dial: Dial
) -> None:
    url, *others = (_shown(client, driver, 19 * MEGABYTE) for driver in drivers)
    before = megabytes(service)
    unread = [dial(service.url) for _ in range(8 * len(others))]
    for number, connection in enumerate(unread):
        connection.sendall(_get(others[number % len(others)]))
    time.sleep(2)
    assert megabytes(service) - before < MOST_GROWTH_UNREAD
    assert fetch(url).status == 503, "there was room for all of them"
    for connection in unread:
        connection.close()
    until = time.monotonic() + 20
    while time.monotonic() < until and fetch(url, headers={"range": "bytes=0-0"}).status == 503:
        time.sleep(0.1)
    assert fetch(url).status == 200
    assert service.errors == ""


def test_for_who_hangs_up_the_rest_is_not_read(
    service: Service, client: Client, drivers: list[Driver], dial: Dial
) -> None:
    size = 19 * MEGABYTE
    url = _shown(client, drivers[0], size)
    before = bytes_read(service)
    for _ in range(10):
        connection = dial(service.url)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(_get(url))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.close()
    time.sleep(2)
    assert bytes_read(service) - before < 10 * size * 0.85, "more than what waits to be sent"


def test_who_takes_many_files_leaves_room_for_others(
    service: Service, client: Client, drivers: list[Driver], dial: Dial
) -> None:
    many, one = (_shown(client, driver, 19 * MEGABYTE) for driver in drivers[:2])
    for connection in [dial(service.url) for _ in range(20)]:
        connection.sendall(_get(many))
    time.sleep(1)
    refused = fetch(many)
    assert (refused.status, refused.header("retry-after")) == (429, "1")
    assert fetch(one).status == 200
