"""DOC: a compound file ([MS-CFB]) whose stream WordDocument begins as [MS-DOC] says."""

import re
import struct
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from roadworthy.inspection.references import field_reaches_out
from roadworthy.inspection.refusals import FileRefused, Reason

_HEADER = struct.Struct("<30xH12xII4xII4xI4x")
_ENTRY = struct.Struct("<64sHBx48xIQ")
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_LARGEST_SECTOR = 0xFFFFFFFA  # above it, numbers mean "free" and "the end"
_SECTORS_IN_HEADER = 109
_SMALL_BYTES = 4096  # below it, a stream is part of the root's, in sectors of their own size
_SMALL_SECTOR = 64

_WORD = 0xA5EC
_ENCRYPTED = 0x0100

_ACTIVE = frozenset({"macros", "_vba_project", "_vba_project_cur", "vba", "\1ole10native"})
_EMBEDDED = re.compile(r"_\d+")  # what ObjectPool holds
_OLE = "\1ole"
_OLE_BYTES = 20
"""[MS-OLEDS] 2.3.3: one with more names what it is linked to. LibreOffice always writes one."""
_OTHER_WORDS = frozenset({"encryptedpackage", "encryptioninfo"})
_DDE = re.compile(
    rb"\x13[ \t]{0,64}(?:DDE(?:AUTO)?|DATABASE)\b"
    rb"|\x13\x00(?:[ \t]\x00){0,64}(?:D\0D\0E\0|D\0A\0T\0A\0B\0A\0S\0E\0)",
    re.IGNORECASE,
)
_FIELD = re.compile(
    rb"\x13([ \t]{0,64}[ILR][^\x13-\x15]{2,1000})"
    rb"|\x13\0((?:[ \t]\0){0,64}[ILR]\0(?:(?![\x13-\x15]\0)..){2,1000})",
    re.IGNORECASE | re.DOTALL,
)


class _Entry(NamedTuple):
    name: str
    kind: int
    sector: int
    size: int


def check_word(content: mmap) -> None:
    """Raises `FileRefused`, and `struct.error` for a damaged one."""
    compound = _Compound(content)
    names = {entry.name.casefold() for entry in compound.entries}
    if names & _OTHER_WORDS:
        raise FileRefused(Reason.ENCRYPTED)
    if names & _ACTIVE or any(map(_is_active, compound.entries)):
        raise FileRefused(Reason.ACTIVE)
    if "worddocument" not in names:
        raise FileRefused(Reason.NOT_TAKEN)
    for entry in compound.entries:
        if entry.name.casefold() == "worddocument":
            _check_document(compound.read(entry))


def _is_active(entry: _Entry) -> bool:
    is_link = entry.name.casefold() == _OLE and entry.size > _OLE_BYTES
    return is_link or bool(_EMBEDDED.fullmatch(entry.name))


def _check_document(document: bytes) -> None:
    mark, flags = struct.unpack_from("<H8xH", document)
    if mark != _WORD:
        raise FileRefused(Reason.NOT_TAKEN)
    if flags & _ENCRYPTED:
        raise FileRefused(Reason.ENCRYPTED)
    if _DDE.search(document) or any(map(field_reaches_out, _fields(document))):
        raise FileRefused(Reason.ACTIVE)


def _fields(document: bytes) -> Iterator[str]:
    """Fields of which some name other files, in letters of one byte or of two."""
    for found in _FIELD.finditer(document):
        narrow, wide = found.groups()
        yield narrow.decode("cp1252", "replace") if narrow else wide.decode("utf-16-le", "replace")


