"""The rules of a blob: what a client may say of a file that it is going to send."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import Any, NamedTuple

from roadworthy.inspection import DOC, DOCX, HEIC, IMAGES, JPEG, ODT, PDF, PNG, TYPES, WEBP
from roadworthy.wire import Fields, text_value
from roadworthy.wire.values import BLANK, INVALID, SPACES, Refused, is_blank

LIFETIME = timedelta(days=1)
"""How long a blob waits to be attached."""
DBS_IMAGE_LIFETIME = timedelta(days=180)
"""How long the image of a DBS certificate is kept once it is withdrawn, undecided: generally no
longer than six months (DBS code of practice)."""
MOST_SUBMITTED_A_DAY = 36
"""Documents that one driver hands in: six times each kind, as each is kept."""
MOST_UNATTACHED = 160
"""Blobs of one driver that wait: a profile's every place, full of photographs."""

UNKNOWN_TYPE = "application/octet-stream"
MEGABYTE = 1024 * 1024
MD5_BYTES = 16

SHOWN_INLINE = IMAGES | {PDF}
TEXT_SLOTS = frozenset({"cv", "documents"})

_ENDINGS = {
    PDF: (".pdf",),
    JPEG: (".jpg", ".jpeg", ".jfif"),
    PNG: (".png",),
    HEIC: (".heic", ".heif"),
    WEBP: (".webp",),
    DOC: (".doc", ".dot"),
    DOCX: (".docx",),
    ODT: (".odt",),
}
"""Of names, by what the file is; the first is the usual one."""

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", re.ASCII)
_NOT_IN_NAME = r"\x00-\x1f\x7f-\x9f/\\\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_REFUSED_NAME = re.compile(f"[{_NOT_IN_NAME}]")
FILENAME_PATTERN = rf"^[^{_NOT_IN_NAME}]*[^.{_NOT_IN_NAME}{SPACES}][^{_NOT_IN_NAME}]*$"
CONTENT_TYPE_PATTERN = (
    r"^(?:[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*(?:;[ -~]*)?)?$"
)
_WHOLE = re.compile(r"0*([0-9]{1,18})(?:\.0)?", re.ASCII)


class NewBlob(NamedTuple):
    """What a client says of a file that it is going to send."""

    filename: str
    content_type: str
    byte_size: int
    checksum: str
    """Base64 of the MD5."""


def judge_blob(given: Mapping[str, Any], most_bytes: int) -> tuple[NewBlob, dict[str, list[str]]]:
    """The blob asked for and what is wrong with it, field by field in the documented order."""
    fields = Fields(given, every=True)
    found = {
        name: _judged(fields, name, given.get(name), judge)
        for name, judge in (
            ("filename", filename_value),
            ("content_type", content_type_value),
            ("byte_size", lambda value: byte_size_value(value, most_bytes)),
            ("checksum", checksum_value),
        )
    }
    return NewBlob(**found), fields.errors


def filename_value(value: object) -> str:
    """A name for people: no path, no control or direction character. Raises `Refused`."""
    name = _required_text(value)
    if _REFUSED_NAME.search(name) or name in {".", ".."}:
        raise Refused(INVALID)
    return name


def name_to_save(filename: str, content_type: str) -> str:
    """What a file of that type is called when it is handed out.

    It ends as such files do, so that nobody's machine takes it for a page or a program.
    """
    endings = _ENDINGS.get(content_type, ("",))
    return filename if filename.lower().endswith(endings) else filename + endings[0]


def content_type_value(value: object) -> str:
    """A media type without parameters; nothing where the client knows none. Raises `Refused`."""
    if isinstance(value, list | dict) or is_blank(value):
        return UNKNOWN_TYPE
    media_type = (text_value(value) or "").partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise Refused(INVALID)
    return media_type


def byte_size_value(value: object, most: int) -> int:
    """A number of bytes, also as text of digits. Raises `Refused`."""
    whole = _WHOLE.fullmatch(_required_text(value))
    if not whole:
        raise Refused("is not a number")
    size = int(whole[1])
    if size == 0:
        raise Refused("must be greater than 0")
    if size > most:
        raise Refused(too_big(most))
    return size


def byte_size_pattern(most: int) -> str:
    """What `byte_size_value` takes as text, for the document of the API."""
    return rf"^0*(?:{digits_up_to(most)})(?:\.0)?$"


def digits_up_to(most: int) -> str:
    """A pattern of the numbers from 1 to `most`, in digits: shorter ones, then those that are less
    from some digit on, then itself.
    """
    text = str(most)
    shorter = [f"[1-9][0-9]{{0,{len(text) - 2}}}"] if len(text) > 1 else []
    less = [
        f"{text[:at]}[{0 if at else 1}-{int(digit) - 1}][0-9]{{{len(text) - at - 1}}}"
        for at, digit in enumerate(text)
        if int(digit) > (0 if at else 1)
    ]
    return "|".join([*shorter, *less, text])


def checksum_value(value: object) -> str:
    """The base64 of an MD5. Raises `Refused`."""
    text = _required_text(value)
    try:
        digest = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Refused(INVALID) from None
    if len(digest) != MD5_BYTES or base64.b64encode(digest).decode() != text:
        raise Refused(INVALID)
    return text


def too_big(most: int) -> str:
    """What is said of a file of more than `most` bytes."""
    return f"is too big (maximum is {most // MEGABYTE} MB)"


def refusal_in(slot: str, content_type: str) -> str | None:
    """Why a file of that type cannot be in `slot`, if it cannot."""
    if content_type in SHOWN_INLINE or (slot in TEXT_SLOTS and content_type in TYPES):
        return None
    if slot in TEXT_SLOTS:
        return "must be a PDF, a photograph (JPEG, PNG, HEIC, WebP) or a DOC, DOCX or ODT"
    return "must be a PDF or a photograph (JPEG, PNG, HEIC, WebP)"


def joined_name(first: str) -> str:
    """Of the PDF that photographs become, by the name of the first."""
    return f"{PurePath(first).stem[:200]}.pdf"


def _judged(fields: Fields, name: str, value: object, judge: Any) -> Any:
    try:
        return judge(value)
    except Refused as refused:
        fields.refuse(name, str(refused))
        return None


def _required_text(value: object) -> str:
    text = None if isinstance(value, list | dict | bytes) else text_value(value)
    if text is None or is_blank(text):
        raise Refused(BLANK)
    return text
