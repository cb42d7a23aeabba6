"""Files from a client's disk to ours and back, on both databases and both storages."""

import contextlib
import http.client
import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any
from urllib.parse import quote, urlsplit

import pikepdf
import pypdfium2
import pytest
from PIL import Image
from sqlalchemy import update

from roadworthy.documents import Signatures
from roadworthy.documents.access import Viewer
from roadworthy.documents.signatures import Permission
from tests.conftest import Filing, Place
from tests.scenarios import attachments
from tests.support.blobs import (
    ANNOUNCE_PATH,
    COMPLIANCE_SLOTS,
    JPEG_TYPE,
    PDF_TYPE,
    PNG_TYPE,
    VIEW_PATH,
    Announced,
    announce,
    attach,
    checksum,
    description,
    fetch,
    followed,
    jpeg,
    pdf,
    png,
    upload,
    upload_blob,
)
from tests.support.buckets import Server
from tests.support.clamd import HARMFUL, Clamd
from tests.support.client import Answer, Client
from tests.support.drivers import NOTHING_ATTACHED, Driver, new_driver, with_profile
from tests.support.files import pdf as document
from tests.support.files import picture
from tests.support.ports import free_port
from tests.support.proxy import refusing_proxy
from tests.support.scenario import Scenario, error, play, refused
from tests.support.service import OLD_SECRET, SECRET, Service
from tests.support.tables import open_tables

Connect = Callable[[str], Client]

SIGNATURES = Signatures((SECRET,))
MEGABYTE = 1024 * 1024


def three_pages() -> bytes:
    """As wide as high, two thirds of that, and one third."""

    def narrow(made: pikepdf.Pdf) -> None:
        for number, page in enumerate(made.pages):
            page.MediaBox = pikepdf.Array([0, 0, 900 - 300 * number, 900])

    return document(narrow, pages=3)


@pytest.fixture
def client(filing: Filing, connect: Connect) -> Client:
    return connect(filing.running.url)


@pytest.fixture
def driver(filing: Filing) -> Driver:
    """Signed in, with the documented profile."""
    return with_profile(filing.tables, new_driver(filing.tables))


@pytest.fixture
def nothing_more(filing: Filing) -> Any:
    """Fails when the test leaves a file in storage, or a row for one, that was not there before."""
    keys = filing.keys()
    counts = filing.tables.count(["blobs", "attachments", "submissions"])
    yield
    assert filing.keys() == keys, "a file was stored"
    assert filing.tables.count(["blobs", "attachments", "submissions"]) == counts


@pytest.mark.parametrize("storage_kind", ["s3"], indirect=True)
@pytest.mark.parametrize("scenario", attachments.SCENARIOS, ids=str)
def test_scenario_with_a_bucket(scenario: Scenario, client: Client, filing: Filing) -> None:
    """The same as with a folder (`test_scenarios`)."""
    play(scenario, client, filing.tables)


def test_a_file_comes_back_as_it_was(client: Client, driver: Driver, filing: Filing) -> None:
    content = pdf(filler=3 * MEGABYTE)
    blob = upload_blob(client, driver, content, filename='Zoë "best" CV.pdf')
    shown = attach(client, driver, cv=blob.signed_id)["cv"]

    answer = followed(shown["url"])
    assert (answer.status, answer.body) == (200, content)
    assert answer.header("content-type") == PDF_TYPE
    plain, encoded = (
        'filename="Zo_ _best_ CV.pdf"',
        "filename*=UTF-8''Zo%C3%AB%20%22best%22%20CV.pdf",
    )
    assert answer.header("content-disposition") == f"attachment; {plain}; {encoded}"
    (view,) = filing.tables.rows("file_views", blob_id=blob.id)
    seen = (view["user_id"], view["viewer_kind"], view["viewer_id"], view["manner"])
    assert seen == (driver.id, "driver", driver.id, "attachment")


OTHER = pdf("other bytes")

_REFUSED_BYTES: list[tuple[str, Callable[[Announced], dict[str, Any]], int, set[int]]] = [
    ("other bytes of that length", lambda blob: {"content": _changed(blob.content)}, 422, {400}),
    ("a byte too many", lambda blob: {"content": blob.content + b"x"}, 422, {403}),
    ("a byte too few", lambda blob: {"content": blob.content[:-1]}, 422, {403}),
    ("nothing", lambda _: {"content": b""}, 422, {403}),
    (
        "another type",
        lambda blob: {"headers": {**blob.headers, "Content-Type": "text/html"}},
        422,
        {403},
    ),
    ("no type", lambda blob: {"headers": _without(blob.headers, "Content-Type")}, 422, {403}),
    ("an edited URL", lambda blob: {"url": _edited(blob.url)}, 404, {403}),
    ("a cut URL", lambda blob: {"url": blob.url[:-1]}, 404, {403}),
    ("more than anything may have", lambda _: {"content": b"x" * (21 * MEGABYTE)}, 413, {403}),
]


