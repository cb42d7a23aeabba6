"""`python -m bench`: the service against the floor, on both databases."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.databases import databases
from bench.load import GET, GET_304, POST, Pace, Request
from bench.measure import FASTEST_CREATES, Comparison, Drivers, compare
from bench.report import print_table, print_verdicts, write_json
from bench.same import known_etags, require_same
from bench.scenarios import SCENARIOS, Finding, print_finding
from bench.seed import mint, seed
from bench.servers import Server, floor, service

KINDS = ("sqlite", "postgresql")
REQUESTS = {"post": POST, "get": GET, "304": GET_304}
CONNECTIONS = (16, 64)
REGISTERED = 1000
WARM_UP = Pace(16, seconds=1)


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long."""

    kinds: Sequence[str]
    requests: Sequence[Request]
    rounds: int
    seconds: int

    @property
    def new_drivers(self) -> int:
        """As many as the rounds and warm-ups of POST may use."""
        seconds = len(CONNECTIONS) * self.rounds * self.seconds + WARM_UP.seconds
        return seconds * FASTEST_CREATES if POST in self.requests else 0


def main() -> None:
    """Measure, print, and exit with 1 when a target is missed; `--quick` only shows."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    options = _options()
    plan = _plan(options)
    comparisons: list[Comparison] = []
    met = True
    if not options.scenario or "all" in options.scenario:
        comparisons = list(_measure_all(plan))
        print_table(comparisons)
        met = print_verdicts(comparisons)
    findings = list(_measure_scenarios(options.scenario, plan, quick=options.quick))
    if options.json:
        write_json(options.json, comparisons, findings)
    if not options.quick and not (met and all(finding.met for finding in findings)):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--only", choices=tuple(REQUESTS), help="one kind of request")
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        choices=(*SCENARIOS, "all"),
        help="instead of the comparison with the floor; `all` is that and every scenario",
    )
    parser.add_argument(
        "--quick", action="store_true", help="shorter and fewer rounds: no verdict, only a hint"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        kinds=KINDS if options.database == "both" else (options.database,),
        requests=[REQUESTS[options.only]] if options.only else list(REQUESTS.values()),
        rounds=2 if options.quick else 5,
        seconds=1 if options.quick else 2,
    )


def _measure_all(plan: Plan) -> Iterator[Comparison]:
    _tell(f"minting tokens for {REGISTERED + plan.new_drivers} drivers")
    registered = mint(1, REGISTERED)
    new = mint(REGISTERED + 1, plan.new_drivers)
    for kind in plan.kinds:
        yield from _measure_on(kind, plan, registered, new)


def _measure_on(
    kind: str, plan: Plan, registered: Sequence[str], new: Sequence[str]
) -> Iterator[Comparison]:
    with databases(kind) as made:
        _tell(f"{kind}: seeding a database for each program")
        last = REGISTERED + len(new) + 1
        seeded = [made.make(name) for name in ("service", "floor")]
        for database in seeded:
            seed(database, last, REGISTERED)
        with service(seeded[0]) as one, floor(seeded[1]) as other:
            _tell(f"{kind}: comparing answers")
            require_same(one, other, last)
            drivers = Drivers(new, registered, known_etags(one, other, registered))
            yield from _compare_all(one, other, drivers, plan)


def _compare_all(one: Server, other: Server, drivers: Drivers, plan: Plan) -> Iterator[Comparison]:
    compare(one, other, drivers, plan.requests[0], WARM_UP, rounds=1)
    for request in plan.requests:
        for connections in CONNECTIONS:
            _tell(f"{one.database.kind}: {request.name}, {connections} connections")
            pace = Pace(connections, plan.seconds)
            yield compare(one, other, drivers, request, pace, plan.rounds)


def _measure_scenarios(names: Sequence[str], plan: Plan, *, quick: bool) -> Iterator[Finding]:
    """Each finding, printed as soon as it is there."""
    for name in SCENARIOS if "all" in names else names:
        for kind in plan.kinds:
            _tell(f"{kind}: {name}")
            for finding in SCENARIOS[name](kind, quick):
                print_finding(finding)
                yield finding


def _tell(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
