"""What a disk must have kept before we say that something is there."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` last. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
