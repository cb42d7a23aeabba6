"""What a running service takes of the machine."""

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.service import Service


def megabytes(service: Service) -> float:
    """What the server processes hold in memory."""
    return sum(_resident(child) for child in children(service.process.pid))


def bytes_read(service: Service) -> int:
    """What the server processes have read, from files and connections, since they began."""
    return sum(_read(child) for child in children(service.process.pid))


def _read(pid: int) -> int:
    counts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(counts["rchar"])


@contextmanager
def growth(service: Service) -> Iterator[Callable[[], float]]:
    """By how many megabytes the server processes grew at most since it began."""
    before, most, done = megabytes(service), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], megabytes(service) - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        watching.join()


def children(pid: int) -> list[int]:
    """The processes that it started and that run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int, name: bytes) -> list[Path]:
    """The folders in /proc of those below the process `pid` whose command has `name` in it."""
    found, parents = [], {pid}
    while parents:
        born = [process for process in Path("/proc").glob("[0-9]*") if _parent(process) in parents]
        found += [process for process in born if name in _command(process)]
        parents = {int(process.name) for process in born}
    return found


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024 / 1024
