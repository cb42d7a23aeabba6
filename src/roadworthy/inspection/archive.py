"""DOCX and ODT are ZIP archives: bounded, and of nothing but what such documents are made of."""

import re
import zipfile
from collections.abc import Container, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO
from xml.parsers import expat

from roadworthy.inspection.references import reaches_out
from roadworthy.inspection.refusals import FileRefused, Reason

MOST_ENTRIES = 2000
MOST_BYTES = 200 * 1024 * 1024
MOST_RATIO = 100
UNSUSPICIOUS_BYTES = 10 * 1024 * 1024
"""However well it was compressed."""

MOST_TEXT = 65_536
"""Characters of one element that anybody here reads."""

_LEFT_EMPTY = "Configurations2/"
"""Where LibreOffice before 7 leaves an empty file that is called XML."""

_OF_W3C = re.compile(r"https?://www\.w3\.org/")
_CHUNK = 64 * 1024
_ENCRYPTED = 0x1
_FOREIGN = (
    b"PK\x03\x04",
    b"Rar!",
    b"7z\xbc\xaf\x27\x1c",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"MZ",
    b"\x7fELF",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"%PDF-",
)
"""How archives, programs and other documents begin."""


class Visitor:
    """Sees the elements of one part in their order. Its names are `namespace local-name`."""

    def element(self, name: str, attributes: dict[str, str]) -> None:
        """Raises `FileRefused` when it must not be there."""

    def text(self, text: str) -> None:
        """What stands between elements, in pieces."""


class Archive:
    """An archive that may be read. Raises `FileRefused` when it may not."""

    def __init__(self, file: BinaryIO):
        self._zip = zipfile.ZipFile(file)
        self._entries = self._zip.infolist()
        self.names = [entry.filename for entry in self._entries]
        self._refuse_large()
        for entry in self._entries:
            _refuse_odd(entry)
        if len({name.casefold() for name in self.names}) < len(self.names):
            raise FileRefused(Reason.DAMAGED)  # readers differ in which of two they take

    def _refuse_large(self) -> None:
        total = sum(entry.file_size for entry in self._entries)
        packed = sum(entry.compress_size for entry in self._entries)
        if len(self._entries) > MOST_ENTRIES or total > MOST_BYTES:
            raise FileRefused(Reason.TOO_LARGE)
        if total > max(UNSUSPICIOUS_BYTES, packed * MOST_RATIO):
            raise FileRefused(Reason.TOO_LARGE)

    def read(self, name: str, most: int) -> bytes:
        """The first bytes of an entry."""
        with self._zip.open(name) as entry:
            return entry.read(most)

    def visit(self, name: str, visitor: Visitor) -> None:
        """Read an entry that is XML. Raises as `check` does."""
        visit(self._chunks(name), visitor)

    def check(self, visitors: "dict[str, Visitor]", xml: Container[str] = ()) -> None:
        """Read every entry to its end, and have those that are XML visited.

        Those are the ones named in `xml`, and the ones that end like it.

        Raises `FileRefused`, and what `zipfile` and `expat` raise for a damaged one.
        """
        for entry in self._entries:
            name = entry.filename
            is_left_empty = name.startswith(_LEFT_EMPTY) and not entry.file_size
            if name in xml or (name.casefold().endswith((".xml", ".rels")) and not is_left_empty):
                self.visit(name, visitors.get(name, Visitor()))
            else:
                self._read_foreign(name)

    def _read_foreign(self, name: str) -> None:
        chunks = self._chunks(name)
        if next(chunks, b"").startswith(_FOREIGN):
            raise FileRefused(Reason.ACTIVE)
        for _ in chunks:
            pass  # its checksum is compared at the end

    def _chunks(self, name: str) -> Iterator[bytes]:
        with self._zip.open(name) as entry:
            while chunk := entry.read(_CHUNK):
                yield chunk


def _refuse_odd(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise FileRefused(Reason.ENCRYPTED)
    name = entry.orig_filename
    if (
        name.startswith("/")
        or any(letter in name for letter in "\\\0:")
        or ".." in PurePosixPath(name).parts
        or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    ):
        raise FileRefused(Reason.DAMAGED)


def _refuse_definition_elsewhere(_: str, system: str | None, *__: object) -> None:
    """Those of the W3C are known to who needs them."""
    if system and reaches_out(system) and not _OF_W3C.match(system):
        raise FileRefused(Reason.ACTIVE)


def visit(chunks: Iterator[bytes], visitor: Visitor) -> None:
    """Have XML visited; it may declare no entities. Raises `FileRefused` and `ExpatError`."""

    def refuse(*_: object) -> None:
        raise FileRefused(Reason.ACTIVE)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.EntityDeclHandler = refuse
    parser.StartDoctypeDeclHandler = _refuse_definition_elsewhere
    parser.StartElementHandler = visitor.element
    parser.CharacterDataHandler = visitor.text
    for chunk in chunks:
        parser.Parse(chunk)
    parser.Parse(b"", True)  # noqa: FBT003 -- the end
