"""The parameters of a request: from JSON, a form, multipart or the query string, alike.

Names nest as the documented API nests them: `profile[first_name]`, `profile[documents][]`.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import multipart

from roadworthy.wire.errors import BadRequest
from roadworthy.wire.messages import MOST_BODY_BYTES, Request

Parameters = dict[str, Any]

JSON_TYPES = frozenset({"application/json", "text/x-json", "application/jsonrequest"})
FORM_TYPE = "application/x-www-form-urlencoded"
MULTIPART_TYPE = "multipart/form-data"

MOST_DEPTH = 32
MOST_PARTS = 1000
MOST_PAIRS = 4096

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Number(str):
    """A JSON number, as it was written."""

    __slots__ = ()


class UploadedFile(bytes):
    """The content of a part that has a filename."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class ReceivedFile:
    """A part that has a filename, on this machine's disk as long as its request is answered."""

    path: Path
    byte_size: int
    """Of all that was sent: what is over the limit is counted, not kept."""
    checksum: str
    """Base64 of the MD5."""
    filename: str
    content_type: str


FILES = (UploadedFile, ReceivedFile)
File: TypeAlias = UploadedFile | ReceivedFile


async def nested(
    request: Request, key: str, fields: Collection[str] = (), most: int = MOST_BODY_BYTES
) -> Parameters | None:
    """The parameters under `key`: the query's whole where it has them, else the body's.

    A JSON object without `key` but with one of `fields` is taken as if it stood under `key`.
    `None` when there are none, or they are no object. Raises a 400 `Refusal`, or a 413 one when
    the body has more than `most` bytes.
    """
    if request.form is not None:
        in_body = _nest(request.form.pairs)
    else:
        in_body = _body_parameters(request, await request.body(most), key, fields)
    in_query = query_parameters(request)
    found = in_query[key] if key in in_query else in_body.get(key)
    return found if isinstance(found, dict) else None


def query_parameters(request: Request) -> Parameters:
    """The parameters of the query string. Raises a 400 `Refusal`."""
    return _form(request.query) if request.query else {}


def _body_parameters(
    request: Request, body: bytes, key: str, fields: Collection[str]
) -> Parameters:
    if not body:
        return {}
    declared = request.header(b"content-type") or ""
    media_type = declared.partition(";")[0].strip().lower()
    if media_type in JSON_TYPES:
        return _wrapped(_json(body), key, fields)
    if media_type == FORM_TYPE:
        return _form(body)
    if media_type == MULTIPART_TYPE:
        return _multipart(body, declared)
    return {}


def _wrapped(found: object, key: str, fields: Collection[str]) -> Parameters:
    if not isinstance(found, dict):
        return {}
    if key not in found:
        own = {name: value for name, value in found.items() if name in fields}
        if own:
            return {key: own}
    return found


def _json(body: bytes) -> object:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None


def _no_constant(name: str) -> object:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_no_constant)


def _form(encoded: bytes) -> Parameters:
    if encoded.count(b"&") >= MOST_PAIRS:
        raise BadRequest(f"there are more than {MOST_PAIRS} parameters")
    pairs = []
    for pair in encoded.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            pairs.append((_unquoted(name), _unquoted(value)))
    return _nest(pairs)


def _unquoted(text: bytes) -> str:
    if _BAD_ESCAPE.search(text):
        raise BadRequest("a percent sign is not followed by two hexadecimal digits")
    return _utf8(unquote_to_bytes(text.replace(b"+", b" ")))


def _utf8(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("a parameter is not UTF-8") from None


def _multipart(body: bytes, declared: str) -> Parameters:
    _, options = multipart.parse_options_header(declared)
    try:
        parser = multipart.PushMultipartParser(
            options.get("boundary", ""), content_length=len(body), max_segment_count=MOST_PARTS
        )
        with parser:
            return _nest(_parts(parser, body))
    except multipart.MultipartError as error:
        raise BadRequest(f"the multipart body is broken: {error}") from None


def _parts(
    parser: multipart.PushMultipartParser, body: bytes
) -> Iterable[tuple[str, str | UploadedFile]]:
    content = bytearray()
    segment: multipart.MultipartSegment | None = None
    for event in (*parser.parse(body), *parser.parse(b"")):
        if isinstance(event, multipart.MultipartSegment):
            segment, content = event, bytearray()
        elif event is not None:
            content += event
        elif segment is not None:
            if segment.filename is None:
                yield segment.name, _utf8(bytes(content))
            elif segment.filename or content:
                yield segment.name, UploadedFile(content)


def _nest(pairs: Iterable[tuple[str, str | File]]) -> Parameters:
    found: Parameters = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            found[name] = value
            continue
        keys = [match[1], *_BRACKETED.findall(match[2])]
        if len(keys) > MOST_DEPTH:
            raise BadRequest("a parameter is nested too deeply")
        _put(found, keys, value)
    return found


def _put(into: Parameters, keys: list[str], value: str | File) -> None:
    """Set `into[k1][k2]…`; an empty key is the end of a list."""
    here: Any = into
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        if isinstance(here, list):
            here = _append(here, key, following, value)
        elif following is None:
            _clash(here.get(key), str | File)
            here[key] = value
        else:
            kind = list if following == "" else dict
            _clash(here.get(key), kind)
            here = here.setdefault(key, kind())


def _append(into: list[Any], key: str, following: str | None, value: str | File) -> Any:
    """`a[]=1` appends; `a[][b]=1` begins a new object when the last one has a `b`."""
    if key != "":
        last = into[-1]
        if following is None:
            last[key] = value
            return None
        kind = list if following == "" else dict
        _clash(last.get(key), kind)
        return last.setdefault(key, kind())
    if following is None:
        into.append(value)
    elif not into or not isinstance(into[-1], dict) or following in into[-1]:
        into.append({})
    return into


def _clash(present: object, kind: Any) -> None:
    if present is not None and not isinstance(present, kind):
        raise BadRequest("a parameter is given both as a value and as a list or object")
