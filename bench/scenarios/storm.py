"""GET while others sign in with passwords, as many as will, and others register."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

from bench.databases import databases
from bench.load import GET, POST, Load, Pace, run_wrk
from bench.measure import FASTEST_CREATES
from bench.processes import others_seconds
from bench.scenarios import signing_in
from bench.scenarios.finding import Finding
from bench.seed import mint, seed
from bench.servers import Client, Server, service

REGISTERED = 1000
READERS = 16
WRITERS = 4
"""Connections over which somebody registers drivers in bulk."""
SIGNING_IN = 200

SETTLE_SECONDS = 0.5
SECONDS = 1
"""Of each half of a round: a machine that has moods has the same one in both."""

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Round:
    """The reads alone, and the same in the storm."""

    quiet: Load
    stormy: Load
    signed_in: int
    elsewhere: float
    """How much of a processor was taken meanwhile by what is not of this measurement."""

    @property
    def ratio(self) -> float:
        """How far the slowest reads moved."""
        return self.stormy.p99_ms / self.quiet.p99_ms


def measure_storm(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """How far the slowest reads move."""
    rounds = 4 if quick else 12
    creates = (rounds + 1) * FASTEST_CREATES
    with databases(kind) as made:
        database = made.make("storm")
        seed(database, REGISTERED + creates, REGISTERED)
        tokens = mint(1, REGISTERED + creates)
        readers, writers = tokens[:REGISTERED], iter(tokens[REGISTERED:])
        with service(database) as server, _standing_apart(server):
            _sign_up(server)
            run_wrk(server, GET, readers, Pace(READERS, SECONDS))
            _read_in_a_storm(server, readers, _next(writers))
            measured = [
                _round(server, readers, _next(writers), quiet_first=number % 2 == 0)
                for number in range(rounds)
            ]
    yield _finding(kind, measured)


def _finding(kind: str, measured: list[Round]) -> Finding:
    ratios = [each.ratio for each in measured]
    low, middle, high = quantiles(ratios, n=4)
    quiet, stormy = (
        median(load.p99_ms for load in loads)
        for loads in zip(*((each.quiet, each.stormy) for each in measured), strict=True)
    )
    signed_in = sum(each.signed_in for each in measured)
    elsewhere = median(each.elsewhere for each in measured)
    return Finding(
        kind,
        f"GET p99 beside {SIGNING_IN} who sign in and {WRITERS} who register",
        middle,
        "x",
        3,
        detail=f"quartiles {low:.2f}x and {high:.2f}x of {len(ratios)} rounds, "
        f"{stormy:.2f} ms for {quiet:.2f} ms, {signed_in} sign-ins, "
        f"{elsewhere:.0%} of a processor taken by others",
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
        answer = client.ask("POST", _JSON, signing_in.USER, "/api/v1/users")
    if answer.status != 201:  # noqa: PLR2004
        raise RuntimeError(f"sign-up was answered {answer.status}")


def _next(writers: Iterator[str]) -> list[str]:
    return [next(writers) for _ in range(FASTEST_CREATES)]


def _round(server: Server, readers: list[str], writers: list[str], *, quiet_first: bool) -> Round:
    """Both halves, in turn the one and the other first, so that a drift favours neither."""
    began, others = time.monotonic(), others_seconds(server.processes)
    if quiet_first:
        quiet = run_wrk(server, GET, readers, Pace(READERS, SECONDS))
    stormy, signed_in = _read_in_a_storm(server, readers, writers)
    if not quiet_first:
        quiet = run_wrk(server, GET, readers, Pace(READERS, SECONDS))
    taken = others_seconds(server.processes) - others
    return Round(quiet, stormy, signed_in, taken / (time.monotonic() - began))


def _read_in_a_storm(server: Server, readers: list[str], writers: list[str]) -> tuple[Load, int]:
    """The readers' load, and how many signed in before the storm was over."""
    with _signing_in(server) as crowd, ThreadPoolExecutor(1) as beside:
        time.sleep(SETTLE_SECONDS)
        writing = beside.submit(run_wrk, server, POST, writers, Pace(WRITERS, SECONDS))
        load = run_wrk(server, GET, readers, Pace(READERS, SECONDS))
        writing.result()
        answered, _ = crowd.communicate()
    if crowd.returncode:
        raise RuntimeError(f"those who sign in ended with {crowd.returncode}")
    return load, int(answered)


@contextmanager
def _signing_in(server: Server) -> Iterator["subprocess.Popen[str]"]:
    """A crowd of which each has asked; it costs the load's processor next to nothing."""
    command = [sys.executable, signing_in.__file__, server.url, str(SIGNING_IN)]
    with subprocess.Popen(  # noqa: S603 -- our words
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as crowd:
        assert crowd.stdout is not None  # noqa: S101 -- tells the type
        if crowd.stdout.readline() != "begun\n":
            raise RuntimeError("those who sign in did not begin")
        try:
            yield crowd
        finally:
            crowd.terminate()
