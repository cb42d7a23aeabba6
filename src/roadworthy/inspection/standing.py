"""Whatever stands in a PDF, whether its table of objects lists it or not.

A reader that cannot follow the table, or will not, looks for objects wherever they stand, each in
its own way, and finds what those who follow it never see: what was replaced later, or was never
listed. So we look at it all, and take nothing that may be read in two ways.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from mmap import mmap
from typing import Any, NamedTuple

import pikepdf
from pikepdf import Name, Pdf, Stream

from roadworthy.inspection.ambiguity import (
    HARMLESS,
    HARMLESS_BEFORE_MORE,
    refuse_ambiguous,
)
from roadworthy.inspection.encryption import require_plain, require_same
from roadworthy.inspection.lexical import WHITE, spelt
from roadworthy.inspection.refusals import FileRefused, Reason

_REFERENCE = re.compile(rb"[0-9]++%b++[0-9]++%b++R" % (WHITE, WHITE))
_HEADER = re.compile(
    rb"(?<![0-9+\-.#\x80\xff])([0-9]{1,10})%b++([0-9]{1,10})%b++\Z" % (WHITE, WHITE)
)
_MOST_HEADER = 64
"""What has a longer one is no document's."""
_MAYBE_WHITE = b"\0\t\n\f\r \x80\xff"
_ENDS_NUMBER = b"0123456789+-."
_AFTER_WORD = b"\0\t\n\f\r ()<>[]{}/%\x80\xff"
_SPELT_HEADER = re.compile(
    rb"[\0\t\n\f\r 0-9](?:#6[fF](?:b|#62)(?:j|#6[aA])|o#62(?:j|#6[aA])|ob#6[aA])"
)
_ODD_ROOT = re.compile(
    rb"/%b(?![A-Za-z0-9])(?!%b++%b)" % (spelt("Root"), WHITE, _REFERENCE.pattern)
)
_NULL = re.compile(WHITE + rb"*+(?:null|endobj)\b")
_TRAILER = re.compile(rb"trailer" + WHITE + rb"*+(<<|[%\x80\xff])")
_TABLE_PLACE = re.compile(rb"startxref[\t\n\r ]++[0-9]+(?:[\t\n\r %]|\Z)")
_SPELT_NAME = re.compile(rb"/[A-Za-z0-9]*#")
_OF_TABLES = frozenset({"/W", "/Root", "/Index", "/Encrypt"})
_OF_OBJECTS = frozenset({"/First"})
_STREAM = re.compile(rb"stream\r?\n")
_ENDSTREAM = re.compile(WHITE + rb"*+endstream")
_PACKED_HEAD = re.compile(rb"[\0\t\n\f\r 0-9]*")
_AMID_NUMBER = re.compile(rb"[0-9][0-9]")
_NUMBERS = re.compile(rb"[0-9]+")
_BY_REFERENCE = re.compile(rb"/(?:N|First|Type) [0-9]+ [0-9]+ R")
_HARMLESS_REFERENCE = re.compile(rb"/(?:Length|Extends)%b++" % WHITE + _REFERENCE.pattern)

MOST_OBJECTS = 100_000
MOST_REVISIONS = 100
MOST_LISTED = 5 * MOST_OBJECTS
"""More is no document."""
MOST_PACKED_BYTES = 256 * 1024 * 1024
_MOST_TRAILER_BYTES = _MOST_LINE = 64 * 1024
_HIGHEST_NUMBER, _HIGHEST_GENERATION = 8_388_607, 65_535  # ISO 32000-1, annex C.2, and 7.5.4
_PREDICTORS = frozenset({1, *range(10, 16)})

_ROOT = b"<</Type/Catalog/Pages<</Type/Pages/Kids[]/Count 0>>>>"


class _Place(NamedTuple):
    """Where an object stands: its header begins, and ends."""

    number: int
    generation: int
    start: int
    after: int


class Standing(NamedTuple):
    """An object, by the number that others refer to; what it refers to may be none of the file's.

    A trailer has no number.
    """

    number: int | None
    top: Any


def everything(pdf: Pdf, content: mmap) -> Iterator[Standing | bytes]:
    """Every object and trailer that stands in `content`, which is that of `pdf`, and what streams
    of objects hold: as bytes, and object by object. Raises `FileRefused` where readers may differ.
    """
    if _SPELT_HEADER.search(content) or _ODD_ROOT.search(content):
        raise FileRefused(Reason.DAMAGED)
    revisions = _revisions(content)
    trailers, size = _trailers(content), 0
    for place, top in _objects(pdf, content, revisions):
        yield Standing(place.number, top)
        if not isinstance(top, Stream):
            continue
        if _is_typed(top, Name.XRef, _OF_TABLES):
            trailers.append(_dictionary_at(place.after, content))
        if _holds_objects(top):
            _require_as_long_as_said(top, content, place.after)
            packed = _unpacked(top, _dictionary_at(place.after, content))
            size += len(packed)
            if size > MOST_PACKED_BYTES:
                raise FileRefused(Reason.TOO_LARGE)
            yield packed
            yield from _within(top, packed)
    for trailer, top in zip(trailers, _parsed(trailers, HARMLESS_BEFORE_MORE), strict=True):
        require_same(pdf, trailer, top)
        yield Standing(None, top)
    require_plain(pdf, content, [each[:2] for places in revisions.values() for each in places])
    table = content.rfind(b"startxref")  # where there is none, all look for the objects
    if table >= 0 and not _TABLE_PLACE.match(content, table):
        raise FileRefused(Reason.DAMAGED)