class _Compound:
    """The sectors and names of a compound file; each sector belongs to one stream at most."""

    def __init__(self, content: mmap):
        self._content = content
        header = _HEADER.unpack_from(content)
        shift, self._fats, directory, below, small, self._first_difat = header
        self._size = 1 << shift
        if shift not in {9, 12} or len(content) % self._size or below != _SMALL_BYTES:
            raise FileRefused(Reason.DAMAGED)
        self._count = len(content) // self._size - 1
        self._seen: set[int] = set()
        self._table = self._read_table()
        self.entries = self._read_entries(directory)
        self._small_table = [
            each for number in self._chain(small) for each in self._numbers(number)
        ]
        self._chains: dict[int, list[int]] = {}
        """Of streams, by their first sectors."""
        for entry in self.entries:
            self._follow(entry)

    def read(self, stream: _Entry) -> bytes:
        """All of it, in its order, which need not be that of the sectors."""
        if stream.size < _SMALL_BYTES:
            return self._read_small(stream)
        return self._joined(stream)

    def _read_small(self, stream: _Entry) -> bytes:
        """[MS-CFB] 2.4: it lies in the root's stream, by a table of its own."""
        root = next((entry for entry in self.entries if entry.kind == _ROOT), None)
        if root is None or not root.size:
            raise FileRefused(Reason.DAMAGED)
        all_small, number, found = self._joined(root), stream.sector, b""
        while len(found) < stream.size:
            piece = all_small[number * _SMALL_SECTOR : (number + 1) * _SMALL_SECTOR]
            if not piece or number >= len(self._small_table):
                raise FileRefused(Reason.DAMAGED)
            found += piece
            number = self._small_table[number]
        return found

    def _joined(self, stream: _Entry) -> bytes:
        return b"".join(self._sector(number) for number in self._chains[stream.sector])

    def _sector(self, number: int) -> bytes:
        if number >= self._count:
            raise FileRefused(Reason.DAMAGED)
        at = (number + 1) * self._size
        return self._content[at : at + self._size]

    def _read_table(self) -> list[int]:
        """Of every sector, the one after it."""
        table: list[int] = []
        for number in self._table_sectors():
            table.extend(self._numbers(number))
        return table

    def _table_sectors(self) -> list[int]:
        """[MS-CFB] 2.5: the first 109 stand in the header, more in sectors of their own."""
        found = list(struct.unpack_from(f"<{_SECTORS_IN_HEADER}I", self._content, 76))
        following = self._first_difat
        while following < _LARGEST_SECTOR:
            self._visit(following)
            *numbers, following = self._numbers(following)
            found.extend(numbers)
        found = [number for number in found if number < _LARGEST_SECTOR]
        if len(found) != self._fats:
            raise FileRefused(Reason.DAMAGED)
        for number in found:
            self._visit(number)
        return found

    def _numbers(self, number: int) -> tuple[int, ...]:
        return struct.unpack(f"<{self._size // 4}I", self._sector(number))

    def _chain(self, number: int) -> list[int]:
        chain = []
        while number < _LARGEST_SECTOR:
            self._visit(number)
            chain.append(number)
            if number >= len(self._table):
                raise FileRefused(Reason.DAMAGED)
            number = self._table[number]
        return chain

    def _visit(self, number: int) -> None:
        if number in self._seen or number >= self._count:
            raise FileRefused(Reason.DAMAGED)
        self._seen.add(number)

    def _read_entries(self, first: int) -> list[_Entry]:
        directory = b"".join(self._sector(number) for number in self._chain(first))
        found = []
        for name, length, kind, sector, size in _ENTRY.iter_unpack(directory):
            if kind in {_STORAGE, _STREAM, _ROOT}:
                text = name[: max(0, length - 2)].decode("utf-16-le")
                found.append(_Entry(text, kind, sector, size & 0xFFFFFFFF))
        return found

    def _follow(self, entry: _Entry) -> None:
        """See that all of a stream is there."""
        if entry.kind == _STORAGE or (entry.kind == _STREAM and entry.size < _SMALL_BYTES):
            return
        if not entry.size:
            return
        chain = self._chains[entry.sector] = self._chain(entry.sector)
        if len(chain) * self._size < entry.size:
            raise FileRefused(Reason.DAMAGED)
