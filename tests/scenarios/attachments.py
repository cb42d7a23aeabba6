"""Files: announced, put in their places in the profile, taken out again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from tests.support.blobs import (
    ANNOUNCE_PATH,
    COMPLIANCE_SLOTS,
    LISTS,
    RAILS_ANNOUNCE_PATH,
    SLOTS,
    announce,
    attach,
    description,
    pdf,
    upload,
    upload_blob,
)
from tests.support.client import Answer, Client
from tests.support.drivers import FIELDS, NOTHING_ATTACHED, new_driver
from tests.support.scenario import UNSAID, Scenario, Stage, Who, error, refused

CONTENT = pdf("the file that the rows speak of")
LIMIT = 20 * 1024 * 1024
UNSIGNED = {"error": "You need to sign in or sign up before continuing."}
NEVER_SIGNED = "A" * 32
NO_TOKEN = "A" * 52

_KEYS = [
    "id",
    "key",
    "filename",
    "content_type",
    "metadata",
    "service_name",
    "byte_size",
    "checksum",
    "created_at",
    "signed_id",
    "direct_upload",
]


def _client(stage: Stage) -> Client:
    assert stage.client is not None
    return stage.client


def _announced_as(**values: Any) -> Callable[[Stage, Answer], None]:
    """The answer has every key in its order, and these values, as the blob that is stored has."""
    expected = description(CONTENT, **values)

    def hold(stage: Stage, answer: Answer) -> None:
        said = answer.json
        assert list(said) == _KEYS, answer
        assert {name: said[name] for name in expected} == expected
        assert (said["metadata"], set(said["direct_upload"])) == ({}, {"url", "headers"})
        assert said["direct_upload"]["headers"]["Content-Type"] == expected["content_type"]
        (blob,) = stage.tables.rows("blobs", user_id=stage.driver.id)
        stored = ("id", "key", "filename", "content_type", "byte_size", "checksum", "service_name")
        assert {name: blob[name] for name in stored} == {name: said[name] for name in stored}
        assert (blob["uploaded_at"], blob["detected_type"]) == (None, None)

    return hold


_ANNOUNCED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a file", {}, {}),
    ("a size of digits", {"byte_size": str(len(CONTENT))}, {"byte_size": len(CONTENT)}),
    ("a size of .0", {"byte_size": float(len(CONTENT))}, {"byte_size": len(CONTENT)}),
    ("a size at the limit", {"byte_size": LIMIT}, {"byte_size": LIMIT}),
    ("no type", {"content_type": ...}, {"content_type": "application/octet-stream"}),
    ("an empty type", {"content_type": ""}, {"content_type": "application/octet-stream"}),
    ("a type of null", {"content_type": None}, {"content_type": "application/octet-stream"}),
    (
        "a type with a parameter",
        {"content_type": "Application/PDF; charset=binary"},
        {"content_type": "application/pdf"},
    ),
    ("a name of any letters", {"filename": "Zoë's CV 🚌.pdf"}, {"filename": "Zoë's CV 🚌.pdf"}),
    ("a name of dots", {"filename": "...pdf"}, {"filename": "...pdf"}),
    ("a number for a name", {"filename": 12}, {"filename": "12"}),
]

_LONG = "a" * 256
_REFUSED_BLOBS: list[tuple[str, dict[str, Any], dict[str, object]]] = [
    (
        "nothing that is needed",
        {"filename": ..., "byte_size": ..., "checksum": ...},
        refused(filename="can't be blank", byte_size="can't be blank", checksum="can't be blank"),
    ),
    (
        "nulls",
        {"filename": None, "byte_size": None, "checksum": None},
        refused(filename="can't be blank", byte_size="can't be blank", checksum="can't be blank"),
    ),
    (
        "lists and objects",
        {"filename": ["a"], "byte_size": {"a": 1}, "checksum": []},
        refused(filename="can't be blank", byte_size="can't be blank", checksum="can't be blank"),
    ),
    ("a blank name", {"filename": " \u2003"}, refused(filename="can't be blank")),
    (
        "a long name",
        {"filename": _LONG},
        refused(filename="is too long (maximum is 255 characters)"),
    ),
    *(
        (f"the name {name!r}", {"filename": name}, refused(filename="is invalid"))
        for name in (
            "a\0b.pdf",
            "../../etc/passwd",
            "..\\..\\boot.ini",
            "/etc/passwd",
            "C:\\cv.pdf",
            "a/b.pdf",
            "..",
            ".",
            "a\r\nset-cookie: b",
            "cv\u202efdp.exe",
            "cv\u200ffdp.exe",
            "cv\x85.pdf",
            "\ud83d.pdf",
            True,
        )
    ),
    *(
        (f"the type {kind!r}", {"content_type": kind}, refused(content_type="is invalid"))
        for kind in (
            "pdf",
            "text/",
            "/pdf",
            "a/b/c",
            "text/html\r\na: b",
            "a b/c",
            True,
            "te\0xt/a",
        )
    ),
    ("a size of 0", {"byte_size": 0}, refused(byte_size="must be greater than 0")),
    *(
        (f"the size {size!r}", {"byte_size": size}, refused(byte_size="is not a number"))
        for size in (-1, 1.5, "1e3", "0x10", "ten", " 1", "+1", "\u0661")
    ),
    ("true for a size", {"byte_size": True}, refused(byte_size="is invalid")),
    *(
        (
            f"the size {size!r}",
            {"byte_size": size},
            refused(byte_size="is too big (maximum is 20 MB)"),
        )
        for size in (LIMIT + 1, str(LIMIT + 1), 10**17)
    ),
    *(
        (f"the checksum {text!r}", {"checksum": text}, refused(checksum="is invalid"))
        for text in (
            "d41d8cd98f00b204e9800998ecf8427e",
            "1B2M2Y8AsgTpgAmY7PhCfg",
            "1B2M2Y8AsgTpgAmY7PhCfg=",
            "1B2M2Y8AsgTpgAmY7PhCfh==",
            "1B2M2Y8AsgTpgAmY7PhCfg==\n",
            "1B2M2Y8AsgTpgAmY7PhC",
            "-B2M2Y8AsgTpgAmY7PhCfg==",
            "é",
            True,
        )
    ),
]

_NO_BLOB: list[tuple[str, object]] = [
    ("nothing", {}),
    ("no blob around the fields", description(CONTENT)),
    ("a blob of text", {"blob": "x"}),
    ("a blob of null", {"blob": None}),
    ("a list of blobs", {"blob": [description(CONTENT)]}),
    ("an empty blob", {"blob": {}}),
]


def _announced_often(stage: Stage) -> None:
    for _ in range(160):
        announce(_client(stage), stage.driver, CONTENT)
    blobs = stage.tables["blobs"]
    theirs = update(blobs).where(blobs.c.user_id == stage.driver.id)
    stage.tables.execute(theirs.values(unattached_since=datetime.now(UTC) - timedelta(days=2)))


def _with_file(slot: str, **changes: Any) -> Callable[[Stage], dict[str, Any]]:
    """A profile with one new file for `slot`."""

    def body(stage: Stage) -> dict[str, Any]:
        blob = upload_blob(_client(stage), stage.driver, pdf(), filename=f"{slot}.pdf")
        stage.notes["blob"] = blob
        wanted: object = [blob.signed_id] if slot in LISTS else blob.signed_id
        return {"profile": {slot: wanted, **changes}}

    return body


def _holds(slot: str, filename: str | None = None) -> Callable[[Stage, Answer], None]:
    """The answer shows the new file in `slot`, and so does the next GET."""

    def hold(stage: Stage, answer: Answer) -> None:
        blob = stage.notes["blob"]
        shown = answer.json["profile"][slot]
        (shown,) = shown if slot in LISTS else [shown]
        assert list(shown) == ["id", "signed_id", "byte_size", "filename", "url"]
        assert shown["signed_id"] == blob.signed_id
        assert shown["byte_size"] == len(blob.content)
        assert shown["filename"] == (filename or f"{slot}.pdf")
        profile = stage.profile
        assert profile is not None
        (row,) = stage.tables.rows("attachments", profile_id=profile["id"], slot=slot)
        assert (row["id"], row["blob_id"]) == (shown["id"], blob.id)
        again = stage.driver.send(_client(stage), "GET")
        assert (again.text, again.header("etag")) == (answer.text, answer.header("etag"))
        _hold_submission(stage, slot, blob.id)

    return hold


def _hold_submission(stage: Stage, slot: str, blob_id: int) -> None:
    submitted = stage.tables.rows("submissions", user_id=stage.driver.id)
    expected = [(slot, blob_id, None)] if slot in COMPLIANCE_SLOTS else []
    assert [(row["kind"], row["blob_id"], row["withdrawn_at"]) for row in submitted] == expected


def _grown(slot: str) -> dict[str, int]:
    return {"attachments": 1, **({"submissions": 1} if slot in COMPLIANCE_SLOTS else {})}


def _attached(slot: str, count: int = 1) -> Callable[[Stage], None]:
    """There are files in `slot` already."""

    def before(stage: Stage) -> None:
        ids = [upload(_client(stage), stage.driver) for _ in range(count)]
        stage.notes["ids"] = ids
        stage.notes["profile"] = attach(
            _client(stage), stage.driver, **{slot: ids if slot in LISTS else ids[0]}
        )

    return before


def _again(slot: str) -> Callable[[Stage], dict[str, Any]]:
    def body(stage: Stage) -> dict[str, Any]:
        ids = stage.notes["ids"]
        return {"profile": {slot: ids if slot in LISTS else ids[0]}}

    return body


def _flat(slot: str) -> Callable[[Stage], object]:
    """Without the profile around it."""
    nested = _with_file(slot)
    return lambda stage: nested(stage)["profile"]


def _replaced(slot: str) -> Callable[[Stage, Answer], None]:
    """The new file is shown; what was handed in before is withdrawn."""

    def hold(stage: Stage, answer: Answer) -> None:
        shown = answer.json["profile"][slot]
        (shown,) = shown if slot in LISTS else [shown]
        assert shown["signed_id"] == stage.notes["blob"].signed_id
        rows = stage.tables.rows("submissions", user_id=stage.driver.id)
        withdrawn = [row["withdrawn_at"] is not None for row in rows]
        assert withdrawn == ([True, False] if slot in COMPLIANCE_SLOTS else [])

    return hold


def _emptied(slot: str) -> Callable[[Stage, Answer], None]:
    """The place is empty; what was handed in is withdrawn, and its file kept."""

    def hold(stage: Stage, answer: Answer) -> None:
        shown = answer.json["profile"][slot]
        assert shown == ([] if slot in LISTS else NOTHING_ATTACHED)
        rows = stage.tables.rows("submissions", user_id=stage.driver.id)
        assert len(rows) == (1 if slot in COMPLIANCE_SLOTS else 0)
        for row in rows:
            assert row["withdrawn_at"] is not None
            (blob,) = stage.tables.rows("blobs", id=row["blob_id"])
            assert (blob["purged_at"], blob["uploaded_at"] is None) == (None, False)

    return hold


def _listed(*order: int) -> Callable[[Stage], dict[str, Any]]:
    """The documents that are there, in another order or fewer."""
    return lambda stage: {"profile": {"documents": [stage.notes["ids"][n] for n in order]}}


def _shows_listed(*order: int) -> Callable[[Stage, Answer], None]:
    def hold(stage: Stage, answer: Answer) -> None:
        shown = answer.json["profile"]["documents"]
        before = {each["signed_id"]: each["id"] for each in stage.notes["profile"]["documents"]}
        ids = [stage.notes["ids"][n] for n in order]
        assert [each["signed_id"] for each in shown] == ids
        assert [each["id"] for each in shown] == [before[signed_id] for signed_id in ids]

    return hold


def _changes_nothing(stage: Stage, answer: Answer) -> None:
    assert answer.json["profile"] == stage.notes["profile"]
    profile = stage.profile
    assert profile is not None
    assert profile["version"] == 2


def _of_another(stage: Stage) -> dict[str, Any]:
    other = new_driver(stage.tables)
    return {"profile": {"cv": upload(_client(stage), other)}}


def _never_sent(stage: Stage) -> dict[str, Any]:
    return {"profile": {"cv": announce(_client(stage), stage.driver, CONTENT).signed_id}}


def _elsewhere(stage: Stage) -> dict[str, Any]:
    return {"profile": {"dbs": stage.notes["ids"][0]}}


def _edited(stage: Stage) -> dict[str, Any]:
    signed_id = upload(_client(stage), stage.driver)
    other = "B" if signed_id[-1] != "B" else "C"
    return {"profile": {"cv": signed_id[:-1] + other}}


def _one_good_one_bad(stage: Stage) -> dict[str, Any]:
    return {"profile": {"documents": [upload(_client(stage), stage.driver), NEVER_SIGNED]}}


_REFUSED_FILES: list[tuple[str, Callable[[Stage], dict[str, Any]], str]] = [
    ("one that nobody signed", lambda _: {"profile": {"cv": NEVER_SIGNED}}, "cv"),
    ("an edited one", _edited, "cv"),
    ("another driver's", _of_another, "cv"),
    ("one whose bytes never came", _never_sent, "cv"),
    ("one good and one bad", _one_good_one_bad, "documents"),
    *(
        (f"{value!r} for a place", lambda _, value=value: {"profile": {"cv": value}}, "cv")
        for value in (1, True, {"a": "b"}, ["x"], [1], "x", "é", "a\0b", "\ud83d", "x" * 5000)
    ),
    *(
        (
            f"{value!r} for a list",
            lambda _, value=value: {"profile": {"documents": value}},
            "documents",
        )
        for value in (1, True, {"a": "b"}, ["x"], [1], [None, "x"], [["x"]], "x")
    ),
]

_EMPTY: list[tuple[str, object]] = [("null", None), ("an empty text", "")]


SCENARIOS = [
    *(
        Scenario(
            name=f"POST {path} announces {what}",
            path=path,
            json={"blob": description(CONTENT, **given)},
            changes={"blobs": 1},
            after=_announced_as(**expected),
        )
        for path in (ANNOUNCE_PATH, RAILS_ANNOUNCE_PATH)
        for what, given, expected in (_ANNOUNCED if path == ANNOUNCE_PATH else _ANNOUNCED[:1])
    ),
    Scenario(
        name="a file is announced by form, too",
        path=ANNOUNCE_PATH,
        form={f"blob[{name}]": str(value) for name, value in description(CONTENT).items()},
        changes={"blobs": 1},
        after=_announced_as(),
    ),
    *(
        Scenario(
            name=f"an announcement of {what} is refused",
            path=ANNOUNCE_PATH,
            json={"blob": description(CONTENT, **given)},
            status=422,
            answer=answer,
        )
        for what, given, answer in _REFUSED_BLOBS
    ),
    *(
        Scenario(
            name=f"an announcement with {what} is 400",
            path=ANNOUNCE_PATH,
            json=body,
            status=400,
            answer=error(400),
        )
        for what, body in _NO_BLOB
    ),
    Scenario(
        name="nobody announces a file without signing in",
        who=Who.NOBODY,
        path=RAILS_ANNOUNCE_PATH,
        json={"blob": {}},
        status=401,
        answer=UNSIGNED,
    ),
    Scenario(
        name="an announcement is not long",
        path=ANNOUNCE_PATH,
        json={"blob": {**description(CONTENT), "zz": "a" * 20_000}},
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="as many files may wait as a profile has places for, until the next purge",
        path=ANNOUNCE_PATH,
        before=_announced_often,
        json={"blob": description(CONTENT)},
        status=429,
        answer=error(429),
        answer_headers={"retry-after": "3600"},
    ),
    Scenario(
        name="GET does not announce",
        method="GET",
        path=ANNOUNCE_PATH,
        status=405,
        answer=error(405),
        answer_headers={"allow": "POST"},
    ),
    *(
        Scenario(
            name=f"{method} attaches a file as {slot}",
            who=Who.REGISTERED,
            method=method,
            json=_with_file(slot),
            changes=_grown(slot),
            stored={"version": 2},
            after=_holds(slot),
        )
        for slot in (*SLOTS, *LISTS)
        for method in (("PATCH", "PUT") if slot == "cv" else ("PATCH",))
    ),
    Scenario(
        name="POST registers with a file",
        json=_with_file("dbs", **FIELDS),
        changes={"profiles": 1, **_grown("dbs")},
        stored={"version": 1},
        after=_holds("dbs"),
    ),
    Scenario(
        name="a file and a field change together",
        who=Who.REGISTERED,
        method="PATCH",
        json=_with_file("cv", bio="Coaches."),
        changes={"attachments": 1, "profile_versions": 1},
        stored={"version": 2, "bio": "Coaches."},
        after=_holds("cv"),
    ),
    Scenario(
        name="a refused field keeps a file from being attached",
        who=Who.REGISTERED,
        method="PATCH",
        json=_with_file("cv", first_name=""),
        status=422,
        answer=refused(first_name="can't be blank"),
    ),
    *(
        Scenario(
            name=f"the profile around a file may be left out ({slot})",
            who=Who.REGISTERED,
            method="PATCH",
            json=_flat(slot),
            changes=_grown(slot),
            stored={"version": 2},
            after=_holds(slot),
        )
        for slot in ("cv", "documents")
    ),
    *(
        Scenario(
            name=f"{what} takes the file out of {slot}",
            who=Who.REGISTERED,
            method="PATCH",
            before=_attached(slot),
            json={"profile": {slot: value}},
            changes={"attachments": -1},
            stored={"version": 3},
            after=_emptied(slot),
        )
        for slot in (*SLOTS, *LISTS)
        for what, value in (
            _EMPTY
            if slot in SLOTS
            else [*_EMPTY, ("an empty list", []), ("a list of an empty text", [""])]
        )
    ),
    Scenario(
        name="a form takes a file out with an empty text",
        who=Who.REGISTERED,
        method="PATCH",
        before=_attached("dbs"),
        form={"profile[dbs]": ""},
        changes={"attachments": -1},
        stored={"version": 3},
        after=_emptied("dbs"),
    ),
    *(
        Scenario(
            name=f"a new file takes the place of the one in {slot}",
            who=Who.REGISTERED,
            method="PATCH",
            before=_attached(slot),
            json=_with_file(slot),
            changes={"submissions": 1} if slot in COMPLIANCE_SLOTS else {},
            stored={"version": 3},
            after=_replaced(slot),
        )
        for slot in ("cv", "dbs", "documents")
    ),
    *(
        Scenario(
            name=f"what is in {slot} already changes nothing",
            who=Who.REGISTERED,
            method="PATCH",
            before=_attached(slot),
            json=_again(slot),
            after=_changes_nothing,
        )
        for slot in ("cv", "tacho", "driving_license")
    ),
    Scenario(
        name="a list has exactly the files that are named, in that order",
        who=Who.REGISTERED,
        method="PATCH",
        before=_attached("documents", 3),
        json=_listed(2, 0),
        changes={"attachments": -1},
        stored={"version": 3},
        after=_shows_listed(2, 0),
    ),
    Scenario(
        name="another order is a change",
        who=Who.REGISTERED,
        method="PATCH",
        before=_attached("documents", 3),
        json=_listed(2, 1, 0),
        stored={"version": 3},
        after=_shows_listed(2, 1, 0),
    ),
    Scenario(
        name="a file named twice is there once",
        who=Who.REGISTERED,
        method="PATCH",
        before=_attached("documents", 2),
        json=_listed(0, 1, 0),
        stored={"version": 2},
        after=_shows_listed(0, 1),
    ),
    Scenario(
        name="a file that is in one place is refused in another",
        who=Who.REGISTERED,
        method="PATCH",
        before=_attached("cv"),
        json=_elsewhere,
        status=422,
        answer=refused(dbs="is invalid"),
    ),
    *(
        Scenario(
            name=f"twenty-one {what} in a list are refused",
            who=Who.REGISTERED,
            method="PATCH",
            json={"profile": {"documents": entries}},
            status=422,
            answer=refused(documents="is too many (maximum is 20)"),
        )
        for what, entries in (
            ("files", [f"{NEVER_SIGNED}{n}" for n in range(21)]),
            ("times nothing", [None, "", ""] * 7),
        )
    ),
    *(
        Scenario(
            name=f"a signed id is refused on its field: {what}",
            who=Who.REGISTERED,
            method="PATCH",
            json=body,
            status=422,
            answer=refused(**{field: "is invalid"}),
        )
        for what, body, field in _REFUSED_FILES
    ),
    Scenario(
        name="every refused file is named at once",
        who=Who.REGISTERED,
        method="PATCH",
        json={"profile": {"dbs": "x", "cv": "y", "driving_license": ["z"], "first_name": ""}},
        status=422,
        answer=refused(
            first_name="can't be blank",
            cv="is invalid",
            dbs="is invalid",
            driving_license="is invalid",
        ),
    ),
    Scenario(
        name="DELETE of a profile withdraws what was handed in, and keeps it",
        who=Who.REGISTERED,
        method="DELETE",
        before=_attached("dbs"),
        status=204,
        changes={"profiles": -1, "profile_versions": 1, "attachments": -1},
        after=lambda stage, _: _withdrawn_and_kept(stage),
    ),
    *(
        Scenario(
            name=f"{method} of a file by a URL never given is 404: {token[:20]}, {len(token)} long",
            who=Who.NOBODY,
            method=method,
            path=f"/api/v1/files/{token}",
            status=404,
            answer=error(404) if method == "GET" else UNSAID,
        )
        for method in ("GET", "HEAD")
        for token in (NO_TOKEN, "x", "%00", "a%2Fb", "A" * 5000, "%F0%9F%9A%8C")
    ),
    *(
        Scenario(
            name=f"PUT of bytes to a URL never given is 404: {token[:20]}, {len(token)} long",
            who=Who.NOBODY,
            method="PUT",
            path=f"/rails/active_storage/disk/{token}",
            headers={"content-type": "application/pdf"},
            body=CONTENT,
            status=404,
            answer=error(404),
        )
        for token in ("A" * 40, "x", "%00", "A" * 5000)
    ),
]


def _withdrawn_and_kept(stage: Stage) -> None:
    (row,) = stage.tables.rows("submissions", user_id=stage.driver.id)
    assert row["withdrawn_at"] is not None
    (blob,) = stage.tables.rows("blobs", id=row["blob_id"])
    assert blob["purged_at"] is None