def _objects(
    pdf: Pdf, content: mmap, revisions: dict[int, list[_Place]]
) -> Iterator[tuple[_Place, Any]]:
    """First the last of each number, then those before them, and so on."""
    ages = max(map(len, revisions.values()), default=0)
    if ages * len(revisions) > MOST_LISTED:
        raise FileRefused(Reason.TOO_LARGE)
    for age in range(ages):
        places = [those[max(0, len(those) - 1 - age)] for those in revisions.values()]
        with _listing(pdf, content, places) as listing:
            for place in (each for each in places if len(revisions[each.number]) > age):
                top: Any = listing.get_object(place.number, place.generation)
                _require_read(top, content, place.after)
                yield place, top
            refuse_ambiguous(listing, HARMLESS)


def _revisions(content: mmap) -> dict[int, list[_Place]]:
    """Where each object stands, by its number, in the order of the file."""
    found = defaultdict[int, list[_Place]](list)
    for at in _places_of(b"obj", content):
        place = _place_of_object(content, at)
        if place:
            found[place.number].append(place)
            if len(found[place.number]) > MOST_REVISIONS:
                raise FileRefused(Reason.TOO_LARGE)
    return found


def _places_of(word: bytes, content: mmap) -> Iterator[int]:
    at = content.find(word)
    for _ in range(2 * MOST_OBJECTS):  # most end with a word that ends with that
        if at < 0:
            return
        yield at
        at = content.find(word, at + len(word))
    raise FileRefused(Reason.TOO_LARGE)


def _place_of_object(content: mmap, at: int) -> _Place | None:
    """The object whose header ends with the `obj` there, if that is one."""
    if content[at + 3 : at + 4] not in _AFTER_WORD:
        return None
    before = content[max(0, at - _MOST_HEADER) : at]
    header = _HEADER.search(before)
    if not header:
        _require_no_header(content, before, at)
        return None
    number, generation = map(int, header.groups())
    if number > _HIGHEST_NUMBER or generation > _HIGHEST_GENERATION:
        raise FileRefused(Reason.DAMAGED)
    return _Place(number, generation, at - len(before) + header.start(), at + len(b"obj"))


def _require_no_header(content: mmap, before: bytes, at: int) -> None:
    """For no reader: after a number written otherwise, a comment, or too much white space."""
    last = before.rstrip(_MAYBE_WHITE)
    begins_line = b"\n" in before[len(last) :] or b"\r" in before[len(last) :]
    if not last or last[-1] in _ENDS_NUMBER or (begins_line and _is_after_comment(content, at)):
        raise FileRefused(Reason.DAMAGED)


def _is_after_comment(content: mmap, at: int) -> bool:
    """Whether the line before may be one, or end with one."""
    lines = content[max(0, at - _MOST_LINE) : at].rstrip(_MAYBE_WHITE)
    line = lines[max(lines.rfind(b"\n"), lines.rfind(b"\r")) + 1 :]
    return b"%" in line or len(line) == _MOST_LINE


def _dictionary_at(start: int, content: mmap) -> bytes:
    """Of the stream that begins there. Names spelt in numbers, which not all readers know, are
    refused.
    """
    dictionary = content[start : start + _MOST_TRAILER_BYTES].partition(b"stream")[0]
    if _SPELT_NAME.search(dictionary):
        raise FileRefused(Reason.DAMAGED)
    return dictionary


def _require_read(top: object, content: mmap | bytes, after: int) -> None:
    """qpdf makes nothing of what it cannot read; other readers may. Where there is nothing, as old
    writers left it, they do not.
    """
    if top is None and not _NULL.match(content, after):
        raise FileRefused(Reason.DAMAGED)


def _listing(pdf: Pdf, content: mmap, places: list[_Place]) -> Pdf:
    """The same file with another table, and encrypted as it is."""
    file = io.BytesIO()
    file.write(content)
    root = max((place.number for place in places), default=0) + 1
    entries = [(each.number, each.generation, each.start) for each in places if each.number]
    entries.append((root, 0, file.tell() + 1))
    file.write(b"\n%d 0 obj\n%b\nendobj\n" % (root, _ROOT))
    encryption = b"".join(
        name.encode() + b" " + pdf.trailer[name].unparse()
        for name in ("/Encrypt", "/ID")
        if name in pdf.trailer
    )
    return _opened(file, entries, root, encryption)


def _opened(
    file: io.BytesIO, entries: list[tuple[int, int, int]], root: int, more: bytes = b""
) -> Pdf:
    begins = file.tell()
    file.write(b"xref\n0 1\n0000000000 65535 f \n")
    file.writelines(
        b"%d 1\n%010d %05d n \n" % (number, start, generation)
        for number, generation, start in sorted(entries)
    )
    file.write(b"trailer\n<</Size %d/Root %d 0 R%b>>\n" % (root + 1, root, more))
    file.write(b"startxref\n%d\n%%%%EOF\n" % begins)
    return pikepdf.open(file)


