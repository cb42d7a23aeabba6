"""Leaving the processors to whoever answers requests."""

import contextlib
import os
import time

_TRIES = 20
_SECONDS_BETWEEN = 0.1
"""Linux lets weights of sessions be changed ten times a second, by whoever changes them."""


def step_back(niceness: int) -> None:
    """Take less of a contended processor, by so many steps of nice(2), until this process ends.

    Linux shares processors among sessions before it shares them within one (sched(7), "The
    autogroup feature"), so niceness alone counts for nothing against processes of another session.
    Who leads a session makes that step back too.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a system without sessions' weights
            _weigh_session(niceness)


def _weigh_session(niceness: int) -> None:
    weight = os.open("/proc/self/autogroup", os.O_WRONLY)
    try:
        for _ in range(_TRIES):
            try:
                os.write(weight, str(niceness).encode())
            except BlockingIOError:
                time.sleep(_SECONDS_BETWEEN)
            else:
                return
    finally:
        os.close(weight)
