"""Rounds of load on service and floor in turn, so that a noisy machine troubles both alike."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.load import GET, GET_304, POST, LoadFailed, Pace, Request, run_wrk
from bench.seed import count_profiles
from bench.servers import Server

FASTEST_CREATES = 6000
"""Drivers at hand for each second of creates; a faster server ends its round early."""


@dataclass(frozen=True)
class Figures:
    """What a round, or the median of several, says."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Of the server's processes, per request."""
    database_cpu_ms: float
    """Of PostgreSQL's processes, per request."""
    peak_mb: float

    def over(self, other: "Figures") -> "Figures":
        """Each figure divided by the other's; nothing by nothing is 1."""
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Figures(*(mine / theirs if theirs else 1.0 for mine, theirs in pairs))


@dataclass(frozen=True)
class Comparison:
    """Service and floor under one load: medians, and the median of each round's ratios."""

    database: str
    request: str
    connections: int
    service: Figures
    floor: Figures
    ratio: Figures


class Drivers:
    """Tokens to send, with what their drivers know; creates take new ones every time."""

    def __init__(self, new: Sequence[str], registered: Sequence[str], etags: Sequence[str]):
        self._new = new
        self._registered = registered
        self._known = [f"{token} {etag}" for token, etag in zip(registered, etags, strict=True)]
        self._used = 0

    def take(self, request: Request, seconds: int) -> Sequence[str]:
        """Drivers for a round of `seconds`."""
        if request is GET:
            return self._registered
        if request is GET_304:
            return self._known
        count = seconds * FASTEST_CREATES
        taken = self._new[self._used : self._used + count]
        self._used += len(taken)
        return taken


def compare(
    service: Server, floor: Server, drivers: Drivers, request: Request, pace: Pace, rounds: int
) -> Comparison:
    """Load both in turn with the same drivers. Raises `LoadFailed`."""
    pairs = []
    for _ in range(rounds):
        taken = drivers.take(request, pace.seconds)
        pairs.append([measure(server, request, taken, pace) for server in (service, floor)])
    return Comparison(
        service.database.kind,
        request.name,
        pace.connections,
        median([one for one, _ in pairs]),
        median([other for _, other in pairs]),
        median([one.over(other) for one, other in pairs]),
    )


def measure(server: Server, request: Request, drivers: Sequence[str], pace: Pace) -> Figures:
    """One round. Raises `LoadFailed`."""
    rows = count_profiles(server.database) if request is POST else 0
    before = _cpu_seconds(server)
    load = run_wrk(server, request, drivers, pace)
    spent = [now - then for now, then in zip(_cpu_seconds(server), before, strict=True)]
    own, databases = (1000 * cpu / load.requests for cpu in spent)
    if request is POST and count_profiles(server.database) - rows < load.requests:
        raise LoadFailed(f"{server.name} answered creates that are not in the database")
    peak = server.process.peak_megabytes()
    return Figures(load.rate, load.p50_ms, load.p99_ms, own, databases, peak)


def median(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    values = zip(*(asdict(figures).values() for figures in rounds), strict=True)
    return Figures(*map(statistics.median, values))


def _cpu_seconds(server: Server) -> tuple[float, float]:
    """Of the server, and of PostgreSQL where it is used."""
    postgresql = server.database.postgresql
    return server.process.cpu_seconds(), postgresql.cpu_seconds() if postgresql else 0.0
