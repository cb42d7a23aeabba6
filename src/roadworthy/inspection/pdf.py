"""PDFs: every object of them is looked at, listed or not, and what acts by itself is refused.

A PDF that opens without a password is taken even when it forbids printing or copying
(ISO 32000-1, 7.6.3.1: an empty user password), as certificates by mail often do.
"""

import codecs
import contextlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from mmap import mmap
from typing import Any, BinaryIO

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String
from pikepdf.settings import qpdf_limit_errors, set_qpdf_limits

from roadworthy.inspection.ambiguity import HARMLESS, HARMLESS_AS_LISTED, refuse_ambiguous
from roadworthy.inspection.lexical import WHITE, spelt
from roadworthy.inspection.references import acts
from roadworthy.inspection.refusals import FileRefused, Reason
from roadworthy.inspection.standing import Standing, everything

MOST_PAGES = 300
MOST_STREAM_BYTES = 256 * 1024 * 1024
MOST_DECODED_BYTES = 1024 * 1024 * 1024
MOST_PIXELS = 200_000_000
"""In one picture: those who see the PDF have to decode it."""

_END = b"%%EOF"
_END_WITHIN = 1024  # as Adobe's readers ask
_MOST_PADDING = 64 * 1024  # which some scanners leave

# ISO 32000-1: 12.6.4 (actions), 12.5.6 (annotations), 7.11 (files), 12.7.8 (XFA), 13 (multimedia).
_ACTIVE_KEYS = frozenset({"/JS", "/JavaScript", "/EmbeddedFiles", "/XFA", "/RichMedia"})
_ACTIVE_ACTIONS = frozenset(
    {
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/GoToE",
        "/Movie",
        "/Sound",
        "/Rendition",
        "/RichMediaExecute",
        "/GoTo3DView",
    }
)
_ACTIVE_TYPES = frozenset(
    {"/EmbeddedFile", "/RichMedia", "/Movie", "/Sound", "/Screen", "/3D", "/FileAttachment"}
)

_HARDLY_GROWING = frozenset({"/ASCIIHexDecode", "/ASCII85Decode"})
"""Filters that give no more than they are given, but for zeros."""

# ISO 32000-1, 12.6.3: of annotations, pages, fields and the document.
_TRIGGER = re.compile("/(?:[EXDUOCKFV]|Fo|Bl|P[OCVI]|W[CSP]|D[SP])")

_DECISIVE = ("/S", "/Type", "/Subtype")
_ODD = re.compile("#(?![0-9A-Fa-f]{2})|[\0\udc80\udcff]|/QPDFFake")
"""In names, once letters that were written as numbers are read: what readers make of the rest
differs, and pdfium takes the bytes 80 and FF for blanks. qpdf calls some keys that it cannot read a
fake."""
_PLAIN_NUMBER = re.compile(rb"[1-9][0-9]{0,7}")
_NUMBERED = re.compile(rb"#([0-9a-f]{2})")

_WEB = re.compile(rb"https?://", re.IGNORECASE)
_MARK = re.compile(rb"\A(?:\xfe\xff|\xff\xfe|\xef\xbb\xbf)")
"""Of Unicode, and how (ISO 32000-2, 7.9.2.2)."""

_BLOCK = 16
"""Of AES: some readers take as many bytes for padding as the last says, whatever stands there."""
_LETTERS = {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}
for _letters in _LETTERS.values():
    codecs.lookup(_letters)  # which loads it: a confined process can load nothing more

_PIECE = 1024 * 1024


_ACTIONS_SPELT = b"|".join(spelt(name[1:]) for name in sorted(_ACTIVE_ACTIONS))
_IN_CLEAR = re.compile(
    b"/(?:%b%b*+/(?:%b)|%b)[\\s\\0%%/<>(\\[\\]]"
    % (spelt("S"), WHITE, _ACTIONS_SPELT, spelt("EmbeddedFiles"))
)

set_qpdf_limits(
    flate_max_memory=MOST_STREAM_BYTES,
    png_max_memory=MOST_STREAM_BYTES,
    tiff_max_memory=MOST_STREAM_BYTES,
    run_length_max_memory=MOST_STREAM_BYTES,
    max_stream_filters=8,
)


def _open_an_encrypted_one() -> None:
    """With the first, qpdf opens the device for random numbers, which is too late once confined."""
    content = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.save(content, encryption=pikepdf.Encryption(owner="", user=""))
    pikepdf.open(content).close()


_open_an_encrypted_one()


