"""What is in the ZIP file, and under which names."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import msgspec

from roadworthy.exports.reading import instant_text, sections
from roadworthy.templates import templates_of

LONGEST_STEM = 120
LONGEST_SUFFIX = 16
"""In bytes of UTF-8: systems take names of 255, numbered and in folders too."""

_UNSAFE = re.compile(r"[^\w .()+,;=@&\-]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_NOT_ATTACHED = "elsewhere"


class Names:
    """Gives each file a name that every system takes, and no two the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, slot: str | None, filename: str) -> str:
        """Where the file goes: `files/cv/my cv.pdf`."""
        stem, suffix = _safe(filename)
        number = 1
        while True:
            numbered = stem if number == 1 else f"{stem} ({number})"
            name = f"files/{slot or _NOT_ATTACHED}/{numbered}{suffix}"
            if name.casefold() not in self._taken:
                self._taken.add(name.casefold())
                return name
            number += 1


def _safe(filename: str) -> tuple[str, str]:
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", filename)).lstrip().rstrip(" .")
    path = PurePath(name or "file")
    stem = _first(path.stem, LONGEST_STEM).strip(" .")
    suffix = _first(path.suffix, LONGEST_SUFFIX).rstrip(" .")
    if not stem or _DEVICE.fullmatch(stem.partition(".")[0].strip()):
        stem = f"_{stem}"
    return stem, suffix


def _first(text: str, most_bytes: int) -> str:
    """As much of it as fits, in whole characters."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")


def add_file(path: Path, name: str, source: Path) -> None:
    """Add the file `source`, which is compressed as a rule, to the archive at `path`."""
    with ZipFile(path, "a", ZIP_STORED, strict_timestamps=False) as archive:
        archive.write(source, name)


def add_content(path: Path, name: str, content: bytes) -> None:
    """Add `content` to the archive at `path`."""
    with ZipFile(path, "a", ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def json_of(held: Mapping[str, Any], now: datetime) -> bytes:
    """Everything, for machines."""
    return msgspec.json.format(msgspec.json.encode({"made_at": now, **held}))


def index_of(held: Mapping[str, Any], now: datetime) -> bytes:
    """The same for people: a page that loads nothing and can do nothing."""
    page = _PAGES.get_template("index.html")
    return page.render(sections=sections(held), now=instant_text(now), quote=quote).encode()


_PAGES = templates_of("roadworthy.exports")