@pytest.mark.parametrize("row", _REFUSED_BYTES, ids=[row[0] for row in _REFUSED_BYTES])
def test_bytes_that_were_not_announced_are_refused(
    row: Any, client: Client, driver: Driver, filing: Filing
) -> None:
    _, change, ours, of_a_bucket = row
    blob = announce(client, driver, pdf())
    keys = filing.keys()

    sent = blob.send(**change(blob))

    assert sent.status in (of_a_bucket if filing.server else {ours}), sent
    assert filing.keys() == keys, "it was stored"
    (stored,) = filing.tables.rows("blobs", id=blob.id)
    assert stored["uploaded_at"] is None
    answer = driver.send(client, "PATCH", {"cv": blob.signed_id})
    assert (answer.status, answer.json) == (422, refused(cv="is invalid"))
    assert blob.send().status in {200, 204}, "the right bytes are not taken any more"
    assert attach(client, driver, cv=blob.signed_id)["cv"]["byte_size"] == len(blob.content)


def test_the_same_bytes_again_are_fine_and_others_are_not(client: Client, driver: Driver) -> None:
    blob = upload_blob(client, driver)
    assert blob.send().status in {200, 204}
    assert blob.send(_changed(blob.content)).status in {400, 422}
    shown = attach(client, driver, cv=blob.signed_id)["cv"]
    assert blob.send(_changed(blob.content)).status in {400, 422}
    assert blob.send().status in {200, 204}
    assert followed(shown["url"]).body == blob.content


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
class TestThroughUs:
    """Bytes that are sent to us, not to a bucket."""

    def test_an_upload_url_is_good_for_five_minutes(
        self, client: Client, driver: Driver, filing: Filing
    ) -> None:
        blob = announce(client, driver, pdf())
        now = datetime.now(UTC)
        path = filing.running.url + "/rails/active_storage/disk/"
        for moment, status in (
            (now - timedelta(seconds=1), 404),
            (now + timedelta(minutes=5), 204),
        ):
            url = path + SIGNATURES.upload(blob.id, moment)
            assert blob.send(url=url).status == status
        token = blob.url.rpartition("/")[2]
        assert SIGNATURES.blob_to_upload(token, now + timedelta(seconds=290)) == blob.id
        assert SIGNATURES.blob_to_upload(token, now + timedelta(seconds=301)) is None

    def test_a_url_signed_for_one_purpose_is_no_use_for_another(
        self, client: Client, driver: Driver, filing: Filing
    ) -> None:
        blob = announce(client, driver, pdf())
        later = datetime.now(UTC) + timedelta(hours=1)
        view = SIGNATURES.view(Permission(Viewer("driver", driver.id), blob.id), later)
        upload_token = SIGNATURES.upload(blob.id, later)
        path = filing.running.url + "/rails/active_storage/disk/"
        assert blob.send(url=path + view).status == 404
        assert blob.send(url=path + blob.signed_id).status == 404
        url = filing.running.url + VIEW_PATH.format(token=upload_token)
        assert fetch(url).status == 404
        for signed_id in (view, upload_token):
            assert driver.send(client, "PATCH", {"cv": signed_id}).status == 422

    def test_every_secret_verifies_and_the_first_signs(
        self, client: Client, driver: Driver, filing: Filing
    ) -> None:
        blob = announce(client, driver, pdf())
        path = filing.running.url + "/rails/active_storage/disk/"
        later = datetime.now(UTC) + timedelta(minutes=1)
        for secret, status in ((OLD_SECRET, 204), ("a secret of somebody else's", 404)):
            url = path + Signatures((secret,)).upload(blob.id, later)
            assert blob.send(url=url).status == status
        assert SIGNATURES.signed_id(blob.id) == blob.signed_id
        old = Signatures((OLD_SECRET,)).signed_id(blob.id)
        assert attach(client, driver, cv=old)["cv"]["signed_id"] == blob.signed_id

    def test_a_body_of_chunks_is_taken_as_far_as_it_was_announced(
        self, client: Client, driver: Driver
    ) -> None:
        blob = announce(client, driver, pdf(filler=MEGABYTE))
        pieces = [blob.content[n : n + 50_000] for n in range(0, len(blob.content), 50_000)]
        for sent, status in (([*pieces, b"x"], 422), (pieces[:-1], 422), (pieces, 204)):
            assert _send_chunked(blob, sent) == status

    def test_who_closed_the_account_sends_and_sees_nothing(
        self, client: Client, driver: Driver, filing: Filing
    ) -> None:
        blob = upload_blob(client, driver)
        url = attach(client, driver, cv=blob.signed_id)["cv"]["url"]
        waiting = announce(client, driver, pdf())
        assert fetch(url).status == 200
        users = filing.tables["users"]
        closed = update(users).where(users.c.id == driver.id)
        filing.tables.execute(closed.values(closed_at=datetime.now(UTC)))
        assert fetch(url).status == 404
        assert fetch(url, "HEAD").status == 404
        assert waiting.send().status == 404


