"""Waits for what follows an answer by itself."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.support.tables import Tables

PATIENCE = 20


def wait_until(holds: Callable[[], object], what: str | Callable[[], str] = "that") -> None:
    """Return once `holds()` is true; fail when it never is, and say `what`."""
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"{what if isinstance(what, str) else what()} never comes to be")
        time.sleep(0.05)


def wait_for_first_jobs(tables: Tables) -> None:
    """Until what a service does as it starts is done."""

    def is_done() -> bool:
        jobs = tables.rows("jobs")
        return bool(jobs) and all(job["run_at"] > datetime.now(UTC) for job in jobs)

    wait_until(is_done, "the jobs of its start are done")
