"""A disk and a clock that do what a test asks: see `disk.c`."""

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SOURCE = Path(__file__).with_name("disk.c")
_HEAD = struct.Struct("=c7xqqq")
_PAGE = 512
"""A sector: what a disk writes whole."""


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "disk.so"
    subprocess.run(
        ["/usr/bin/gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, _SOURCE, "-ldl"],
        check=True,
    )
    return library


@dataclass(frozen=True)
class Disk:
    """The disk under `folder` and the clock, as the service sees them."""

    library: Path
    folder: Path
    control: Path

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a service that runs on it."""
        return {
            "LD_PRELOAD": str(self.library),
            "DISK_FOLDER": str(self.folder),
            "DISK_JOURNAL": str(self._journal),
            "DISK_FULL": str(self._full),
            "CLOCK_OFFSET": str(self._clock),
        }

    @property
    def _journal(self) -> Path:
        return self.control / "journal"

    @property
    def _full(self) -> Path:
        return self.control / "full"

    @property
    def _clock(self) -> Path:
        return self.control / "clock"

    def fill(self) -> None:
        self._full.touch()

    def make_room(self) -> None:
        self._full.unlink()

    def set_clock(self, seconds: int) -> None:
        """The clock is wrong by so many seconds."""
        replaced = self.control / "clock-next"
        replaced.write_text(str(seconds))
        replaced.replace(self._clock)

    def snapshot(self) -> Path:
        """What the disk holds now, all of it synced; changes are noted from here on."""
        copy = self.control / "snapshot"
        shutil.copytree(self.folder, copy)
        self._journal.unlink(missing_ok=True)
        return copy

    @property
    def moment(self) -> int:
        """Now, as a place in what is noted: whatever was synced before stands before it."""
        return self._journal.stat().st_size if self._journal.exists() else 0

    def after_power_cut(
        self, snapshot: Path, moment: int, chance: random.Random | None, *, lies: bool = False
    ) -> Path:
        """A folder with what was synced from `snapshot` to `moment`, and some of the rest.

        Without `chance` nothing unsynced is kept; with it, some writes are, and some in part.
        A disk that `lies` says that it synced when it did not.
        """
        left = self.control / f"left-{len(list(self.control.glob('left-*')))}"
        shutil.copytree(snapshot, left)
        files = {path.name: _File(path.read_bytes()) for path in left.iterdir() if path.is_file()}
        for change in _read(self._journal, moment):
            if not (lies and change.kind == "s"):
                _apply(change, files, str(self.folder))
        for name, file in files.items():
            (left / name).unlink(missing_ok=True)
            if file.is_linked and not name.endswith("-shm"):  # is memory, not a file
                (left / name).write_bytes(file.after_cut(chance))
        return left


@dataclass(frozen=True)
class _Change:
    kind: str
    path: str
    offset: int
    data: bytes


@dataclass
class _File:
    """Contents that are on the disk, and changes that are not yet."""

    synced: bytes = b""
    is_linked: bool = True
    """Whether its folder was synced since it was made."""
    pending: list[_Change] = field(default_factory=list)

    def sync(self) -> None:
        self.synced = _changed(self.synced, self.pending)
        self.pending = []

    def after_cut(self, chance: random.Random | None) -> bytes:
        if chance is None:
            return self.synced
        kept = [change for change in self.pending if chance.random() < 0.5]
        torn = [_torn(change, chance) if chance.random() < 0.3 else change for change in kept]
        return _changed(self.synced, torn)


def _read(journal: Path, end: int) -> Iterator[_Change]:
    with journal.open("rb") as file:
        while file.tell() < end and len(head := file.read(_HEAD.size)) == _HEAD.size:
            kind, offset, path_size, data_size = _HEAD.unpack(head)
            path, data = file.read(path_size), file.read(data_size)
            yield _Change(kind.decode(), path.decode(), offset, data)


def _apply(change: _Change, files: dict[str, _File], folder: str) -> None:
    if change.path == folder:
        for file in files.values():
            file.is_linked = True
        return
    name = change.path.removeprefix(folder + "/")
    if change.kind == "u":
        files.pop(name, None)
        return
    file = files.setdefault(name, _File(is_linked=False))
    if change.kind == "s":
        file.sync()
    else:
        file.pending.append(change)


def _changed(content: bytes, changes: list[_Change]) -> bytes:
    made = bytearray(content)
    for change in changes:
        if change.kind == "t":
            made = made[: change.offset].ljust(change.offset, b"\0")
        else:
            made = made.ljust(change.offset, b"\0")
            made[change.offset : change.offset + len(change.data)] = change.data
    return bytes(made)


def _torn(change: _Change, chance: random.Random) -> _Change:
    sectors = chance.randrange(len(change.data) // _PAGE + 1)
    return _Change(change.kind, change.path, change.offset, change.data[: sectors * _PAGE])
