"""What a sign-in takes beyond verifying the password."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from statistics import median
from urllib.parse import urlsplit

from argon2 import PasswordHasher

from bench.databases import databases
from bench.scenarios import signing_in
from bench.scenarios.finding import Finding
from bench.servers import Server, service

JSON = "content-type: application/json"
CREATED = b"HTTP/1.1 201 "
TIMEOUT_SECONDS = 30
WARM_UP = 10


def measure_sign_in(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """Milliseconds from request to answer, in turn with argon2id alone, nobody else asking."""
    rounds = 50 if quick else 300
    password = json.loads(signing_in.USER)["user"]["password"]
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    digest = hasher.hash(password)
    with (
        databases(kind) as made,
        service(made.make("sign-in")) as server,
        _connected(server) as connection,
    ):
        _post(connection, "/api/v1/users")
        pairs = [
            (
                _milliseconds(lambda: _post(connection, "/api/v1/users/sign_in")),
                _milliseconds(lambda: hasher.verify(digest, password)),
            )
            for _ in range(WARM_UP + rounds)
        ][WARM_UP:]
    whole, hashing = (median(times) for times in zip(*pairs, strict=True))
    yield Finding(
        kind,
        "sign-in, beyond argon2id",
        median(one - other for one, other in pairs),
        " ms",
        2,
        detail=f"medians of {rounds}: {whole:.1f} ms, of which argon2id {hashing:.1f} ms",
    )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _connected(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _post(connection: socket.socket, path: str) -> None:
    """Send a whole request at once, as a client in a phone does, and read its whole answer."""
    body = signing_in.USER
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(body)}\r\n{JSON}\r\n\r\n"
    connection.sendall(head.encode() + body)
    answer = b""
    while not _is_whole(answer):
        answer += connection.recv(65536)
    if not answer.startswith(CREATED):
        raise RuntimeError(f"{path} was answered {answer[:100]!r}")


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(blank) and len(body) == (int(length[1]) if length else 0)
