"""From the command to the first answer, and what a server process holds after many."""

import time
from collections.abc import Iterator
from statistics import median

from bench.databases import databases
from bench.load import GET, POST, Pace, run_wrk
from bench.measure import FASTEST_CREATES
from bench.scenarios.finding import Finding
from bench.seed import mint, seed
from bench.servers import service

REGISTERED = 1000
STARTS = 5
CONNECTIONS = 64


def measure_start(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """With a database that is already there."""
    seconds = 2 if quick else 10
    creates = seconds * FASTEST_CREATES
    with databases(kind) as made:
        database = made.make("start")
        seed(database, REGISTERED + creates, REGISTERED)
        starts = []
        for _ in range(STARTS):
            began = time.monotonic()
            with service(database):
                starts.append(time.monotonic() - began)
        yield Finding(kind, "start to first answer", median(starts), " s", 1)
        with service(database) as server:
            tokens = mint(1, REGISTERED + creates)
            run_wrk(server, GET, tokens[:REGISTERED], Pace(CONNECTIONS, seconds))
            run_wrk(server, POST, tokens[REGISTERED:], Pace(CONNECTIONS, seconds))
            yield Finding(kind, "peak memory", server.process.peak_megabytes(), " MB", 120)
