"""Opens files that are to be looked into."""

from pathlib import Path
from typing import BinaryIO

from roadworthy.storage import NotStored


def opened(path: Path) -> BinaryIO:
    """The file at `path`, for reading. Raises `NotStored` when it was removed meanwhile."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotStored from None
