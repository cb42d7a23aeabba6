"""GET while others sign in with passwords, as many as will, and others register."""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from bench.databases import databases
from bench.load import GET, POST, Load, Pace, run_wrk
from bench.measure import FASTEST_CREATES
from bench.scenarios.finding import Finding
from bench.seed import mint, seed
from bench.servers import Client, Server, service

REGISTERED = 1000
READERS = 16
WRITERS = 4
"""Connections over which somebody registers drivers in bulk."""
SIGNING_IN = 64

_JSON = {"content-type": "application/json"}
_USER = json.dumps(
    {"user": {"email": "storm@example.com", "password": "correct horse battery"}}
).encode()


def measure_storm(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """How far the slowest reads move."""
    rounds, seconds = (2, 2) if quick else (5, 4)
    creates = (rounds * seconds + 1) * FASTEST_CREATES
    with databases(kind) as made:
        database = made.make("storm")
        seed(database, REGISTERED + creates, REGISTERED)
        tokens = mint(1, REGISTERED + creates)
        readers, writers = tokens[:REGISTERED], iter(tokens[REGISTERED:])
        with service(database) as server, _standing_apart(server):
            _sign_up(server)
            run_wrk(server, GET, readers, Pace(READERS, 1))
            run_wrk(server, POST, [next(writers) for _ in range(FASTEST_CREATES)], Pace(WRITERS, 1))
            ratios, signed_in = [], 0
            for _ in range(rounds):
                quiet = run_wrk(server, GET, readers, Pace(READERS, seconds))
                taken = [next(writers) for _ in range(seconds * FASTEST_CREATES)]
                stormy, count = _read_in_a_storm(server, readers, taken, seconds)
                ratios.append(stormy.p99_ms / quiet.p99_ms)
                signed_in += count
    yield Finding(
        kind,
        f"GET p99 beside {SIGNING_IN} who sign in and {WRITERS} who register",
        median(ratios),
        "x",
        3,
        detail=f"{stormy.p99_ms:.2f} ms for {quiet.p99_ms:.2f} ms, "
        f"{signed_in / rounds / seconds:.0f} sign-ins/s",
    )


@contextmanager
def _standing_apart(server: Server) -> Iterator[None]:
    """Give the load a processor of its own: else its own waiting for one counts as the service's.

    Not beside PostgreSQL, which would be left on one with the service.
    """
    every = os.sched_getaffinity(0)
    ours = {max(every)}
    if every - ours and not server.database.postgresql:
        server.process.move_to(every - ours)
        os.sched_setaffinity(0, ours)
    yield
    os.sched_setaffinity(0, every)


def _sign_up(server: Server) -> None:
    with Client(server) as client:
        answer = client.ask("POST", _JSON, _USER, "/api/v1/users")
    if answer.status != 201:  # noqa: PLR2004
        raise RuntimeError(f"sign-up was answered {answer.status}")


def _read_in_a_storm(
    server: Server, readers: list[str], writers: list[str], seconds: int
) -> tuple[Load, int]:
    """The readers' load, and how many signed in meanwhile."""
    ends = threading.Event()
    with ThreadPoolExecutor(SIGNING_IN + 1) as beside:
        storm = [beside.submit(_sign_in, server, ends) for _ in range(SIGNING_IN)]
        time.sleep(0.5)
        writing = beside.submit(run_wrk, server, POST, writers, Pace(WRITERS, seconds))
        load = run_wrk(server, GET, readers, Pace(READERS, seconds))
        ends.set()
        writing.result()
        return load, sum(each.result() for each in storm)


def _sign_in(server: Server, ends: threading.Event) -> int:
    """How often this one signed in."""
    count = 0
    with Client(server) as client:
        while not ends.is_set():
            answer = client.ask("POST", _JSON, _USER, "/api/v1/users/sign_in")
            count += answer.status == 201  # noqa: PLR2004
    return count
