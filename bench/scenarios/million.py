"""A million profiles in the database, against a thousand."""

from collections.abc import Iterator, Sequence
from statistics import median

from bench.databases import databases
from bench.load import GET, POST, Pace
from bench.measure import FASTEST_CREATES, Figures, measure
from bench.scenarios.finding import Finding
from bench.seed import mint, seed
from bench.servers import Server, service

FEW = 1000
ASKED = 1000
"""Different drivers who ask for their profile: as many in both, so that only the rows differ."""
CONNECTIONS = 16
BOUND = 1.2
SCATTERED = 50_000
"""Different drivers, whose profiles together are more than what is kept of them rendered."""


def measure_million(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """CPU of service and database per request, among many rows over among few."""
    many = 100_000 if quick else 1_000_000
    rounds, seconds = (2, 1) if quick else (5, 2)
    creates = (rounds + 1) * seconds * FASTEST_CREATES
    with databases(kind) as made:
        among_few, among_many = made.make("few"), made.make("many")
        seed(among_few, FEW + creates, FEW)
        seed(among_many, many + creates, many)
        with service(among_few) as one, service(among_many) as other:
            yield from _gets(one, other, many, rounds, seconds)
            yield from _posts(one, other, many, rounds, seconds)


def _gets(one: Server, other: Server, many: int, rounds: int, seconds: int) -> Iterator[Finding]:
    askers = [mint(1, ASKED), [mint(n, 1)[0] for n in range(1, many, many // ASKED)][:ASKED]]
    pace = Pace(CONNECTIONS, seconds)
    pairs = [
        [measure(server, GET, who, pace) for server, who in zip((one, other), askers, strict=True)]
        for _ in range(rounds + 1)
    ]
    yield _finding(one, "GET", many, pairs[1:])
    scattered = [mint(n, 1)[0] for n in range(1, many, max(1, many // SCATTERED))]
    figures = [measure(other, GET, scattered, pace) for _ in range(rounds + 1)][1:]
    kept = median(_cost(lots) for _, lots in pairs[1:])
    yield Finding(
        one.database.kind,
        f"GET CPU per request when {len(scattered):,} drivers of {many:,} ask in turn",
        median(map(_cost, figures)) / kept,
        "x",
        detail=f"of what it costs when {ASKED:,} do; {figures[-1].rate:.0f}/s",
    )


def _posts(one: Server, other: Server, many: int, rounds: int, seconds: int) -> Iterator[Finding]:
    count = seconds * FASTEST_CREATES
    pace = Pace(CONNECTIONS, seconds)
    pairs = [
        [
            measure(server, POST, mint(first + number * count, count), pace)
            for server, first in ((one, FEW + 1), (other, many + 1))
        ]
        for number in range(rounds + 1)
    ]
    yield _finding(one, "POST", many, pairs[1:])


def _finding(one: Server, name: str, many: int, pairs: Sequence[Sequence[Figures]]) -> Finding:
    few, lots = pairs[-1]
    return Finding(
        one.database.kind,
        f"{name} CPU per request among {many:,} profiles",
        median(_cost(lots) / _cost(few) for few, lots in pairs),
        "x",
        BOUND,
        detail=f"{lots.rate:.0f}/s for {few.rate:.0f}/s among {FEW:,}",
    )


def _cost(figures: Figures) -> float:
    return figures.cpu_ms + figures.database_cpu_ms
