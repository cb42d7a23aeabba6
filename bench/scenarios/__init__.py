"""What the comparison with the floor does not show: disks, company, rows, files, passwords."""

from collections.abc import Callable, Iterator, Mapping

from bench.scenarios import files, million, sign_in, slow_disk, start, storm
from bench.scenarios.finding import Finding, print_finding

Scenario = Callable[[str, bool], Iterator[Finding]]
"""Measures on a kind of database; the second argument asks for a shorter run."""

SCENARIOS: Mapping[str, Scenario] = {
    "slow-disk": slow_disk.measure_slow_disk,
    "storm": storm.measure_storm,
    "million": million.measure_million,
    "files": files.measure_files,
    "sign-in": sign_in.measure_sign_in,
    "start": start.measure_start,
}

__all__ = ["SCENARIOS", "Finding", "print_finding"]