_RANGES: list[tuple[str, int, tuple[int, int | None] | None]] = [
    ("bytes=0-9", 206, (0, 10)),
    ("bytes=0-0", 206, (0, 1)),
    ("bytes=90-", 206, (90, None)),
    ("bytes=-7", 206, (-7, None)),
    ("bytes=-999999", 206, (0, None)),
    ("bytes=299999-999999", 206, (299_999, None)),
    ("bytes=100000-250000", 206, (100_000, 250_001)),
    ("Bytes=5-6", 206, (5, 7)),
    ("bytes=999999-", 416, None),
    ("bytes=999999999999-", 416, None),
    ("bytes=-0", 416, None),
    ("bytes=9-5", 200, None),
    ("bytes=a-b", 200, None),
    ("bytes=-", 200, None),
    ("bytes=", 200, None),
    ("bytes=--1", 200, None),
    ("lines=0-1", 200, None),
    ("bytes=0-1,5-6", 200, None),
    ("bytes=0-1,0-1,0-1,0-1,0-1,0-1,0-1,0-1,0-1", 200, None),
    ("bytes=" + "9" * 50 + "-", 200, None),
    ("bytes=\u0660-\u0661".encode().decode("latin-1"), 200, None),
]


@pytest.fixture
def shown(client: Client, driver: Driver) -> tuple[str, bytes]:
    """The URL and content of a PDF of more than 300,000 bytes in a profile."""
    content = pdf(filler=300_000)
    blob = upload_blob(client, driver, content)
    return attach(client, driver, cv=blob.signed_id)["cv"]["url"], content


def test_parts_of_a_file(shown: tuple[str, bytes]) -> None:
    url, content = shown
    for header, status, part in _RANGES:
        answer = fetch(f"{url}?disposition=inline", headers={"range": header})
        assert answer.status == status, header
        if status == 416:
            assert answer.json == error(416)
            assert answer.header("content-range") == f"bytes */{len(content)}"
        elif part:
            start, stop, _ = slice(*part).indices(len(content))
            assert answer.body == content[start:stop], header
            assert answer.header("content-range") == f"bytes {start}-{stop - 1}/{len(content)}"
        else:
            assert (answer.body, answer.header("content-range")) == (content, None), header


@pytest.mark.parametrize("part", ["bytes=0-9", "bytes=999999-"])
def test_parts_are_for_who_gets_the_file(shown: tuple[str, bytes], part: str) -> None:
    """RFC 9110: 14.2, it is of GET alone; 13.2.2, what is known already is asked first."""
    url, content = shown
    head = fetch(url, "HEAD", headers={"range": part})
    assert (head.status, head.header("content-length")) == (200, str(len(content)))
    known = {"if-none-match": head.header("etag") or "", "range": part}
    assert fetch(url, headers=known).status == 304


def test_a_part_of_what_has_changed_is_all_of_it(shown: tuple[str, bytes]) -> None:
    url, content = shown
    etag = fetch(url, "HEAD").header("etag") or ""
    for tag, status in ((etag, 206), (f"W/{etag}", 200), ('"other"', 200)):
        headers = {"range": "bytes=0-9", "if-range": tag}
        answer = fetch(f"{url}?disposition=inline", headers=headers)
        assert (answer.status, answer.body) == (status, content[:10] if status == 206 else content)


def test_a_file_is_safe_to_look_at(shown: tuple[str, bytes]) -> None:
    url, content = shown
    answers = {
        "attachment": fetch(url, "HEAD"),
        "inline": fetch(f"{url}?disposition=inline"),
    }
    for manner, answer in answers.items():
        assert answer.status == 200, answer
        assert (answer.header("content-disposition") or "").startswith(f"{manner}; ")
        assert answer.header("content-security-policy") == "sandbox; default-src 'none'"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("cache-control") == "private, no-store"
        assert answer.header("accept-ranges") == "bytes"
        assert answer.header("content-length") == str(len(content))
        assert answer.header("content-type") == PDF_TYPE
        assert re.fullmatch(r'"[0-9a-f]{32}"', answer.header("etag") or ""), answer
    assert answers["attachment"].body == b""
    assert answers["inline"].body == content


@pytest.mark.parametrize(
    "query", ["", "?disposition=attachment", "?disposition=", "?disposition=inline&disposition=x"]
)
def test_a_file_is_an_attachment_unless_asked_otherwise(
    shown: tuple[str, bytes], query: str
) -> None:
    url, _ = shown
    said = followed(url + query).header("content-disposition") or ""
    assert said.startswith("attachment; ")


@pytest.mark.parametrize(
    ("filename", "saved"),
    [
        ("front.png", "front.png"),
        ("FRONT.PNG", "FRONT.PNG"),
        ("front", "front.png"),
        ("dbs.html", "dbs.html.png"),
        ("invoice.pdf.exe", "invoice.pdf.exe.png"),
    ],
)
def test_a_file_is_saved_under_a_name_of_its_kind(
    client: Client, driver: Driver, filename: str, saved: str
) -> None:
    """What a driver named like a page or a program is none on the machine of who looks."""
    signed_id = upload(client, driver, png(), filename=filename, content_type=PNG_TYPE)
    (card,) = attach(client, driver, driving_license=[signed_id])["driving_license"]
    assert card["filename"] == filename
    said = followed(card["url"]).header("content-disposition") or ""
    assert f'filename="{saved}"' in said


def test_what_is_signed_is_taken_to_the_letter(
    shown: tuple[str, bytes], client: Client, driver: Driver
) -> None:
    url, _ = shown
    signed_id = upload(client, driver)
    for more in ("=", "==", " "):
        assert fetch(url + quote(more)).status == 404
        answer = driver.send(client, "PATCH", {"cv": signed_id + more})
        assert (answer.status, answer.json) == (422, refused(cv="is invalid")), more