def check_pdf(file: BinaryIO, content: mmap) -> None:
    """Read all of it. Raises `FileRefused`, and whatever pikepdf raises for a damaged one."""
    end = content[-_MOST_PADDING:].rstrip(b"\0\t\n\r ")
    if end.rfind(_END, max(0, len(end) - _END_WITHIN)) < 0:
        raise FileRefused(Reason.DAMAGED)
    _refuse_in_clear(content)
    try:
        with pikepdf.open(file) as pdf:
            referred = _Referred()
            _check_objects(pdf, referred)
            if qpdf_limit_errors():  # of this process, which sees no other file
                raise FileRefused(Reason.TOO_LARGE)
            # Of which object it is depends how it is deciphered.
            refuse_ambiguous(pdf, HARMLESS if pdf.is_encrypted else HARMLESS_AS_LISTED)
            _check_pages(pdf)
            _check_everything(pdf, content, referred)
            referred.require_harmless()
    except pikepdf.PasswordError:
        raise FileRefused(Reason.ENCRYPTED) from None


def _check_objects(pdf: Pdf, referred: "_Referred") -> None:
    decoded = 0
    for top in (pdf.trailer, *pdf.objects):
        _check_object(top)
        referred.meet(Standing(top.objgen[0] if isinstance(top, Object) else None, top))
        if isinstance(top, Stream):
            decoded += _decoded_size(top)
            if decoded > MOST_DECODED_BYTES:
                raise FileRefused(Reason.TOO_LARGE)


def _check_everything(pdf: Pdf, content: mmap, referred: "_Referred") -> None:
    """What readers may see that look for objects, not into their table."""
    referred.read(content)
    for each in everything(pdf, content):
        if isinstance(each, bytes):
            _refuse_in_clear(each)
            referred.read(each)
            continue
        _check_object(each.top)
        referred.meet(each)


class _Referred:
    """What acts not by what it says of itself, but by the name of what refers to it, whichever of
    the objects of that number a reader may find.
    """

    def __init__(self) -> None:
        self._as = {name: set[int]() for name in _ACTS_AS}
        self._acting = {name: set[int]() for name in _ACTS_AS}

    def read(self, content: mmap | bytes) -> None:
        if _reference_as("Type").search(content):
            raise FileRefused(Reason.DAMAGED)  # what it is, readers may differ in
        for name, numbers in self._as.items():
            for number in _reference_as(name).findall(content):
                if not _PLAIN_NUMBER.fullmatch(number):
                    raise FileRefused(Reason.DAMAGED)
                numbers.add(int(number))

    def meet(self, each: Standing) -> None:
        if each.number is None:
            return
        entries = _entries(each.top)
        for name, acts_as in _ACTS_AS.items():
            if acts_as(entries):
                self._acting[name].add(each.number)

    def require_harmless(self) -> None:
        if any(self._as[name] & self._acting[name] for name in _ACTS_AS):
            raise FileRefused(Reason.ACTIVE)


@cache
def _reference_as(name: str) -> re.Pattern[bytes]:
    """A pattern of what an entry of that name refers to: its number, none after a comment."""
    return re.compile(
        b"/%b(?:%b*+%%|%b++([0-9+.\\-]++)(?:%b|%%))" % (spelt(name), WHITE, WHITE, WHITE)
    )


def _refuse_in_clear(content: mmap | bytes) -> None:
    """What is written there in so many words: of two entries of one name, readers see either."""
    if _IN_CLEAR.search(content):
        raise FileRefused(Reason.ACTIVE)


def _check_object(top: Any) -> None:
    for entries in _within(top):
        _refuse_active(entries)
    if isinstance(top, Stream) and "/F" in _entries(top):
        raise FileRefused(Reason.ACTIVE)  # its data is in another file (ISO 32000-1, 7.3.8.2)
    if isinstance(top, Name) and _text(top) in _ACTIVE_ACTIONS | _ACTIVE_TYPES:
        raise FileRefused(Reason.ACTIVE)  # by which any other may be one
    if isinstance(top, String) and any(map(acts, _readings(top))):
        raise FileRefused(Reason.ACTIVE)


def _within(top: Any) -> Iterator[dict[str, Any]]:
    """The dictionaries of an object; objects that it only refers to are reached by themselves."""
    waiting = [top]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Array):
            children = list(each)
        elif isinstance(each, Dictionary | Stream):
            yield _entries(each)
            children = [child for _, child in each.items()]
        else:
            continue
        waiting.extend(child for child in map(_direct, children) if isinstance(child, Object))


def _entries(value: Any) -> dict[str, Any]:
    """Of a dictionary or stream, `None` for what is only referred to; none of anything else."""
    if not isinstance(value, Dictionary | Stream):
        return {}
    return {key: _direct(each) for key, each in value.items()}


def _direct(value: Any) -> Any:
    return None if isinstance(value, Object) and value.is_indirect else value


