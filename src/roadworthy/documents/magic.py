"""The types of files by how they begin."""

from collections.abc import Sequence
from pathlib import Path

from roadworthy.documents.inspection import FileRefused

_BEGINNINGS = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}


class MagicBytes:
    """Looks no further than the first bytes."""

    async def inspect(self, path: Path) -> str:
        """The content type of the file. Raises `FileRefused`."""
        with path.open("rb") as file:
            start = file.read(16)
        for beginning, kind in _BEGINNINGS.items():
            if start.startswith(beginning):
                return kind
        raise FileRefused("is not a file of a type we take")

    async def join(self, paths: Sequence[Path], target: Path) -> None:  # noqa: ARG002
        """Raises `FileRefused`."""
        raise FileRefused("must be one file")