def test_there_is_a_limit_to_what_is_handed_in_a_day(
    client: Client, driver: Driver, filing: Filing
) -> None:
    """Each is kept as evidence."""
    first = upload_blob(client, driver)
    attach(client, driver, dbs=first.signed_id)
    (row,) = filing.tables.rows("submissions", user_id=driver.id)
    del row["id"]
    for _ in range(35):
        filing.tables.add("submissions", **row)
    before = driver.send(client, "GET").body

    answer = driver.send(client, "PATCH", {"cpc": upload(client, driver)})

    assert (answer.status, answer.header("retry-after")) == (429, "3600")
    assert driver.send(client, "GET").body == before
    attach(client, driver, cv=upload(client, driver))


def test_a_document_is_never_inline(client: Client, driver: Driver) -> None:
    url = attach(client, driver, cv=upload(client, driver, _odt(), filename="cv.odt"))["cv"]["url"]
    answer = followed(f"{url}?disposition=inline")
    assert (answer.status, answer.body[:2]) == (200, b"PK")
    assert (answer.header("content-disposition") or "").startswith("attachment; ")


_PAGES = {
    "a photograph of a phone": ("front.heic", picture("HEIF", size=(120, 80)), 1, (120, 80)),
    "the first page of a PDF": ("cv.pdf", three_pages(), 1, (2000, 2000)),
    "the third": ("cv.pdf", three_pages(), 3, (667, 2000)),
}


@pytest.mark.parametrize(("filename", "content", "page", "size"), _PAGES.values(), ids=_PAGES)
def test_a_page_is_shown_as_a_picture(
    client: Client, driver: Driver, filename: str, content: bytes, page: int, size: tuple[int, int]
) -> None:
    """A browser shows no HEIC, and who checks four hundred documents opens no PDF."""
    signed_id = upload(client, driver, content, filename=filename)
    url = f"{attach(client, driver, cv=signed_id)['cv']['url']}?page={page}"

    answer = fetch(url)
    assert (answer.status, answer.header("content-type")) == (200, JPEG_TYPE), answer
    with Image.open(io.BytesIO(answer.body)) as shown:
        assert (shown.format, shown.size) == ("JPEG", size)
    said = answer.header("content-disposition") or ""
    assert said.startswith(f'inline; filename="{filename}, page {page}.jpg"; '), said
    assert answer.header("content-security-policy") == "sandbox; default-src 'none'"
    assert answer.header("cache-control") == "private, no-store"

    known = {"if-none-match": answer.header("etag") or ""}
    assert (fetch(url, headers=known).status, fetch(_edited(url)).status) == (304, 404)
    assert (fetch(url, "HEAD").status, fetch(url, "HEAD").body) == (200, b"")


def test_there_is_no_such_page(client: Client, driver: Driver, filing: Filing) -> None:
    files = {
        "cv": upload(client, driver, _odt(), filename="cv.odt"),
        "dbs": upload(client, driver, pdf()),
        "cpc": upload(client, driver, png()),
    }
    profile = attach(client, driver, **files)
    urls = {name: profile[name]["url"] for name in files}
    for name, query in (
        *(("cv", "page=1"), ("cpc", "page=2"), ("dbs", "page=2"), ("dbs", "page=9999")),
        *(
            ("dbs", f"page={value}")
            for value in ("0", "-1", "x", "", "1.0", "01", "99999", "\u0661")
        ),
        ("dbs", "page=1&page=1"),
    ):
        answer = fetch(f"{urls[name]}?{quote(query, safe='=&')}")
        assert (answer.status, answer.json) == (404, error(404)), (name, query)
    assert fetch(f"{urls['dbs']}?page=2", headers={"if-none-match": "*"}).status == 404
    assert filing.tables.rows("file_views", user_id=driver.id) == []


def test_who_is_shown_a_file_is_recorded_and_who_is_shown_none_is_not(
    shown: tuple[str, bytes], driver: Driver, filing: Filing
) -> None:
    url, _ = shown
    fetch(url, "HEAD")
    fetch(f"{url}?disposition=inline", headers={"range": "bytes=999999-"})
    fetch(_edited(url))
    known = {"if-none-match": fetch(url, "HEAD").header("etag") or ""}
    assert fetch(url, headers=known).status == 304
    assert fetch(url, headers={**known, "range": "bytes=5-6"}).status == 304
    assert filing.tables.rows("file_views", user_id=driver.id) == []
    fetch(url)
    fetch(f"{url}?disposition=inline", headers={"range": "bytes=5-6"})
    fetch(f"{url}?page=1")
    fetch(f"{url}?page=1", "HEAD")
    assert fetch(f"{url}?page=1", headers={"if-none-match": "*"}).status == 304
    views = filing.tables.rows("file_views", user_id=driver.id)
    assert [view["manner"] for view in views] == ["attachment", "inline", "inline"]