def _refuse_active(entries: dict[str, Any]) -> None:
    if any(map(_ODD.search, (*entries, *(_name_at(entries, key) for key in _DECISIVE)))):
        raise FileRefused(Reason.DAMAGED)
    if (
        not _ACTIVE_KEYS.isdisjoint(entries)
        or ("/EF" in entries and not isinstance(entries["/EF"], Array))  # rights to files
        or _name_at(entries, "/S") in _ACTIVE_ACTIONS
        or _name_at(entries, "/Type") in _ACTIVE_TYPES
        or _name_at(entries, "/Subtype") in _ACTIVE_TYPES
        or (_name_at(entries, "/S") == "/Thread" and "/F" in entries)
        or any(map(acts, _readings(entries.get("/URI"))))
        or ("/Base" in entries and not _WEB.match(_bytes(entries["/Base"])))
        or any(acts_as(_entries(entries.get(f"/{name}"))) for name, acts_as in _ACTS_AS.items())
    ):
        raise FileRefused(Reason.ACTIVE)


def _name_at(entries: dict[str, Any], key: str) -> str:
    """A text is read as one by some."""
    value = entries.get(key)
    if isinstance(value, String):
        return "/" + _bytes(value).decode("latin-1")
    return _text(value) if isinstance(value, Name) else ""


def _readings(value: Any) -> list[str]:
    """As which text readers take it, who may pass over what is not to be seen."""
    if isinstance(value, Name):
        return [_text(value).removeprefix("/")]
    if isinstance(value, String):
        unmarked = _MARK.sub(b"", _bytes(value))
        letters = _LETTERS.get(_bytes(value)[:2], "utf-8")
        padded = unmarked[-1] if unmarked and unmarked[-1] <= _BLOCK else 0
        return [
            text
            for seen in (unmarked, unmarked[: len(unmarked) - padded])
            for text in (seen.decode(letters, "replace"), seen.decode("latin-1"))
        ]
    return []


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, String) else b""


def _text(name: Name) -> str:
    try:
        return str(name)
    except UnicodeDecodeError:
        spelt_out = _NUMBERED.sub(lambda found: bytes.fromhex(found[1].decode()), name.unparse())
        return spelt_out.decode(errors="surrogateescape")  # as pikepdf has it for keys


def _does_more_than_show(action: dict[str, Any]) -> bool:
    """Whether opening the document with it is more than to go to a place in it."""
    return bool(action) and (_name_at(action, "/S") != "/GoTo" or "/Next" in action)


def _has_actions(entries: dict[str, Any]) -> bool:
    """Whether these are additional actions, or may be; a font may be called AA as well."""
    return any(
        (each is None and _TRIGGER.fullmatch(key))
        or (isinstance(each, Dictionary | Stream) and "/S" in each)
        for key, each in entries.items()
    )


def _is_of_another_file(reference: dict[str, Any]) -> bool:
    """ISO 32000-1, 8.10.4: a page of another PDF in the place of a form; others refer within."""
    return "/F" in reference


_ACTS_AS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "OpenAction": _does_more_than_show,
    "AA": _has_actions,
    "Ref": _is_of_another_file,
}


def _decoded_size(stream: Stream) -> int:
    """How many bytes it holds; 0 when they are a picture's, or cannot be had."""
    if _name_at(dict(stream.items()), "/Subtype") == "/Image":
        _refuse_vast(stream)
    try:
        return memoryview(stream.get_stream_buffer()).nbytes
    except pikepdf.DataDecodingError as error:
        if "limit" in str(error):
            raise FileRefused(Reason.TOO_LARGE) from None
        return _size_before_fault(stream)  # who reads it sees as much, as with any reader
    except pikepdf.PdfError:
        return 0  # a picture's own coding


def _size_before_fault(stream: Stream) -> int:
    """How many bytes were decoded in vain. Raises `FileRefused` when that is not to be known."""
    filters = _filters(stream)
    if filters == ["/FlateDecode"]:
        return _inflated_size(stream.read_raw_bytes())
    if _HARDLY_GROWING.issuperset(filters):
        return 0
    raise FileRefused(Reason.DAMAGED)


def _filters(stream: Stream) -> list[str]:
    named: Any = stream.get("/Filter")
    return [str(each) for each in named] if isinstance(named, Array) else [str(named)]


def _inflated_size(packed: bytes) -> int:
    """In pieces: there may be more than fits."""
    inflate = zlib.decompressobj()
    size = 0
    with contextlib.suppress(zlib.error):
        while packed and not inflate.eof and size <= MOST_STREAM_BYTES:
            size += len(inflate.decompress(packed, _PIECE))
            packed = inflate.unconsumed_tail
    return size


def _refuse_vast(image: Stream) -> None:
    width, height = _length_at(image, "/Width"), _length_at(image, "/Height")
    if width * height > MOST_PIXELS:
        raise FileRefused(Reason.TOO_LARGE)


def _length_at(image: Stream, key: str) -> int | Decimal:
    """Readers take a number with a point for a whole one."""
    value: Any = image.get(key)
    return value if isinstance(value, int | Decimal) else 0


def _check_pages(pdf: Pdf) -> None:
    pages = len(pdf.pages)
    if pages < 1:
        raise FileRefused(Reason.DAMAGED)
    if pages > MOST_PAGES:
        raise FileRefused(Reason.TOO_MANY_PAGES)
