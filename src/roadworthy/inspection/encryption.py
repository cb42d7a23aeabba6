"""Encryption of a PDF that all readers decipher alike: else they see what is not seen here."""

import re
from collections.abc import Sequence
from mmap import mmap
from typing import Any

import pikepdf
from pikepdf import Name, Pdf

from roadworthy.inspection.lexical import WHITE, spelt
from roadworthy.inspection.refusals import FileRefused, Reason

_BEGINS = re.compile(b"/" + spelt("Root"))
_ENCRYPTS = re.compile(
    b"/%b(?:%b++([0-9]{1,10})%b|(?![A-Za-z]))" % (spelt("Encrypt"), WHITE, WHITE)
)
_CIPHERS = {4: (Name.V2, Name.AESV2), 5: (Name.AESV3,)}


def require_plain(pdf: Pdf, content: mmap, headers: Sequence[tuple[int, int]]) -> None:
    """Raise `FileRefused` unless all readers make the same keys for objects with such `headers`:
    number and generation. Some take an encryption for the file's wherever it is named.
    """
    encryption = pdf.trailer.get("/Encrypt")
    named = set(_ENCRYPTS.findall(content))
    if encryption is None:
        if named:
            raise FileRefused(Reason.DAMAGED)
        return
    if named != {b"%d" % encryption.objgen[0] if encryption.is_indirect else b""}:
        raise FileRefused(Reason.DAMAGED)
    how_often = sum(number == encryption.objgen[0] for number, _ in headers)
    is_first = all(generation == 0 for _, generation in headers)
    if how_often > 1 or not is_first or not _is_plain(encryption):
        raise FileRefused(Reason.DAMAGED)


def _is_plain(encryption: Any) -> bool:
    """Whether all readers decipher the same in the same way (ISO 32000-1, 7.6.5)."""
    version, named = encryption.get("/V"), encryption.get("/StmF")
    if encryption.get("/Filter") != Name.Standard:
        return False
    if version in {1, 2}:
        return "/CF" not in encryption
    filters = encryption.get("/CF")
    if version not in _CIPHERS or not isinstance(filters, pikepdf.Dictionary):
        return False
    if not isinstance(named, Name) or named == Name.Identity or "/Identity" in filters:
        return False
    how = filters.get(str(named))
    is_known = isinstance(how, pikepdf.Dictionary) and how.get("/CFM") in _CIPHERS[version]
    return is_known and encryption.get("/StrF") == named


def require_same(pdf: Pdf, trailer: bytes, read: Any) -> None:
    """Raise `FileRefused` where a reader that begins with this `trailer`, as it stands and as it
    was read, might decipher otherwise.
    """
    encryption = pdf.trailer.get("/Encrypt")
    named = _ENCRYPTS.findall(trailer)
    if not named and (encryption is None or not _BEGINS.search(trailer)):
        return
    if encryption is None or len(named) > 1 or _first_id(read) != _first_id(pdf.trailer):
        raise FileRefused(Reason.DAMAGED)
    if encryption.is_indirect:
        is_same = named == [b"%d" % encryption.objgen[0]]
    else:
        is_same = named == [b""] and read["/Encrypt"].unparse() == encryption.unparse()
    if not is_same:
        raise FileRefused(Reason.DAMAGED)


def _first_id(trailer: Any) -> bytes:
    """From which, with the password, comes the key (ISO 32000-1, 7.6.3.3)."""
    found = trailer.get("/ID") if isinstance(trailer, pikepdf.Dictionary) else None
    return bytes(found[0]) if isinstance(found, pikepdf.Array) and len(found) else b""