def _holds_objects(stream: Stream) -> bool:
    """Some readers ask for no type (ISO 32000-1, 7.5.7), and some see it where others do not."""
    if _BY_REFERENCE.search(stream.stream_dict.unparse(resolved=True)):
        raise FileRefused(Reason.DAMAGED)
    return _is_typed(stream, Name.ObjStm, _OF_OBJECTS)


def _is_typed(stream: Stream, name: Name, keys: frozenset[str]) -> bool:
    """As it has to be with one of `keys`: some readers go by these."""
    is_typed = bool(stream.get("/Type") == name)
    if not is_typed and not keys.isdisjoint(stream.keys()):
        raise FileRefused(Reason.DAMAGED)
    return is_typed


def _require_as_long_as_said(stream: Stream, content: mmap, after: int) -> None:
    """Else readers end it where it says, or where its end stands."""
    begins = _STREAM.search(content, after)
    length: Any = stream.get("/Length")
    if not begins or b"(" in content[after : begins.start()] or not isinstance(length, int):
        raise FileRefused(Reason.DAMAGED)
    if not _ENDSTREAM.match(content, begins.end() + length):
        raise FileRefused(Reason.DAMAGED)


def _unpacked(stream: Stream, dictionary: bytes) -> bytes:
    """What it holds, where every reader unpacks it alike: how stands in its dictionary itself."""
    referred = len(_REFERENCE.findall(dictionary)) - len(_HARMLESS_REFERENCE.findall(dictionary))
    if referred or "/DP" in stream or not _is_plainly_filtered(stream):
        raise FileRefused(Reason.DAMAGED)
    try:
        return stream.read_bytes()
    except pikepdf.PdfError:
        raise FileRefused(Reason.DAMAGED) from None


def _is_plainly_filtered(stream: Stream) -> bool:
    filters: Any = stream.get("/Filter")
    parameters: Any = stream.get("/DecodeParms")
    if isinstance(filters, pikepdf.Array):
        if len(filters) != 1 or not isinstance(parameters, pikepdf.Array | None):
            return False
        filters = filters[0]
        parameters = parameters[0] if parameters is not None and len(parameters) == 1 else None
    if filters is None:
        return parameters is None
    if parameters is not None and not isinstance(parameters, pikepdf.Dictionary):
        return False
    predictor: Any = parameters.get("/Predictor", 1) if parameters is not None else 1
    return filters == Name.FlateDecode and predictor in _PREDICTORS


def _within(stream: Stream, packed: bytes) -> Iterator[Standing]:
    """The objects that it holds."""
    first: Any = stream.get("/First")
    count: Any = stream.get("/N")
    if not isinstance(first, int) or not isinstance(count, int):
        raise FileRefused(Reason.DAMAGED)
    head = packed[: max(0, first)]
    numbers = [int(each) for each in _NUMBERS.findall(head)][: max(0, 2 * count)]
    starts = [first + offset for offset in numbers[1::2]]
    ends = [*starts, len(packed)]
    if (
        not _PACKED_HEAD.fullmatch(head)
        or _AMID_NUMBER.match(packed, max(0, first - 1))
        or any(number > _HIGHEST_NUMBER for number in numbers[::2])
        or len(numbers) < 2 * count
        or any(start >= end for start, end in pairwise(ends))
        or packed[first : starts[0] if starts else first].strip()
        or (count < 1 and packed.strip())
    ):
        raise FileRefused(Reason.DAMAGED)
    yield from map(Standing, numbers[::2], _parsed([packed[i:j] for i, j in pairwise(ends)]))


def _trailers(content: mmap) -> list[bytes]:
    found = []
    for trailer in _TRAILER.finditer(content):
        if trailer[1] != b"<<":
            raise FileRefused(Reason.DAMAGED)
        most = trailer.start(1) + _MOST_TRAILER_BYTES
        end = content.find(b"startxref", trailer.start(1), most)
        found.append(content[trailer.start(1) : end if end >= 0 else most])
        if len(found) > MOST_REVISIONS:
            raise FileRefused(Reason.TOO_LARGE)
    return found


def _parsed(pieces: list[bytes], harmless: re.Pattern[str] = HARMLESS) -> Iterator[Any]:
    """The object at the beginning of each. Their numbers are new ones, so what they refer to is
    none of theirs.
    """
    file, entries = io.BytesIO(), list[tuple[int, int, int]]()
    file.write(b"%PDF-1.7\n")
    for number, piece in enumerate([*pieces, _ROOT], start=1):
        entries.append((number, 0, file.tell()))
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, piece))
    with _opened(file, entries, len(entries)) as parsed:
        for number, piece in enumerate(pieces, start=1):
            top: Any = parsed.get_object(number, 0)
            _require_read(top, piece, 0)
            yield top
        refuse_ambiguous(parsed, harmless)
