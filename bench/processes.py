"""Processes that we started, and what they cost, from /proc."""

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STOP_SECONDS = 20
TICKS = os.sysconf("SC_CLK_TCK")


def run(command: list[str], **options: Any) -> str:
    """What `command` prints. Raises `CalledProcessError`."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)  # noqa: S603 -- our words
    return str(done.stdout)


class Process:
    """A process and its descendants."""

    def __init__(self, popen: subprocess.Popen[str]):
        self.popen = popen

    @classmethod
    @contextmanager
    def started(cls, command: list[str], **options: Any) -> Iterator["Process"]:
        """Run `command`; it is stopped at the end, whatever happens."""
        process = cls(subprocess.Popen(command, text=True, **options))  # noqa: S603 -- our words
        try:
            yield process
        finally:
            process.stop()

    def stop(self) -> None:
        """Ask it to end; insist, with its descendants, when it does not."""
        family = self._family()
        self.popen.send_signal(signal.SIGINT)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait()

    def cpu_seconds(self) -> float:
        """User and system time of them all so far, of the ended ones too."""
        return sum(map(_ticks, self._family())) / TICKS

    def peak_megabytes(self) -> float:
        """The most memory that the largest of them ever held."""
        return max(map(_peak_kilobytes, self._family())) / 1024

    def move_to(self, processors: set[int]) -> None:
        """Run them all, and what they start from now on, on `processors`."""
        for pid in self._family():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), processors)

    def _family(self) -> list[int]:
        family = [self.popen.pid]
        for pid in family:
            with suppress(OSError):  # it has just ended
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    family += map(int, children.read_text().split())
        return family


def others_seconds(processes: Iterable[Process]) -> float:
    """Processor time so far of what is neither `processes`, nor ours, nor of what we started.

    Time that a host gave to other machines counts.
    """
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, file.readline().split()[1:])
    busy = (user + nice + system + irq + softirq + steal) / TICKS
    return busy - sum(os.times()[:4]) - sum(each.cpu_seconds() for each in processes)


def _ticks(pid: int) -> int:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))  # utime, stime, and those of ended children
    return 0


def _peak_kilobytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