def test_a_url_holds_still_and_expires(
    shown: tuple[str, bytes], client: Client, driver: Driver, filing: Filing
) -> None:
    url, _ = shown
    now = datetime.now(UTC)
    again = driver.send(client, "GET").json["profile"]["cv"]["url"]
    token = url.rpartition("/")[2]
    assert again == url or now.minute % 30 == 0, "another URL in the same half hour"
    permission = SIGNATURES.permission(token, now + timedelta(minutes=29))
    assert permission is not None, "it does not last half an hour"
    assert permission.viewer == Viewer("driver", driver.id)
    assert SIGNATURES.permission(token, now + timedelta(minutes=61)) is None
    path = filing.running.url + VIEW_PATH
    for moment, status in ((now - timedelta(seconds=1), 404), (now + timedelta(minutes=1), 200)):
        made = SIGNATURES.view(permission, moment)
        assert fetch(path.format(token=made), "HEAD").status == status
    for position in range(len(token)):
        letter = "A" if token[position] != "A" else "B"
        edited = token[:position] + letter + token[position + 1 :]
        assert fetch(path.format(token=edited), "HEAD").status == 404, position


def test_a_url_for_another_viewer_shows_nothing(
    shown: tuple[str, bytes], filing: Filing, driver: Driver
) -> None:
    url, _ = shown
    now = datetime.now(UTC)
    permission = SIGNATURES.permission(url.rpartition("/")[2], now)
    assert permission is not None
    other = new_driver(filing.tables)
    path = filing.running.url + VIEW_PATH
    for viewer in (Viewer("driver", other.id), Viewer("staff", driver.id)):
        token = SIGNATURES.view(Permission(viewer, permission.blob_id), now + timedelta(hours=1))
        assert fetch(path.format(token=token)).status == 404


def test_what_was_taken_out_is_shown_no_more_unless_it_was_handed_in(
    client: Client, driver: Driver
) -> None:
    for slot, status in (("cv", 404), ("dbs", 200)):
        url = attach(client, driver, **{slot: upload(client, driver)})[slot]["url"]
        attach(client, driver, **{slot: None})
        assert followed(url).status == status


_POLYGLOT = b"<html><script>alert(1)</script></html>"
_HOSTILE: list[tuple[str, bytes, str]] = [
    ("nothing that is known", b"hello", "is not a file of a type we take"),
    ("HTML called a picture", b"<html><body>hi</body></html>", "is not a file of a type we take"),
    (
        "SVG called a picture",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "is not a file of a type we take",
    ),
    ("half a picture", png()[:60], "is damaged"),
    ("a program", b"MZ" + b"\0" * 1000, "is not a file of a type we take"),
    ("a PDF that is HTML as well", pdf() + _POLYGLOT, "is two kinds of file at once"),
]


@pytest.mark.parametrize("slot", ["cv", "dbs", "documents"])
@pytest.mark.parametrize(
    ("content", "message"), [r[1:] for r in _HOSTILE], ids=[r[0] for r in _HOSTILE]
)
@pytest.mark.usefixtures("nothing_more")
def test_what_is_refused_leaves_nothing(
    client: Client, driver: Driver, slot: str, content: bytes, message: str
) -> None:
    signed_id = upload(client, driver, content, filename="photo.png", content_type=PNG_TYPE)
    wanted = [signed_id] if slot == "documents" else signed_id

    answer = driver.send(client, "PATCH", {slot: wanted, "bio": "never said"})

    assert (answer.status, answer.json) == (422, refused(**{slot: message}))
    again = driver.send(client, "PATCH", {slot: wanted})
    assert (again.status, again.json) == (422, refused(**{slot: "is invalid"}))
    profile = driver.send(client, "GET").json["profile"]
    assert (profile["bio"], profile[slot]) == (
        None,
        [] if slot == "documents" else NOTHING_ATTACHED,
    )


@pytest.mark.usefixtures("nothing_more")
def test_a_document_is_no_certificate(client: Client, driver: Driver) -> None:
    for slot in (*COMPLIANCE_SLOTS, "driving_license"):
        signed_id = upload(client, driver, _odt(), filename="cv.odt")
        wanted = [signed_id] if slot == "driving_license" else signed_id
        answer = driver.send(client, "PATCH", {slot: wanted})
        message = "must be a PDF or a photograph (JPEG, PNG, HEIC, WebP)"
        assert (answer.status, answer.json) == (422, refused(**{slot: message}))


def test_the_type_is_that_of_the_bytes(client: Client, driver: Driver) -> None:
    signed_id = upload(client, driver, png(), filename="cv.exe", content_type="text/html")
    url = attach(client, driver, cv=signed_id)["cv"]["url"]
    assert followed(f"{url}?disposition=inline").header("content-type") == PNG_TYPE


def test_photographs_for_one_place_become_one_pdf_in_their_order(
    client: Client, driver: Driver, filing: Filing
) -> None:
    photographs = [(png("red"), PNG_TYPE), (jpeg("blue"), JPEG_TYPE), (png("green"), PNG_TYPE)]
    ids = [
        upload(client, driver, content, filename=f"page {n}.photo", content_type=kind)
        for n, (content, kind) in enumerate(photographs)
    ]
    shown = attach(client, driver, dbs=ids)["dbs"]

    assert shown["filename"] == "page 0.pdf"
    document = followed(shown["url"]).body
    assert len(document) == shown["byte_size"]
    assert _colors(document) == ["red", "blue", "green"]
    (submission,) = filing.tables.rows("submissions", user_id=driver.id)
    (blob,) = filing.tables.rows("blobs", id=submission["blob_id"])
    assert (blob["filename"], blob["checksum"]) == ("page 0.pdf", checksum(document))


