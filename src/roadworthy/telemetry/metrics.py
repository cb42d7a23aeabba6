"""Metrics in Prometheus' format, added up over the server processes.

Whether there are several is settled as this is imported, by _ROADWORTHY_PROCESSES in the
environment: `roadworthy serve` sets it before anything here is loaded. A server process then says
by `take` which place it has.
"""

import os
from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, Histogram, generate_latest

from roadworthy.telemetry import shared

_PROCESSES = "_ROADWORTHY_PROCESSES"

if _PROCESSES in os.environ:
    shared.share(int(os.environ[_PROCESSES]))

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
    "Writes that wait for a commit of the embedded database",
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
    if not shared.is_shared():
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(shared.Everybodys())
    return generate_latest(registry)
