"""Uploads that can be resumed: the headers and statuses of tus 1.0."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from tests.support.blobs import attach, pdf
from tests.support.client import Answer, Client
from tests.support.drivers import new_driver
from tests.support.resumable import BODY_TYPE, NAMED, TUS, UPLOADS_PATH, Resumable, begin, metadata
from tests.support.scenario import UNSAID, Scenario, Stage, Who, error, refused

CONTENT = pdf("the file that is sent piece by piece", filler=4000)
LIMIT = 20 * 1024 * 1024
HALF = len(CONTENT) // 2
CREATION = {**TUS, "upload-length": str(len(CONTENT)), "upload-metadata": NAMED}
UNSIGNED = {"error": "You need to sign in or sign up before continuing."}
ONE = f"{UPLOADS_PATH}/" + "a" * 32
EXPIRES = {"upload-expires": re.compile(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT")}


def _client(stage: Stage) -> Client:
    assert stage.client is not None
    return stage.client


def _begun(*sent: bytes) -> Callable[[Stage], None]:
    """The driver has begun an upload, of which these pieces have come."""

    def set_stage(stage: Stage) -> None:
        upload = begin(_client(stage), stage.driver, len(CONTENT))
        offset = 0
        for piece in sent:
            answer = upload.append(_client(stage), offset, piece)
            assert answer.status == 204, answer
            offset += len(piece)
        stage.notes["upload"] = upload

    return set_stage


def _begun_by_another(stage: Stage) -> None:
    stage.notes["upload"] = begin(_client(stage), new_driver(stage.tables), len(CONTENT))


def _expired(stage: Stage) -> None:
    _begun(CONTENT[:HALF])(stage)
    uploads = stage.tables["uploads"]
    old = update(uploads).where(uploads.c.name == _upload(stage).name)
    stage.tables.execute(old.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


def _terminated(stage: Stage) -> None:
    _begun(CONTENT[:HALF])(stage)
    assert _upload(stage).send(_client(stage), "DELETE").status == 204


def _finished_and_attached(stage: Stage) -> None:
    _begun(CONTENT)(stage)
    signed_id = _upload(stage).send(_client(stage), "HEAD").header("upload-signed-id")
    attach(_client(stage), stage.driver, cv=signed_id)


def _begun_often(stage: Stage) -> None:
    for _ in range(20):
        begin(_client(stage), stage.driver, 1)


def _begun_at_length(stage: Stage) -> None:
    for _ in range(10):
        begin(_client(stage), stage.driver, LIMIT)


def _upload(stage: Stage) -> Resumable:
    upload: Resumable = stage.notes["upload"]
    return upload


def _path(stage: Stage) -> str:
    return _upload(stage).path if stage.notes else ONE


def _stands_at(offset: int) -> Callable[[Stage, Answer], None]:
    def hold(stage: Stage, _: Answer) -> None:
        assert _upload(stage).offset(_client(stage)) == offset

    return hold


def _is_gone(stage: Stage, _: Answer) -> None:
    assert _upload(stage).send(_client(stage), "HEAD").status == 404


def _attaches(stage: Stage, answer: Answer) -> None:
    """What the answer says attaches the file, as it was named."""
    signed_id = answer.header("upload-signed-id")
    assert answer.header("upload-expires") is None
    if stage.profile is None:
        return
    shown = attach(_client(stage), stage.driver, cv=signed_id)["cv"]
    assert (shown["filename"], shown["byte_size"]) == ("cv.pdf", len(CONTENT))
    assert shown["signed_id"] == signed_id


def _is_stored(stage: Stage, filename: str, content_type: str) -> None:
    (upload,) = stage.tables.rows("uploads", user_id=stage.driver.id)
    assert (upload["filename"], upload["content_type"]) == (filename, content_type)


def _sum(algorithm: str, content: bytes) -> dict[str, str]:
    digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
    return {"upload-checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


def _at(offset: object, **headers: str) -> dict[str, str]:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return {**TUS, "upload-offset": str(offset), "content-type": BODY_TYPE, **more}


def _without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


_REFUSED_CREATIONS: list[tuple[str, dict[str, str], int, object]] = [
    ("no version", _without(CREATION, "tus-resumable"), 412, error(412)),
    ("another version", {**CREATION, "tus-resumable": "0.2.2"}, 412, error(412)),
    ("no length", _without(CREATION, "upload-length"), 400, error(400)),
    ("a length that is none", {**CREATION, "upload-length": "ten"}, 400, error(400)),
    ("a negative length", {**CREATION, "upload-length": "-1"}, 400, error(400)),
    ("a length said later", {**CREATION, "upload-defer-length": "1"}, 400, error(400)),
    ("a length over the limit", {**CREATION, "upload-length": str(LIMIT + 1)}, 413, error(413)),
    ("a length of 21 digits", {**CREATION, "upload-length": "9" * 21}, 400, error(400)),
    (
        "no bytes",
        {**CREATION, "upload-length": "0"},
        422,
        refused(byte_size="must be greater than 0"),
    ),
    ("metadata that is no base64", {**CREATION, "upload-metadata": "filename *"}, 400, error(400)),
    (
        "metadata that is no UTF-8",
        {**CREATION, "upload-metadata": "filename /w=="},
        400,
        error(400),
    ),
    (
        "metadata of one key twice",
        {**CREATION, "upload-metadata": f"{NAMED},filename YQ=="},
        400,
        error(400),
    ),
    ("long metadata", {**CREATION, "upload-metadata": "a " + "A" * 4096}, 400, error(400)),
    (
        "a path for a name",
        {**CREATION, "upload-metadata": metadata(filename="../../etc/passwd")},
        422,
        refused(filename="is invalid"),
    ),
    (
        "a NUL in the name",
        {**CREATION, "upload-metadata": metadata(filename="a\0.pdf")},
        422,
        refused(filename="is invalid"),
    ),
    (
        "no type of a file",
        {**CREATION, "upload-metadata": metadata(filetype="pdf")},
        422,
        refused(filetype="is invalid"),
    ),
    ("another algorithm", {**CREATION, "upload-checksum": "crc32 AAAAAA=="}, 400, error(400)),
    ("a checksum cut short", {**CREATION, "upload-checksum": "sha1 AAAA"}, 400, error(400)),
]

_REFUSED_PIECES: list[tuple[str, dict[str, str], bytes, int]] = [
    ("no version", _without(_at(HALF), "tus-resumable"), CONTENT[HALF:], 412),
    ("no offset", _without(_at(HALF), "upload-offset"), CONTENT[HALF:], 400),
    ("an offset that is none", _at("x"), CONTENT[HALF:], 400),
    ("an earlier offset", _at(0), CONTENT, 409),
    ("a later offset", _at(HALF + 1), CONTENT[HALF + 1 :], 409),
    ("no type", _without(_at(HALF), "content-type"), CONTENT[HALF:], 415),
    ("another type", _at(HALF, content_type="application/pdf"), CONTENT[HALF:], 415),
    ("a byte too many", _at(HALF), CONTENT[HALF:] + b"x", 413),
    ("another sum", _at(HALF, **_sum("sha256", b"other")), CONTENT[HALF:], 460),
    ("another sum of sha1", _at(HALF, **_sum("sha1", b"other")), CONTENT[HALF:], 460),
    ("a sum that is none", _at(HALF, upload_checksum="sha1 *"), CONTENT[HALF:], 400),
    ("another algorithm", _at(HALF, upload_checksum="crc32 AAAAAA=="), CONTENT[HALF:], 400),
]

_DESCRIPTION: dict[str, Any] = {
    "tus-version": "1.0.0",
    "tus-resumable": "1.0.0",
    "tus-max-size": str(LIMIT),
    "tus-extension": {
        "creation",
        "creation-with-upload",
        "expiration",
        "checksum",
        "termination",
    },
    "tus-checksum-algorithm": {"sha1", "md5", "sha256"},
}
_UNKNOWN: list[tuple[str, Callable[[Stage], None], int]] = [
    ("another driver's upload", _begun_by_another, 404),
    ("an upload that has expired", _expired, 410),
    ("an upload that was given up", _terminated, 404),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"tus: {method} of {'all' if path == UPLOADS_PATH else 'one'} without a token",
            who=Who.NOBODY,
            method=method,
            path=path,
            headers=TUS,
            status=401,
            answer=UNSAID if method == "HEAD" else UNSIGNED,
            answer_headers={"tus-resumable": "1.0.0"},
        )
        for method, path in (
            ("POST", UPLOADS_PATH),
            ("OPTIONS", UPLOADS_PATH),
            *((method, ONE) for method in ("HEAD", "PATCH", "DELETE", "OPTIONS", "POST")),
        )
    ),
    *(
        Scenario(
            name=f"tus: what is spoken, asked {where}",
            method=method,
            path=path,
            headers=headers,
            status=204,
            answer_headers=_DESCRIPTION,
        )
        for where, method, path, headers in (
            ("of all", "OPTIONS", UPLOADS_PATH, {}),
            ("of one", "OPTIONS", ONE, {}),
            ("in another way", "POST", UPLOADS_PATH, {"x-http-method-override": "OPTIONS"}),
        )
    ),
    Scenario(
        name="tus: an upload begins",
        path=UPLOADS_PATH,
        headers=CREATION,
        status=201,
        answer_headers={
            **EXPIRES,
            "location": re.compile(r"http://127\.0\.0\.1:\d+/api/v1/uploads/[a-z2-7]{32}"),
            "upload-offset": "0",
            "upload-signed-id": None,
        },
        changes={"uploads": 1},
    ),
    Scenario(
        name="tus: an upload begins without a name",
        who=Who.REGISTERED,
        path=UPLOADS_PATH,
        headers=_without(CREATION, "upload-metadata"),
        status=201,
        changes={"uploads": 1},
        after=lambda stage, _: _is_stored(stage, "file", "application/octet-stream"),
    ),
    Scenario(
        name="tus: an upload begins with any metadata",
        path=UPLOADS_PATH,
        headers={
            **CREATION,
            "upload-metadata": metadata(filename="Zo\u00eb \U0001f68c.pdf") + ",is_confidential",
        },
        status=201,
        changes={"uploads": 1},
        after=lambda stage, _: _is_stored(
            stage, "Zo\u00eb \U0001f68c.pdf", "application/octet-stream"
        ),
    ),
    Scenario(
        name="tus: an upload begins with some of its bytes",
        path=UPLOADS_PATH,
        headers={**CREATION, "content-type": BODY_TYPE},
        body=CONTENT[:HALF],
        status=201,
        answer_headers={**EXPIRES, "upload-offset": str(HALF), "upload-signed-id": None},
        changes={"uploads": 1, "upload_parts": 1},
    ),
    Scenario(
        name="tus: an upload begins with all of its bytes",
        who=Who.REGISTERED,
        path=UPLOADS_PATH,
        headers={**CREATION, "content-type": BODY_TYPE, **_sum("md5", CONTENT)},
        body=CONTENT,
        status=201,
        answer_headers={"upload-offset": str(len(CONTENT))},
        changes={"uploads": 1, "blobs": 1},
        after=_attaches,
    ),
    *(
        Scenario(
            name=f"tus: an upload does not begin with {what}",
            path=UPLOADS_PATH,
            headers=headers,
            status=status,
            answer=answer,
            answer_headers={"tus-resumable": "1.0.0", "location": None},
        )
        for what, headers, status, answer in _REFUSED_CREATIONS
    ),
    *(
        Scenario(
            name=f"tus: an upload does not begin with a body {what}",
            path=UPLOADS_PATH,
            headers={**CREATION, **headers},
            body=body,
            status=status,
            answer=error(status),
        )
        for what, headers, body, status in (
            ("of another type", {"content-type": "application/pdf"}, CONTENT, 415),
            ("of no type", {}, CONTENT, 415),
            ("that is too long", {"content-type": BODY_TYPE}, CONTENT + b"x", 413),
            ("of another sum", {"content-type": BODY_TYPE, **_sum("md5", b"")}, CONTENT, 460),
        )
    ),
    Scenario(
        name="tus: a driver has so many unfinished uploads",
        before=_begun_often,
        path=UPLOADS_PATH,
        headers=CREATION,
        status=429,
        answer=error(429),
        answer_headers={"retry-after": "3600"},
    ),
    Scenario(
        name="tus: a driver has so many bytes of unfinished uploads",
        before=_begun_at_length,
        path=UPLOADS_PATH,
        headers=CREATION,
        status=429,
        answer=error(429),
    ),
    Scenario(
        name="tus: how an upload stands",
        before=_begun(CONTENT[:HALF]),
        method="HEAD",
        path=_path,
        headers=TUS,
        answer_headers={
            **EXPIRES,
            "upload-offset": str(HALF),
            "upload-length": str(len(CONTENT)),
            "upload-metadata": NAMED,
            "upload-signed-id": None,
        },
    ),
    *(
        Scenario(
            name=f"tus: how an upload stands that is {what}",
            who=Who.REGISTERED,
            before=before,
            method="HEAD",
            path=_path,
            headers=TUS,
            answer_headers={
                "upload-offset": str(len(CONTENT)),
                "upload-length": str(len(CONTENT)),
                "upload-signed-id": re.compile(r"[\w-]{32}"),
            },
            after=_attaches,
        )
        for what, before in (("whole", _begun(CONTENT)), ("attached", _finished_and_attached))
    ),
    *(
        Scenario(
            name=f"tus: an upload continues{how}",
            before=_begun(CONTENT[:HALF]),
            method=method,
            path=_path,
            headers=headers,
            body=CONTENT[HALF:-1],
            status=204,
            answer_headers={**EXPIRES, "upload-offset": str(len(CONTENT) - 1)},
            changes={"upload_parts": 1},
            after=_stands_at(len(CONTENT) - 1),
        )
        for how, method, headers in (
            ("", "PATCH", _at(HALF)),
            (" in another way", "POST", _at(HALF, x_http_method_override="PATCH")),
        )
    ),
    *(
        Scenario(
            name=f"tus: an upload ends, with {algorithm}",
            who=Who.REGISTERED,
            before=_begun(CONTENT[:10], CONTENT[10:HALF]),
            method="PATCH",
            path=_path,
            headers=_at(HALF, **_sum(algorithm, CONTENT[HALF:])),
            body=CONTENT[HALF:],
            status=204,
            answer_headers={"upload-offset": str(len(CONTENT))},
            changes={"upload_parts": -2, "blobs": 1},
            after=_attaches,
        )
        for algorithm in ("md5", "sha1", "sha256")
    ),
    Scenario(
        name="tus: nothing is added to what is whole",
        who=Who.REGISTERED,
        before=_begun(CONTENT),
        method="PATCH",
        path=_path,
        headers=_at(len(CONTENT)),
        body=b"",
        status=204,
        answer_headers={"upload-offset": str(len(CONTENT))},
        after=_attaches,
    ),
    Scenario(
        name="tus: what is whole takes no more",
        before=_begun(CONTENT),
        method="PATCH",
        path=_path,
        headers=_at(len(CONTENT)),
        body=b"x",
        status=413,
        answer=error(413),
    ),
    *(
        Scenario(
            name=f"tus: an upload does not continue with {what}",
            before=_begun(CONTENT[:HALF]),
            method="PATCH",
            path=_path,
            headers=headers,
            body=body,
            status=status,
            answer=error(status),
            answer_headers={"tus-resumable": "1.0.0"},
            after=_stands_at(HALF),
        )
        for what, headers, body, status in _REFUSED_PIECES
    ),
    *(
        Scenario(
            name=f"tus: {method} of {what}",
            before=before,
            method=method,
            path=_path,
            headers=_at(0) if method == "PATCH" else TUS,
            body=CONTENT if method == "PATCH" else None,
            status=status,
            answer=UNSAID if method == "HEAD" else error(status),
        )
        for what, before, status in _UNKNOWN
        for method in ("HEAD", "PATCH", "DELETE")
    ),
    *(
        Scenario(
            name=f"tus: {name!r} names no upload",
            method="PATCH",
            path=f"{UPLOADS_PATH}/{name}",
            headers=_at(0),
            body=CONTENT,
            status=404,
            answer=error(404),
        )
        for name in ("A" * 32, "a" * 32, "1", "%00", "..%2f..%2fetc", "a" * 31 + "%00")
    ),
    *(
        Scenario(
            name=f"tus: an upload is given up{how}",
            before=_begun(CONTENT[:HALF]),
            method=method,
            path=_path,
            headers={**TUS, **headers},
            status=204,
            changes={"uploads": -1, "upload_parts": -1},
            after=_is_gone,
        )
        for how, method, headers in (
            ("", "DELETE", {}),
            (" in another way", "POST", {"x-http-method-override": "DELETE"}),
        )
    ),
    Scenario(
        name="tus: a whole upload is given up",
        before=_begun(CONTENT),
        method="DELETE",
        path=_path,
        headers=TUS,
        status=204,
        changes={"uploads": -1, "blobs": -1},
        after=_is_gone,
    ),
    Scenario(
        name="tus: an upload is given up whose file is attached",
        who=Who.REGISTERED,
        before=_finished_and_attached,
        method="DELETE",
        path=_path,
        headers=TUS,
        status=204,
        changes={"uploads": -1},
        after=_is_gone,
    ),
    *(
        Scenario(
            name=f"tus: {override} is no method of {what}",
            path=path,
            headers={**TUS, "x-http-method-override": override},
            status=405,
            answer=error(405),
        )
        for override, what, path in (
            ("GET", "one", ONE),
            ("POST", "one", ONE),
            ("patch", "one", ONE),
            ("DELETE", "all", UPLOADS_PATH),
        )
    ),
]
