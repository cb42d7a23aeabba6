"""What the comparison with the floor does not show: bad disks, bad company, rows, files, starts."""

from collections.abc import Callable, Iterator, Mapping

from bench.scenarios import files, million, slow_disk, start, storm
from bench.scenarios.finding import Finding, print_finding

Scenario = Callable[[str, bool], Iterator[Finding]]
"""Measures on a kind of database; the second argument asks for a shorter run."""

SCENARIOS: Mapping[str, Scenario] = {
    "slow-disk": slow_disk.measure_slow_disk,
    "storm": storm.measure_storm,
    "million": million.measure_million,
    "files": files.measure_files,
    "start": start.measure_start,
}

__all__ = ["SCENARIOS", "Finding", "print_finding"]
