"""Where several server processes keep their metrics, so that each can add up those of all.

prometheus-client would map files for that. Who writes to one on a file system that is full is
killed, and who is killed leaves its files behind. Here what it takes for files are pieces of memory
that the main process makes before it starts the others, who inherit them. A server process writes
to the pieces of its place, and who follows in that place counts on from there.
"""

import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from prometheus_client import Metric, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict, _read_all_values
from prometheus_client.registry import Collector

_MEGABYTE = 1024 * 1024
_BYTES = {"histogram": 4 * _MEGABYTE, "gauge_livesum": _MEGABYTE, "gauge_mostrecent": _MEGABYTE}
"""Of a piece, by what is in it: a thousand histograms. What is not written to takes no memory."""

_PLACES_EACH = 3
"""For each server process: another may be starting, and one before it ending."""

# What is where in a piece, prometheus-client decides (its `MmapedDict`).
_NUMBER_BYTES = 4
_HEAD_BYTES = 8
_VALUE_BYTES = 16
_MOST_BYTES = 64
"""Of a value, beside its name; and some to spare at the end."""

_pieces: dict[str, mmap.mmap] = {}
"""By the name of the file that each stands for."""

_pids: mmap.mmap | None = None
"""Of who has each place."""

_place = "main"


def share(processes: int) -> None:
    """Have so many server processes share the metrics that are defined from now on."""
    global _pids  # noqa: PLW0603 -- a process has one set of metrics
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = ""  # asks for it, and names no folder
    values.ValueClass = values.MultiProcessValue(lambda: _place)
    for module in (values, multiprocess):
        module.MmapedDict = _Piece  # type: ignore[attr-defined]
    places = range(processes * _PLACES_EACH)
    _pids = mmap.mmap(-1, len(places) * _NUMBER_BYTES)
    for place in places:
        for kind in _BYTES:
            _make_piece(f"{kind}_{place}.db")


def is_shared() -> bool:
    """Whether `share` was called."""
    return _pids is not None


def take(place: int) -> None:
    """Write to the pieces of that place, which no living process has, from now on.

    Where there is no such place, what this process counts stays its own.
    """
    global _place  # noqa: PLW0603
    _place = str(place)
    at = place * _NUMBER_BYTES
    if _pids is None or at >= len(_pids):
        return
    _forget(_pieces[f"gauge_livesum_{place}.db"])
    _pids[at : at + _NUMBER_BYTES] = os.getpid().to_bytes(_NUMBER_BYTES, sys.byteorder)


class Everybodys(Collector):
    """The metrics of all server processes, added up."""

    def collect(self) -> Iterable[Metric]:
        """As prometheus-client asks."""
        _forget_the_dead()
        merged = multiprocess.MultiProcessCollector.merge(_pieces)
        return cast("Iterable[Metric]", merged)


def _forget_the_dead() -> None:
    """What a process that ended abruptly had at work is at work no more."""
    for place, pid in enumerate(memoryview(_pids or b"").cast("i")):
        if pid and not Path(f"/proc/{pid}").exists():
            _forget(_pieces[f"gauge_livesum_{place}.db"])


class _Piece(MmapedDict):
    """One that never grows: what has no room in it is not counted."""

    def __init__(self, filename: str):
        self._m = _pieces.get(filename) or _make_piece(filename)
        self._capacity = len(self._m)
        self._used = int.from_bytes(self._m[:_NUMBER_BYTES], sys.byteorder) or _HEAD_BYTES
        self._positions = {key: at for key, _, _, at in _read_all_values(self._m)}

    @staticmethod
    def read_all_values_from_file(filename: str) -> Iterator[tuple[str, float, float, int]]:
        """Name, value, time and position of each that is in it."""
        return cast("Iterator[tuple[str, float, float, int]]", _read_all_values(_pieces[filename]))

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + _MOST_BYTES > self._capacity:
            self._positions[key] = self._capacity - _VALUE_BYTES  # which nobody reads
        else:
            super()._init_value(key)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Others go on using it."""


def _make_piece(filename: str) -> mmap.mmap:
    kind = filename.rpartition("_")[0]
    _pieces[filename] = mmap.mmap(-1, _BYTES[kind])
    return _pieces[filename]


def _forget(piece: mmap.mmap) -> None:
    piece[:_NUMBER_BYTES] = bytes(_NUMBER_BYTES)  # how many bytes of it are in use
