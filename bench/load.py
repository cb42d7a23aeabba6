"""Loads a server with wrk, every answer checked."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.processes import run
from bench.servers import PATH, Server

SCRIPT = Path(__file__).with_name("load.lua")
MARK = "RESULT "


@dataclass(frozen=True)
class Request:
    """A kind of request and the answer that is expected."""

    name: str
    method: str
    status: int


POST = Request("POST", "POST", 200)
GET = Request("GET", "GET", 200)
GET_304 = Request("GET 304", "GET", 304)


@dataclass(frozen=True)
class Pace:
    """How a server is loaded: over kept-alive connections, each as fast as it is answered."""

    connections: int
    seconds: int


class Load(msgspec.Struct, frozen=True):
    """What wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    broken: int
    unexpected: int
    last_unexpected: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class LoadFailed(Exception):
    """A connection broke or an answer was not the expected one: there is nothing to measure."""


def run_wrk(server: Server, request: Request, drivers: Sequence[str], pace: Pace) -> Load:
    """Load `server`, each request by the next of `drivers`; after the last of them it begins
    again, or ends early where each can be used only once.

    A driver is `TOKEN` or `TOKEN ETAG`. Raises `LoadFailed`.
    """
    with tempfile.NamedTemporaryFile("w", prefix="roadworthy-bench-") as file:
        file.write("\n".join(drivers) + "\n")
        file.flush()
        command = ["wrk", "-t1", f"-c{pace.connections}", f"-d{pace.seconds}s", "--timeout=10s"]
        command += ["-s", str(SCRIPT), server.url + PATH, "--"]
        command += [request.method, str(request.status), file.name]
        command += ["stop" if request is POST else "again"]
        output = run(command)
    result = next(line for line in output.splitlines() if line.startswith(MARK))
    load = msgspec.json.decode(result.removeprefix(MARK), type=Load)
    if load.broken or load.unexpected or not load.requests:
        raise LoadFailed(
            f"{server.name}, {request.name}: {load.requests} answers, {load.broken} broken, "
            f"{load.unexpected} not {request.status} (the last: {load.last_unexpected})"
        )
    return load
