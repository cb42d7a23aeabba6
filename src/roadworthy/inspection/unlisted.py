"""What stands in a PDF beside the objects that its table lists.

A reader that cannot follow the table, or will not, looks for objects wherever they stand, each in
its own way, and finds what those who follow it never see: what was replaced later, or was never
listed. We look at it all.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from mmap import mmap
from typing import Any, NamedTuple

import pikepdf
from pikepdf import Name, Object, Pdf, Stream

from roadworthy.inspection.refusals import FileRefused, Reason

BLANK = rb"(?:[\0\t\n\f\r ]|%[^\r\n]*[\r\n])"
"""A pattern of what parts words (ISO 32000-1, 7.2.2 and 7.2.3)."""
_HEADER = re.compile(rb"(?<![0-9])([0-9]+)" + BLANK + rb"+([0-9]+)" + BLANK + rb"*\Z")
_LONGEST_HEADER = 64
"""What has a longer one is taken for what has none."""
_NUMBERS = re.compile(rb"[0-9]+")

_TRAILER, _NAMELESS = 0, -1
_HIGHEST, _LAST_GENERATION = 1_000_000, 65_535
"""What has a higher number gets another one: a table has to have room for it."""
_ROOT = b"<</Type/Catalog/Pages<</Type/Pages/Kids[]/Count 0>>>>"

MOST_STANDING = 500_000
"""More is no document."""


class _Standing(NamedTuple):
    """What stands somewhere, without what it begins with."""

    number: int
    generation: int
    body: bytes


class _Beginning(NamedTuple):
    """Where something begins, and where it goes on after saying what it is."""

    start: int
    number: int
    generation: int
    after: int


class _Listing(NamedTuple):
    """A PDF, and the number and generation that each object has there."""

    pdf: Pdf
    places: list[tuple[int, int]]


class Beside(NamedTuple):
    """What there is to look at beside the objects that a PDF lists."""

    objects: list[Any]
    """Those that it does not list."""
    packed: list[bytes]
    """What is written in its streams of objects."""


@contextmanager
def beside(pdf: Pdf, content: mmap) -> Iterator[Beside]:
    """All that stands in `content`, which is that of `pdf`.

    What refers to the number of several objects refers to the last, as for most readers. Raises
    `FileRefused` where there may be what cannot be read.
    """
    standing, packed = list(_standing(content)), list(_packed(pdf))
    if all(_are_listed(pdf, [*standing, *packed])):
        yield Beside([], [each.body for each in packed])
        return
    with _listing(pdf, standing).pdf as unpacked:
        packed = list(_packed(unpacked))
    standing = [*packed, *standing]
    everything = _listing(pdf, standing)
    with everything.pdf:
        known = _are_listed(pdf, standing)
        places = [at for at, is_known in zip(everything.places, known, strict=True) if not is_known]
        objects = [everything.pdf.get_object(*at) for at in places]
        yield Beside(objects, [each.body for each in packed])


def _standing(content: mmap) -> Iterator[_Standing]:
    beginnings = sorted((*_objects(content), *_trailers(content)))
    ends = [*(each.start for each in beginnings[1:]), len(content)]
    for (_, number, generation, after), end in zip(beginnings, ends, strict=True):
        body = content[after : _end_of(content, after, end)]
        yield _Standing(number, generation, body)


def _objects(content: mmap) -> Iterator[_Beginning]:
    for at in _places_of(b"obj", content):
        before = content[max(0, at - _LONGEST_HEADER) : at]
        if before.endswith(b"end"):
            continue
        header = _HEADER.search(before)
        number, generation = map(int, header.groups()) if header else (_NAMELESS, 0)
        start = at - len(before) + header.start() if header else at
        yield _Beginning(start, number or _NAMELESS, generation, at + len(b"obj"))


def _trailers(content: mmap) -> Iterator[_Beginning]:
    for at in _places_of(b"trailer", content):
        yield _Beginning(at, _TRAILER, 0, at + len(b"trailer"))


def _places_of(word: bytes, content: mmap) -> Iterator[int]:
    at = content.find(word)
    for _ in range(MOST_STANDING):
        if at < 0:
            return
        yield at
        at = content.find(word, at + len(word))
    raise FileRefused(Reason.TOO_LARGE)


def _end_of(content: mmap, start: int, end: int) -> int:
    """Where it ends that may go on to `end`: a stream to its own end, whatever is in it."""
    if content.find(b"stream", start, end) < 0 or content.find(b"endstream", start, end) >= 0:
        return end
    stream_end = content.find(b"endstream", end)
    return end if stream_end < 0 else stream_end + len(b"endstream")


def _packed(pdf: Pdf) -> Iterator[_Standing]:
    """What is within streams of objects (ISO 32000-1, 7.5.7). Raises `FileRefused` where one cannot
    be read: others may.
    """
    for stream in pdf.objects:
        if isinstance(stream, Stream) and stream.get("/Type") == Name.ObjStm:
            try:
                yield from _within(stream, stream.read_bytes())
            except (pikepdf.PdfError, ValueError, TypeError):
                raise FileRefused(Reason.DAMAGED) from None


def _within(stream: Stream, content: bytes) -> Iterator[_Standing]:
    says: dict[str, Any] = {name: stream.get(name) for name in ("/N", "/First")}
    first, count = int(says["/First"]), int(says["/N"])
    numbers = [int(each) for each in _NUMBERS.findall(content[:first])][: 2 * count]
    if len(numbers) < 2 * count:
        raise ValueError("it has less than it says")
    starts = [first + offset for offset in numbers[1::2]]
    ends = sorted({*starts, len(content)})
    next_after = dict(pairwise(ends))
    for number, start in zip(numbers[::2], starts, strict=False):
        end = next_after.get(start, len(content))
        yield _Standing(number or _NAMELESS, 0, content[start:end])


def _are_listed(pdf: Pdf, standing: list[_Standing]) -> list[bool]:
    """Whether each is listed: it has a number of its own, which is."""
    listed = {each.objgen[0] for each in pdf.objects if isinstance(each, Object)} | {_TRAILER}
    counts = Counter(each.number for each in standing)
    return [each.number in listed and counts[each.number] == 1 for each in standing]


def _listing(pdf: Pdf, standing: list[_Standing]) -> _Listing:
    """A PDF with all of it, encrypted as `pdf` is."""
    file, places = io.BytesIO(), list[tuple[int, int]]()
    offsets: list[int] = []
    file.write(b"%PDF-1.7\n")
    last = {each.number: index for index, each in enumerate(standing)}
    free = max((number for number in last if number <= _HIGHEST), default=0) + 1
    for index, (number, generation, body) in enumerate([*standing, _Standing(_NAMELESS, 0, _ROOT)]):
        at = number, generation
        if last.get(number) != index or not 0 < number <= _HIGHEST or generation > _LAST_GENERATION:
            at, free = (free, 0), free + 1
        places.append(at)
        offsets.append(file.tell())
        file.write(b"%d %d obj\n%b\nendobj\n" % (*at, body))
    _end(pdf, file, places, offsets)
    return _Listing(pikepdf.open(file), places[:-1])


def _end(pdf: Pdf, file: io.BytesIO, places: list[tuple[int, int]], offsets: list[int]) -> None:
    """Write the table and the trailer; what stands last is the root."""
    begins = file.tell()
    file.write(b"xref\n0 1\n0000000000 65535 f \n")
    file.writelines(
        b"%d 1\n%010d %05d n \n" % (number, offset, generation)
        for (number, generation), offset in sorted(zip(places, offsets, strict=True))
    )
    encryption = b"".join(
        name.encode() + b" " + pdf.trailer[name].unparse()
        for name in ("/Encrypt", "/ID")
        if name in pdf.trailer
    )
    size, root = max(places)[0] + 1, places[-1][0]
    file.write(b"trailer\n<</Size %d/Root %d 0 R%b>>\n" % (size, root, encryption))
    file.write(b"startxref\n%d\n%%%%EOF\n" % begins)
