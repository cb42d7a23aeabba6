"""Metrics in Prometheus' format, added up over the server processes.

prometheus-client decides as it is imported, by the environment's PROMETHEUS_MULTIPROC_DIR, whether
processes share: `roadworthy serve` sets it before anything here is loaded.
"""

import contextlib
import os
from functools import cache
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_requests = Histogram(
    "roadworthy_request_seconds",
    "Requests by route template, method and status, and how long they took",
    ("route", "method", "status"),
    buckets=_SECONDS,
)
_child = cache(_requests.labels)

writer_batch = Histogram(
    "roadworthy_writer_batch_size",
    "Writes that shared one commit of the embedded database",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
writer_queue = Gauge(
    "roadworthy_writer_queue",
    "Writes that wait for the embedded database's writer",
    multiprocess_mode="livesum",
)
pool_in_use = Gauge(
    "roadworthy_pool_connections_in_use",
    "PostgreSQL connections at work",
    ("pool",),
    multiprocess_mode="livesum",
)
pool_waiting = Gauge(
    "roadworthy_pool_waiting",
    "Queries that wait for a PostgreSQL connection",
    ("pool",),
    multiprocess_mode="livesum",
)
passwords_waiting = Gauge(
    "roadworthy_passwords_waiting",
    "Password checks that wait or run",
    multiprocess_mode="livesum",
)
inspections_waiting = Gauge(
    "roadworthy_inspections_waiting",
    "Files that wait to be looked into or are",
    multiprocess_mode="livesum",
)
jobs = Gauge(
    "roadworthy_jobs",
    "Jobs by state: waiting, running, failing, dead",
    ("state",),
    multiprocess_mode="mostrecent",
)


def observe_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request; `route` is the route's template."""
    _child(route, method, status).observe(seconds)


def metrics_text() -> bytes:
    """All metrics of all server processes, in the text exposition format."""
    if SHARED_FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    _forget_the_dead()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead() -> None:
    """What a process that ended abruptly had at work is at work no more."""
    for file in Path(os.environ[SHARED_FOLDER]).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
