"""What we need of whoever looks into files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Inspection(Protocol):
    """Looks into files, which may be hostile, away from this process."""

    async def inspect(self, path: Path) -> str:
        """The content type that the bytes have.

        Raises `FileRefused`, and `ScannerAway` when what must look at it does not answer.
        """

    async def join(self, paths: Sequence[Path], target: Path) -> None:
        """Make one PDF at `target` of photographs, in order. Raises `FileRefused`."""


class FileRefused(Exception):
    """A file that we do not take; the words are for the driver."""


class ScannerAway(Exception):
    """What must look at every file does not answer."""