def test_photographs_that_have_become_what_is_there_change_nothing(
    client: Client, driver: Driver, filing: Filing
) -> None:
    """As who did not hear of it tries again; in another order they are another document."""
    ids = [upload(client, driver, png(colour), content_type=PNG_TYPE) for colour in ("red", "blue")]
    first = driver.send(client, "PATCH", {"dbs": ids})
    again = driver.send(client, "PATCH", {"dbs": ids})
    assert (again.status, again.header("etag")) == (200, first.header("etag"))
    assert again.json["profile"]["dbs"]["signed_id"] == first.json["profile"]["dbs"]["signed_id"]
    assert len(filing.tables.rows("submissions", user_id=driver.id)) == 1

    turned = attach(client, driver, dbs=ids[::-1])["dbs"]
    assert _colors(followed(turned["url"]).body) == ["blue", "red"]
    assert len(filing.tables.rows("submissions", user_id=driver.id)) == 2


def test_several_that_are_no_photographs_may_go_elsewhere(client: Client, driver: Driver) -> None:
    ids = [upload(client, driver, png(), content_type=PNG_TYPE), upload(client, driver)]
    answer = driver.send(client, "PATCH", {"cpc": ids})
    message = "must be photographs where there are several"
    assert (answer.status, answer.json) == (422, refused(cpc=message))
    answer = driver.send(client, "PATCH", {"documents": ids})  # nothing is wrong with either
    assert [each["signed_id"] for each in answer.json["profile"]["documents"]] == ids


def test_what_is_in_its_place_stays_when_more_is_refused(client: Client, driver: Driver) -> None:
    signed_id = upload(client, driver)
    attach(client, driver, cpc=signed_id)
    answer = driver.send(client, "PATCH", {"cpc": [signed_id, upload(client, driver)]})
    assert answer.status == 422
    shown = driver.send(client, "GET").json["profile"]["cpc"]
    assert shown["signed_id"] == signed_id
    assert followed(shown["url"]).status == 200


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_photographs_whose_bytes_are_lost_are_refused(
    client: Client, driver: Driver, filing: Filing
) -> None:
    keys = filing.keys()
    ids = [upload(client, driver, png(), content_type=PNG_TYPE) for _ in range(2)]
    attach(client, driver, documents=ids)
    attach(client, driver, documents=[])
    for key in filing.keys() - keys:
        (filing.running.place.folder / "files" / key[:2] / key[2:4] / key).unlink()
    answer = driver.send(client, "PATCH", {"cpc": ids})
    assert (answer.status, answer.json) == (422, refused(cpc="is invalid"))


def test_one_file_attached_from_everywhere_at_once_is_in_one_place(
    client: Client, driver: Driver, filing: Filing, connect: Connect
) -> None:
    signed_id = upload(client, driver)
    slots = ["cv", "dbs", "tacho", "cpc"]
    start = Barrier(len(slots))
    clients = {slot: connect(filing.running.url) for slot in slots}

    def attach_as(slot: str) -> Answer:
        start.wait()
        return driver.send(clients[slot], "PATCH", {slot: signed_id})

    with ThreadPoolExecutor(len(slots)) as threads:
        answers = dict(zip(slots, threads.map(attach_as, slots), strict=True))

    won = [slot for slot, answer in answers.items() if answer.status == 200]
    assert len(won) == 1, answers
    for slot in set(slots) - set(won):
        assert (answers[slot].status, answers[slot].json) == (422, refused(**{slot: "is invalid"}))
    profile = driver.send(client, "GET").json["profile"]
    assert [slot for slot in slots if profile[slot]["id"] is not None] == won
    assert followed(profile[won[0]]["url"]).status == 200


def _attached_at_once(clients: list[Client], driver: Driver, signed_id: str) -> list[Answer]:
    """What each client is answered that attaches the same CV at the same moment."""
    start = Barrier(len(clients))

    def attach_with(mine: Client) -> Answer:
        start.wait()
        return driver.send(mine, "PATCH", {"cv": signed_id})

    with ThreadPoolExecutor(len(clients)) as threads:
        return list(threads.map(attach_with, clients))


def test_one_file_attached_twice_at_once_is_there_once(
    client: Client, driver: Driver, filing: Filing, connect: Connect
) -> None:
    clients = [connect(filing.running.url) for _ in range(4)]
    answers = _attached_at_once(clients, driver, upload(client, driver))

    assert {answer.status for answer in answers} == {200}, answers
    assert len({answer.json["profile"]["cv"]["id"] for answer in answers}) == 1
    (profile,) = filing.tables.rows("profiles", user_id=driver.id)
    assert profile["version"] == 2


