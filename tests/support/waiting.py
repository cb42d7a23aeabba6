"""Waits for what follows an answer by itself."""

import time
from collections.abc import Callable

PATIENCE = 20


def wait_until(holds: Callable[[], object], what: str | Callable[[], str] = "that") -> None:
    """Return once `holds()` is true; fail when it never is, and say `what`."""
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"{what if isinstance(what, str) else what()} never comes to be")
        time.sleep(0.05)
