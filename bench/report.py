"""What was measured, as a table, as verdicts on the targets and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.load import GET, GET_304, POST, Request
from bench.measure import Comparison, Figures
from bench.scenarios import Finding

WIDTH = 110


@dataclass(frozen=True)
class Target:
    """A bound on one ratio of service to floor, and where we would like to be."""

    request: Request
    figure: str
    bound: float
    stretch: float
    at_most: bool = True

    def met(self, ratio: float, bound: float) -> bool:
        """Whether `ratio` keeps to `bound`."""
        return ratio <= bound if self.at_most else ratio >= bound

    def __str__(self) -> str:
        what = "CPU per request" if self.figure == "cpu_ms" else "requests per second"
        return f"{self.request.name} {what}"


TARGETS = (
    Target(POST, "cpu_ms", 1.8, 1.5),
    Target(POST, "rate", 0.5, 0.7, at_most=False),
    Target(GET, "cpu_ms", 1.2, 1.0),
    Target(GET_304, "cpu_ms", 1.0, 0.7),
)


def print_table(comparisons: Sequence[Comparison]) -> None:
    """Every figure of service and floor, with their ratios."""
    table = Table(title="Medians; the ratios are medians of each round's ratio", title_style="")
    for heading in ("database", "request", "at once", "program"):
        table.add_column(heading)
    for heading in ("req/s", "p50 ms", "p99 ms", "CPU ms", "PG CPU ms", "peak MB"):
        table.add_column(heading, justify="right")
    for one in comparisons:
        what = (one.database, one.request, str(one.connections))
        table.add_row(*what, "service", *_cells(one.service))
        table.add_row("", "", "", "floor", *_cells(one.floor))
        table.add_row("", "", "", "ratio", *_ratios(one), style="bold", end_section=True)
    Console(width=WIDTH).print(table)


def print_verdicts(comparisons: Sequence[Comparison]) -> bool:
    """One line for each target on each database; whether all are met."""
    verdicts = [
        _verdict(target, database, comparisons)
        for target in TARGETS
        for database in dict.fromkeys(one.database for one in comparisons)
        if any(one.request == target.request.name for one in comparisons)
    ]
    return all(verdicts)


def write_json(path: Path, comparisons: Sequence[Comparison], findings: Sequence[Finding]) -> None:
    """The same figures for machines."""
    encoded = msgspec.json.encode({"comparisons": comparisons, "findings": findings})
    path.write_bytes(msgspec.json.format(encoded) + b"\n")


def _cells(figures: Figures) -> Iterator[str]:
    yield f"{figures.rate:.0f}"
    yield f"{figures.p50_ms:.2f}"
    yield f"{figures.p99_ms:.2f}"
    yield f"{figures.cpu_ms:.3f}"
    yield f"{figures.database_cpu_ms:.3f}" if figures.database_cpu_ms else ""
    yield f"{figures.peak_mb:.0f}"


def _ratios(one: Comparison) -> Iterator[str]:
    for ratio, figure in zip(astuple(one.ratio), astuple(one.floor), strict=True):
        yield f"{ratio:.2f}x" if figure else ""


def _verdict(target: Target, database: str, comparisons: Sequence[Comparison]) -> bool:
    """Met when it is met with few connections and with many."""
    ratios = {
        one.connections: float(getattr(one.ratio, target.figure))
        for one in comparisons
        if one.database == database and one.request == target.request.name
    }
    met = all(target.met(ratio, target.bound) for ratio in ratios.values())
    beyond = all(target.met(ratio, target.stretch) for ratio in ratios.values())
    measured = ", ".join(f"{ratio:.2f}x at {count}" for count, ratio in ratios.items())
    print(
        f"{'met' if met else 'NOT MET':8}{target}, {database}: {measured} connections; "
        f"{'at most' if target.at_most else 'at least'} {target.bound}x; "
        f"{target.stretch}x {'too' if beyond else 'not yet'}"
    )
    return met