@pytest.mark.usefixtures("nothing_more")
def test_one_file_that_is_refused_is_refused_everywhere_at_once(
    client: Client, driver: Driver, filing: Filing, connect: Connect
) -> None:
    clients = [connect(filing.running.url) for _ in range(8)]
    answers = _attached_at_once(clients, driver, upload(client, driver, b"hello"))

    assert {answer.status for answer in answers} == {422}, answers
    messages = {message for answer in answers for message in answer.json["errors"]["cv"]}
    assert messages <= {"is not a file of a type we take", "is invalid"}


def test_who_comes_when_another_has_just_attached_it_changes_nothing(
    place: Place, bucket_server: Server, start: Callable[..., Service], connect: Connect
) -> None:
    """The copy that is asked for second is made when what it is of has gone."""
    attached, copies = Event(), itertools.count()

    def delays(method: str, path: str) -> bool:
        if method == "PUT" and "/incoming/" not in path and next(copies):
            attached.wait(30)
        return False

    with refusing_proxy(bucket_server.endpoint, delays) as endpoint:
        url = Server(endpoint).url(place.folder.name)
        service = start(place.folder, {**place.settings, "ROADWORTHY_STORAGE_URL": url})
        driver, clients = _registered(place), [connect(service.url) for _ in range(2)]
        signed_id = upload(clients[0], driver)
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(driver.send, c, "PATCH", {"cv": signed_id}) for c in clients]
            wait(both, return_when=FIRST_COMPLETED)
            attached.set()
    shown = [request.result().json["profile"]["cv"]["signed_id"] for request in both]
    assert shown == [signed_id, signed_id]


def test_a_file_waits_for_a_day(client: Client, driver: Driver, filing: Filing) -> None:
    blobs = filing.tables["blobs"]
    for age, status in ((timedelta(hours=23), 200), (timedelta(hours=25), 422)):
        blob = upload_blob(client, driver)
        older = update(blobs).where(blobs.c.id == blob.id)
        since = datetime.now(UTC) - age
        filing.tables.execute(older.values(created_at=since, unattached_since=since))
        assert driver.send(client, "PATCH", {"cv": blob.signed_id}).status == status


def test_what_is_in_a_list_stays_good(client: Client, driver: Driver, filing: Filing) -> None:
    first = upload_blob(client, driver)
    attach(client, driver, documents=[first.signed_id])
    blobs = filing.tables["blobs"]
    long_ago = datetime.now(UTC) - timedelta(days=400)
    filing.tables.execute(update(blobs).where(blobs.c.id == first.id).values(created_at=long_ago))
    second = upload(client, driver)
    shown = attach(client, driver, documents=[second, first.signed_id])["documents"]
    assert [each["signed_id"] for each in shown] == [second, first.signed_id]


def test_an_announcement_that_is_sent_again_is_the_same_one(
    client: Client, driver: Driver, filing: Filing
) -> None:
    headers = {**driver.signed, "content-type": "application/json", "idempotency-key": "one"}
    body = json.dumps({"blob": description(pdf("announced twice"))})
    first, again = (client.send("POST", ANNOUNCE_PATH, headers, body) for _ in range(2))
    assert (first.status, first.text) == (200, again.text)
    assert len(filing.tables.rows("blobs", user_id=driver.id)) == 1


def test_a_connection_goes_on_after_a_file(shown: tuple[str, bytes], client: Client) -> None:
    url, content = shown
    path = urlsplit(url).path + "?disposition=inline"
    for _ in range(3):
        assert client.send("GET", path).body == content
        assert client.send("HEAD", path).status == 200
        assert client.send("GET", path, {"range": "bytes=0-0"}).body == content[:1]
        assert client.send("GET", "/up").status == 200


def test_what_a_scanner_finds_leaves_nothing(
    place: Place,
    filing_settings: dict[str, str],
    new_filing: Callable[[Service], Filing],
    start: Callable[..., Service],
    connect: Connect,
    clamd: Clamd,
) -> None:
    settings = {**filing_settings, "ROADWORTHY_CLAMAV": clamd.urls[0]}
    service = start(place.folder, settings)
    filing, client, driver = new_filing(service), connect(service.url), _registered(place)
    good, bad = upload(client, driver), upload(client, driver, pdf(HARMFUL.decode()))
    assert driver.send(client, "PATCH", {"cv": good}).status == 200
    keys, tables = filing.keys(), ["blobs", "attachments", "submissions"]
    counts = filing.tables.count(tables)
    for signed_id, message in ((bad, "has been found harmful"), (bad, "is invalid")):
        answer = driver.send(client, "PATCH", {"dbs": signed_id, "bio": "never said"})
        assert (answer.status, answer.json) == (422, refused(dbs=message))
    assert len(keys - filing.keys()) == 1, "its bytes are kept"
    assert filing.keys() < keys, "a copy of it is kept"
    assert filing.tables.count(tables) == {**counts, "blobs": counts["blobs"] - 1}
    assert HARMFUL.decode() not in service.log


