"""Files to and from a server over kept-alive connections, as fast as it takes and gives them."""

import http.client
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BUFFER_BYTES = 1024 * 1024
MEGABYTE = 1024 * 1024


class TransferFailed(Exception):
    """An answer was not the expected one: there is nothing to measure."""


@dataclass(frozen=True)
class Transfer:
    """One file on its way; `body` is none where it comes from the server."""

    method: str
    url: str
    size: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def megabytes_per_second(transfers: Sequence[Transfer], connections: int) -> float:
    """Do them all, each connection its share in turn. Raises `TransferFailed`."""
    ready = threading.Barrier(connections + 1)
    with ThreadPoolExecutor(connections) as threads:
        shares = [transfers[first::connections] for first in range(connections)]
        done = [threads.submit(_transfer_all, share, ready) for share in shares]
        ready.wait()
        began = time.monotonic()
        for each in done:
            each.result()
        seconds = time.monotonic() - began
    return sum(each.size for each in transfers) / MEGABYTE / seconds


def reachable(port: int) -> bool:
    """Whether somebody listens there on 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _transfer_all(transfers: Sequence[Transfer], ready: threading.Barrier) -> None:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    connection = http.client.HTTPConnection(urlsplit(transfers[0].url).netloc, timeout=60)
    connection.connect()
    ready.wait()
    for transfer in transfers:
        _transfer(connection, transfer, buffer)
    connection.close()


def _transfer(connection: http.client.HTTPConnection, transfer: Transfer, to: memoryview) -> None:
    address = urlsplit(transfer.url)
    target = f"{address.path}?{address.query}" if address.query else address.path
    connection.request(transfer.method, target, transfer.body, dict(transfer.headers))
    response = connection.getresponse()
    received = 0
    while count := response.readinto(to):
        received += count
    if response.status >= 300 or (transfer.body is None and received != transfer.size):  # noqa: PLR2004
        raise TransferFailed(f"{transfer.method} {target}: {response.status}, {received} bytes")
