"""The rules of an upload that can be resumed: what the headers of tus 1.0 may say."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from roadworthy.documents import content_type_value, filename_value
from roadworthy.wire import BadRequest, TooLarge, Unprocessable
from roadworthy.wire.values import Refused

LIFETIME = timedelta(days=1)
"""How long an upload may take, and its end be asked for."""
MOST_UNFINISHED = 20
"""Unfinished uploads of one driver."""
MOST_UNFINISHED_FILES = 10
"""The longest files that those may come to, together."""
MOST_PARTS = 1000
"""Of one upload: a connection may break that often."""
PART_BYTES = 8 * 1024 * 1024
PART_SECONDS = 15
"""What came since the last part is stored then: that much is lost when we are killed."""

ALGORITHMS = ("md5", "sha1", "sha256")
UNNAMED = "file"
"""What a file is called when the client does not say."""

MOST_METADATA = 4096
_PAIR = re.compile(r"([!-+\--~]+)(?: +([A-Za-z0-9+/]*={0,2}))?", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class NewUpload(NamedTuple):
    """What a client says of a file that it is going to send."""

    filename: str
    content_type: str
    metadata: str
    byte_size: int


class Checksum(NamedTuple):
    """What a client says of the bytes of one request."""

    algorithm: str
    digest: bytes


def judge_upload(length: str | None, metadata: str | None, most_bytes: int) -> NewUpload:
    """The upload asked for by `Upload-Length` and `Upload-Metadata`.

    Raises `BadRequest` where they cannot be read, `TooLarge`, and `Unprocessable`.
    """
    byte_size = number(length, "Upload-Length")
    if byte_size > most_bytes:
        raise TooLarge(most_bytes)
    said = metadata_of(metadata or "")
    errors: dict[str, list[str]] = {}
    filename, content_type = UNNAMED, ""
    try:
        filename = filename_value(said.get("filename") or UNNAMED)
    except Refused as refused:
        errors["filename"] = [str(refused)]
    try:
        content_type = content_type_value(said.get("filetype"))
    except Refused as refused:
        errors["filetype"] = [str(refused)]
    if byte_size == 0:
        errors["byte_size"] = ["must be greater than 0"]
    if errors:
        raise Unprocessable(errors)
    return NewUpload(filename, content_type, metadata or "", byte_size)


def number(text: str | None, header: str) -> int:
    """The number that `header` says. Raises `BadRequest`."""
    if text is None or not _DIGITS.fullmatch(text):
        raise BadRequest(f"{header} is no number")
    return int(text)


def metadata_of(text: str) -> Mapping[str, str]:
    """Keys and, from base64, values of `Upload-Metadata`. Raises `BadRequest`."""
    if len(text) > MOST_METADATA:
        raise BadRequest("Upload-Metadata is too long")
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        match = _PAIR.fullmatch(pair.strip())
        if match is None or match[1] in found:
            raise BadRequest("Upload-Metadata cannot be read")
        try:
            found[match[1]] = base64.b64decode(match[2] or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest("Upload-Metadata cannot be read") from None
    return found


def checksum_in(text: str | None) -> Checksum | None:
    """What `Upload-Checksum` says, if it is sent. Raises `BadRequest`."""
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest("Upload-Checksum is of another algorithm")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("Upload-Checksum cannot be read") from None
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise BadRequest("Upload-Checksum is of another length")
    return Checksum(algorithm, digest)
