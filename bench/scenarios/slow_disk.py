"""Every fsync takes 3 ms longer: no event loop waits for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench.databases import Database, databases
from bench.load import GET, POST, Load, Pace, run_wrk
from bench.measure import FASTEST_CREATES
from bench.processes import run
from bench.scenarios.finding import Finding
from bench.seed import mint, seed
from bench.servers import Server, service

SOURCE = Path(__file__).with_name("slow_fsync.c")
REGISTERED = 1000
WRITERS = 64
WRITERS_BESIDE = 16
READERS = 16


def measure_slow_disk(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """Of the embedded database: PostgreSQL waits for its own disk."""
    if kind != "sqlite":
        return
    rounds, seconds = (2, 2) if quick else (5, 3)
    creates = 2 * rounds * seconds * FASTEST_CREATES
    with databases(kind) as made:
        quickly, slowly = (made.make(name) for name in ("quick", "slow"))
        for database in (quickly, slowly):
            seed(database, REGISTERED + creates, REGISTERED)
        shim = {"LD_PRELOAD": str(_built(slowly))}
        with service(quickly) as one, service(slowly, shim) as other:
            yield from _compare(one, other, mint(1, REGISTERED + creates), rounds, seconds)


def _built(database: Database) -> Path:
    library = database.folder.parent / "slow_fsync.so"
    run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"])
    return library


def _compare(
    one: Server, other: Server, tokens: list[str], rounds: int, seconds: int
) -> Iterator[Finding]:
    readers, writers = tokens[:REGISTERED], iter(tokens[REGISTERED:])
    kept, moved = [], []
    for _ in range(rounds):
        taken = [next(writers) for _ in range(seconds * FASTEST_CREATES)]
        pace = Pace(WRITERS, seconds)
        quick, slow = (run_wrk(server, POST, taken, pace) for server in (one, other))
        kept.append(slow.rate / quick.rate)
        taken = [next(writers) for _ in range(seconds * FASTEST_CREATES)]
        quiet, beside = (_read_beside_writes(s, readers, taken, seconds) for s in (one, other))
        moved.append(beside.p99_ms / quiet.p99_ms)
    yield Finding(
        one.database.kind,
        f"POST requests per second at {WRITERS} connections, every fsync 3 ms slower",
        median(kept),
        "x",
        0.5,
        at_most=False,
        detail=f"{slow.rate:.0f}/s for {quick.rate:.0f}/s",
    )
    yield Finding(
        one.database.kind,
        f"GET p99 beside {WRITERS_BESIDE} writers, every fsync 3 ms slower",
        median(moved),
        "x",
        1.25,
        detail=f"{beside.p99_ms:.2f} ms for {quiet.p99_ms:.2f} ms",
    )


def _read_beside_writes(
    server: Server, readers: list[str], writers: list[str], seconds: int
) -> Load:
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(run_wrk, server, POST, writers, Pace(WRITERS_BESIDE, seconds))
        load = run_wrk(server, GET, readers, Pace(READERS, seconds))
        writing.result()
    return load