class TestTrouble:
    """What a file needs is away: 503, never a wrong answer, and all is well when it is back."""

    def test_a_scanner_that_is_away(
        self,
        place: Place,
        filing_settings: dict[str, str],
        new_filing: Callable[[Service], Filing],
        start: Callable[..., Service],
        connect: Connect,
    ) -> None:
        away = {**filing_settings, "ROADWORTHY_CLAMAV": f"unix://{place.folder}/clamd"}
        service = start(place.folder, away)
        filing, client, driver = new_filing(service), connect(service.url), _registered(place)
        signed_id = upload(client, driver)
        keys = filing.keys()
        for _ in range(3):
            answer = driver.send(client, "PATCH", {"cv": signed_id})
            assert (answer.status, answer.json) == (503, error(503))
            assert answer.header("retry-after") == "10"
        assert filing.keys() == keys, "a copy was left"
        service.stop()
        client = connect(start(place.folder, filing_settings).url)
        assert attach(client, driver, cv=signed_id)["cv"]["signed_id"] == signed_id

    def test_a_scanner_that_goes_away_once_photographs_were_joined(
        self,
        place: Place,
        filing_settings: dict[str, str],
        new_filing: Callable[[Service], Filing],
        start: Callable[..., Service],
        connect: Connect,
    ) -> None:
        service = start(place.folder, filing_settings)
        client, driver = connect(service.url), _registered(place)
        ids = [upload(client, driver, png(), content_type=PNG_TYPE) for _ in range(2)]
        attach(client, driver, documents=ids)
        attach(client, driver, documents=[])
        service.stop()
        away = {**filing_settings, "ROADWORTHY_CLAMAV": f"unix://{place.folder}/clamd"}
        service = start(place.folder, away)
        filing, client = new_filing(service), connect(service.url)
        wanted = {"dbs": ids, "cpc": upload(client, driver)}
        keys, count = filing.keys(), filing.tables.count(["blobs"])
        assert driver.send(client, "PATCH", wanted).status == 503
        assert filing.keys() == keys, "their PDF was left"
        assert filing.tables.count(["blobs"]) == count

    def test_a_bucket_that_is_away(
        self, place: Place, start: Callable[..., Service], connect: Connect
    ) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"
        url = f"s3://key:secret@bucket/prefix?endpoint={endpoint}"
        service = start(place.folder, {**place.settings, "ROADWORTHY_STORAGE_URL": url})
        client, driver = connect(service.url), _registered(place)
        signed_id = announce(client, driver, pdf()).signed_id
        answer = driver.send(client, "PATCH", {"cv": signed_id})
        assert (answer.status, answer.json) == (503, error(503))
        assert driver.send(client, "PATCH", {"bio": "Coaches."}).status == 200
        assert "Traceback" not in service.errors
        assert "secret" not in service.log

    def test_a_folder_that_cannot_be_used(
        self, place: Place, start: Callable[..., Service], connect: Connect
    ) -> None:
        (place.folder / "files").write_bytes(b"in the way")
        service = start(place.folder, place.settings)
        client, driver = connect(service.url), _registered(place)
        blob = announce(client, driver, pdf())
        answer = blob.send()
        assert (answer.status, answer.json) == (503, error(503))
        (place.folder / "files").unlink()
        assert blob.send().status == 204
        assert attach(client, driver, cv=blob.signed_id)["cv"]["id"] is not None
        assert "Traceback" not in service.errors


def test_the_log_says_nothing_of_files(
    place: Place, start: Callable[..., Service], connect: Connect
) -> None:
    service = start(place.folder, place.settings)
    client, driver = connect(service.url), _registered(place)
    blob = upload_blob(client, driver, filename="criminal record of Virgie.pdf")
    shown = attach(client, driver, dbs=blob.signed_id)["dbs"]
    assert fetch(shown["url"]).status == 200
    refused_id = upload(client, driver, b"hello", filename="hello.pdf")
    assert driver.send(client, "PATCH", {"cv": refused_id}).status == 422
    assert service.stop() == 0
    tokens = (blob.url, shown["url"])
    for value in (
        *("criminal", "Virgie", "hello", blob.signed_id, refused_id, blob.said["key"]),
        *(url.rpartition("/")[2] for url in tokens),
        blob.said["checksum"],
    ):
        assert value not in service.log, value


def _registered(place: Place) -> Driver:
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    tables.close()
    return driver


def _changed(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def _without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


def _edited(url: str) -> str:
    """Its last letter is another."""
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def _send_chunked(blob: Announced, pieces: list[bytes]) -> int:
    parts = urlsplit(blob.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    with contextlib.closing(connection):
        connection.request("PUT", parts.path, iter(pieces), blob.headers, encode_chunked=True)
        return connection.getresponse().status


def _odt() -> bytes:
    """What a word processor makes of nothing."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    kind = "application/vnd.oasis.opendocument.text"
    parts = {
        "mimetype": kind,
        "content.xml": (
            f'<o:document-content xmlns:o="{names}:office:1.0" o:version="1.2">'
            "<o:body><o:text/></o:body></o:document-content>"
        ),
        "META-INF/manifest.xml": (
            f'<m:manifest xmlns:m="{names}:manifest:1.0">'
            f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>'
        ),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _colors(document: bytes) -> list[str]:
    """What the middle of each page is."""
    found = []
    for page in pypdfium2.PdfDocument(document):
        image = page.render().to_pil().convert("RGB")
        red, green, blue = image.getpixel((image.width // 2, image.height // 2))
        strongest = max((red, "red"), (green, "green"), (blue, "blue"))
        found.append(strongest[1])
    return found
