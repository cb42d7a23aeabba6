"""Which kind of file bytes begin like, and whether they are a second kind as well.

The name of a file is never asked.
"""

import re
import zipfile
from mmap import mmap
from typing import BinaryIO

from roadworthy.inspection.refusals import FileRefused, Reason

PDF = "application/pdf"
JPEG = "image/jpeg"
PNG = "image/png"
HEIC = "image/heic"
WEBP = "image/webp"
DOC = "application/msword"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"

IMAGES = frozenset({JPEG, PNG, HEIC, WEBP})
TYPES = IMAGES | {PDF, DOC, DOCX, ODT}

ARCHIVE = "application/zip"
"""What a DOCX or ODT begins like; which one, its parts say."""

_BEGINNINGS = {
    b"%PDF-": PDF,
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"PK\x03\x04": ARCHIVE,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": DOC,
}
_LONGEST = 256

# ISO/IEC 23008-12, annex B: brands of still images in HEVC. `mif1` says only "an image".
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis"})

# In bytes that are as good as random, the shortest of these is met once in ten thousand files
# of 20 MB. Acrobat keeps a comment as such a body (ISO 32000-1, 12.7.3.4), in which what acts is
# found by itself.
_HTML = re.compile(
    rb"<(?:html|script|body(?! xmlns=)|iframe|frameset|embed|object|applet|!doctype html)[\s>/]",
    re.IGNORECASE,
)

# Whatever the tag (HTML, 8.1.8.2). XML has attributes of its own that begin with `on`. In small
# letters, and each with a beginning that is found fast.
_ACTS = (
    re.compile(
        rb"on(?<=[\s/\"']on)(?:abort|anim|aux|before|begin|blur|cancel|canplay|change|click|close|"
        rb"context|copy|cut|dblclick|drag|drop|ended|error|focus|form|hash|input|invalid|key|load|"
        rb"message|mouse|page|paste|play|pointer|pop|progress|ready|repeat|reset|resize|scroll|"
        rb"select|show|submit|suspend|toggle|touch|transition|unload|wheel)[a-z]{0,20}\s{0,99}="
    ),
    re.compile(rb"=[\s\"']{0,99}javascript:"),
    re.compile(rb"srcdoc\s{0,99}="),
)
_TAG = re.compile(rb"<[a-z]")
_LONGEST_TAG = 1024

# APPNOTE.TXT, 4.3.12, and what [MS-DOC] 2.9.286 (fcTheme) keeps.
_PACKED_NAME = re.compile(rb"PK\x01\x02.{24}(?P<length>..).{16}", re.DOTALL)
_THEME = (b"[Content_Types].xml", b"_rels/.rels", b"theme/")

# Readers ask no more of a PDF, whatever version follows; the second is how Distiller began them.
_PDF_WITHIN = re.compile(rb"%(?:!PS-Adobe-\d\.\d )?PDF-")


def kind_of(start: bytes) -> str:
    """The content type that a file beginning with `start` has, or `ARCHIVE`.

    Raises `FileRefused`.
    """
    if not start:
        raise FileRefused(Reason.EMPTY)
    for beginning, kind in _BEGINNINGS.items():
        if start.startswith(beginning):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return WEBP
    if start[4:8] == b"ftyp" and _HEVC_BRANDS & _brands(start[:_LONGEST]):
        return HEIC
    raise FileRefused(Reason.NOT_TAKEN)


def _brands(start: bytes) -> set[bytes]:
    length = int.from_bytes(start[:4], "big")
    compatible = start[16:length]
    return {start[8:12], *(compatible[at : at + 4] for at in range(0, len(compatible), 4))}


def refuse_second_kind(file: BinaryIO, content: mmap, kind: str) -> None:
    """Refuse what another program would take for HTML, a PDF or a ZIP. Raises `FileRefused`.

    A picture may be followed by more (phones append a film or a second picture), so what counts
    is what those bytes are. In a DOC, a person may have written about HTML, and Word itself puts
    a ZIP with the colours of its theme.
    """
    html = kind != DOC and (_HTML.search(content) or _acts_as_html(content))
    pdf = kind != PDF and _PDF_WITHIN.search(content)
    archive = kind != ARCHIVE and zipfile.is_zipfile(file)
    if archive and kind == DOC:
        archive = any(map(_is_foreign, _PACKED_NAME.finditer(content)))
    if html or pdf or archive:
        raise FileRefused(Reason.TWO_KINDS)


def _is_foreign(header: re.Match[bytes]) -> bool:
    """Whether what a ZIP's table names is no part of a theme."""
    start = header.end()
    name = header.string[start : start + int.from_bytes(header["length"], "little")]
    return not name.startswith(_THEME)


def _acts_as_html(content: mmap) -> bool:
    small = content[:].lower()
    return any(
        _TAG.search(small, max(0, found.start() - _LONGEST_TAG), found.start())
        for acts in _ACTS
        for found in acts.finditer(small)
    )
