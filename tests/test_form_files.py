"""Files that come with the fields, in one request of `multipart/form-data`."""

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pypdfium2
import pytest
from sqlalchemy import update

from tests.conftest import Filing, Place
from tests.support.blobs import COMPLIANCE_SLOTS, SLOTS, attach, followed, jpeg, pdf, png, upload
from tests.support.buckets import Server
from tests.support.client import Answer, Client
from tests.support.drivers import FIELDS, PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.processes import growth
from tests.support.proxy import refusing_proxy
from tests.support.purging import purge_now
from tests.support.scenario import error, refused
from tests.support.service import Service
from tests.support.tables import open_tables
from tests.support.waiting import wait_until

Connect = Callable[[str], Client]

MEGABYTE = 1024 * 1024
TEXTS = [Part(f"profile[{name}]", value) for name, value in FIELDS.items()]
HTML = b"<!doctype html><script>alert(1)</script>"


def _file(slot: str, content: bytes, filename: str = "cv.pdf", kind: str = "") -> Part:
    slot, bracket, rest = slot.partition("[")
    name = f"profile[{slot}]{bracket}{rest}"
    return Part(name, content, filename, kind or "application/octet-stream")


def _send(
    client: Client,
    driver: Driver,
    method: str,
    parts: Iterable[Part],
    boundary: str = BOUNDARY,
    **headers: str,
) -> Answer:
    said = {"content-type": f"multipart/form-data; boundary={boundary}", **driver.signed}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.send(method, PROFILE_PATH, {**said, **more}, multipart(parts, boundary))


@pytest.fixture
def client(filing: Filing, connect: Connect) -> Client:
    return connect(filing.running.url)


@pytest.fixture
def driver(filing: Filing) -> Driver:
    return with_profile(filing.tables, new_driver(filing.tables))


@pytest.fixture(autouse=True)
def nothing_on_its_way(filing: Filing) -> Iterator[None]:
    """What was received is moved to storage, or gone."""
    yield
    folder = filing.running.place.folder
    found = [*(folder / "incoming").glob("*"), *(folder / "files" / "incoming").glob("*")]
    assert found == []


def test_a_driver_registers_with_every_file_in_one_request(client: Client, filing: Filing) -> None:
    driver = new_driver(filing.tables)
    contents = {slot: pdf(slot, filler=1000 * n) for n, slot in enumerate(SLOTS)}
    files = [_file(slot, content, f"{slot}.pdf") for slot, content in contents.items()]
    lists = [
        *(_file("documents[]", pdf(word), f"{word}.pdf") for word in ("one", "two")),
        *(_file("driving_license[]", image, "card.png") for image in (png(), png("green"))),
    ]

    answer = _send(client, driver, "POST", [*files, *TEXTS, *lists])

    assert answer.status == 200, answer
    profile = answer.json["profile"]
    assert profile["first_name"] == FIELDS["first_name"]
    for slot, content in contents.items():
        shown = profile[slot]
        assert (shown["filename"], shown["byte_size"]) == (f"{slot}.pdf", len(content))
        assert followed(shown["url"]).body == content
    assert [each["filename"] for each in profile["documents"]] == ["one.pdf", "two.pdf"]
    assert len(profile["driving_license"]) == 2
    handed_in = filing.tables.rows("submissions", user_id=driver.id)
    assert {row["kind"] for row in handed_in} == set(COMPLIANCE_SLOTS)


def test_several_photographs_become_one_pdf(client: Client, driver: Driver, filing: Filing) -> None:
    photographs = [_file("dbs[]", image, "front.jpg") for image in (jpeg("red"), jpeg("blue"))]
    answer = _send(client, driver, "PATCH", photographs)
    assert answer.status == 200, answer
    shown = answer.json["profile"]["dbs"]
    assert shown["filename"] == "front.pdf"
    assert len(pypdfium2.PdfDocument(io.BytesIO(followed(shown["url"]).body))) == 2
    assert len(filing.tables.rows("blobs", user_id=driver.id)) == 1, "the photographs are kept too"


def test_files_stand_beside_signed_ids(client: Client, driver: Driver) -> None:
    signed_id = upload(client, driver)
    attach(client, driver, documents=[signed_id])
    parts = [_file("documents[]", pdf(), "new.pdf"), Part("profile[documents][]", signed_id)]
    answer = _send(client, driver, "PUT", [*parts, Part("profile[bio]", "Coaches.")])
    assert answer.status == 200, answer
    profile = answer.json["profile"]
    assert [each["filename"] for each in profile["documents"]] == ["new.pdf", "cv.pdf"]
    assert profile["documents"][1]["signed_id"] == signed_id
    assert profile["bio"] == "Coaches."


def test_no_file_chosen_changes_nothing(client: Client, driver: Driver) -> None:
    shown = attach(client, driver, cv=upload(client, driver))["cv"]
    parts = [Part("profile[cv]", b"", ""), Part("profile[bio]", "Coaches.")]
    answer = _send(client, driver, "PATCH", parts)
    assert (answer.status, answer.json["profile"]["cv"]["id"]) == (200, shown["id"])


_MANY = "is too many (maximum is 20)"
_REFUSED: list[tuple[str, list[Part], int, object]] = [
    ("HTML by a photograph's name", [_file("cv", HTML, "a.png", "image/png")], 422, None),
    ("a cut PDF", [_file("cv", pdf()[:200])], 422, None),
    ("nothing in it", [_file("cv", b"")], 422, refused(cv="is invalid")),
    (
        "a byte over the limit",
        [_file("cv", b"x" * (20 * MEGABYTE + 1))],
        422,
        refused(cv="is too big (maximum is 20 MB)"),
    ),
    ("a path for a name", [_file("cv", pdf(), "../../cv.pdf")], 422, refused(cv="is invalid")),
    ("no name", [_file("cv", pdf(), "")], 422, refused(cv="can't be blank")),
    (
        "one bad file of three",
        [_file("cv", pdf()), _file("dbs", b"%PDF-1.7"), _file("documents[]", pdf())],
        422,
        refused(dbs="is damaged"),
    ),
    (
        "a field that is refused",
        [_file("cv", pdf()), Part("profile[birth_date]", "x")],
        422,
        refused(birth_date="is not a valid date"),
    ),
    (
        "photographs, and a field that is refused",
        [_file("cv[]", png()), _file("cv[]", jpeg()), Part("profile[birth_date]", "x")],
        422,
        refused(birth_date="is not a valid date"),
    ),
    (
        "a signed id that never was",
        [_file("cv", pdf()), Part("profile[dbs]", "A" * 32)],
        422,
        refused(dbs="is invalid"),
    ),
    (
        "several files that are no photographs",
        [_file("cv[]", pdf()), _file("cv[]", pdf())],
        422,
        refused(cv="must be photographs where there are several"),
    ),
    (
        "more files than a list takes",
        [_file("documents[]", b"x") for _ in range(21)],
        422,
        refused(documents=_MANY),
    ),
    ("a file in a file", [_file("cv[a]", pdf())], 422, refused(cv="is invalid")),
    ("more files than a form takes", [_file("zz", b"x") for _ in range(41)], 413, error(413)),
    ("a text that is too long", [Part("zz", "x" * 257 * 1024)], 413, error(413)),
    ("a body that is too long", [_file("zz", b"x" * 101 * MEGABYTE)], 413, error(413)),
]


def test_everything_that_is_refused_stands_in_the_documented_order(
    client: Client, driver: Driver
) -> None:
    """Whenever it is found out: by the fields, when a file is kept, or when it is looked into."""
    parts = [
        _file("documents[]", b""),
        Part("profile[driving_license]", "no list"),
        _file("dbs", HTML),
        _file("cv", HTML),
        Part("profile[english_level]", "none of ours"),
    ]
    answer = _send(client, driver, "PATCH", parts)
    assert answer.status == 422, answer
    assert [*answer.json["errors"]] == [
        "english_level",
        "cv",
        "dbs",
        "documents",
        "driving_license",
    ]


def test_an_account_that_is_changed_meanwhile_registers_with_its_files(
    client: Client, filing: Filing
) -> None:
    """Its profile is made with what the account says when it is made; the files are kept once."""
    driver, users = new_driver(filing.tables), filing.tables["users"]
    is_answered = threading.Event()

    def change() -> int:
        changes = 0
        while not is_answered.wait(0.02):
            changes += 1
            number = update(users).where(users.c.id == driver.id)
            filing.tables.execute(number.values(phone_number=f"07700 {changes:06}"))
        return changes

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(change)
        try:
            parts = [*TEXTS, *(_file("documents[]", pdf(), f"{n}.pdf") for n in range(6))]
            answer = _send(client, driver, "POST", parts)
        finally:
            is_answered.set()
        assert changing.result() > 1, "nothing changed while the files were looked into"
    assert answer.status == 200, answer
    assert len(answer.json["profile"]["documents"]) == 6


def test_a_name_that_cannot_be_read_is_not_told_again(client: Client, driver: Driver) -> None:
    """What is wrong is for the client's log, and the name is the driver's."""
    body = multipart([_file("cv", pdf(), "DBS of Ann.pdf")]).replace(b"Ann", b"\xff")
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **driver.signed}
    answer = client.send("PATCH", PROFILE_PATH, headers, body)
    assert answer.status == 400
    assert answer.json["detail"].startswith("the multipart body is broken: ")
    assert "DBS" not in answer.json["detail"]


@pytest.mark.parametrize("row", _REFUSED, ids=[row[0] for row in _REFUSED])
def test_what_is_refused_leaves_nothing(
    row: Any, client: Client, driver: Driver, filing: Filing
) -> None:
    _, parts, status, expected = row
    keys = filing.keys()
    watched = ["blobs", "attachments", "submissions", "profile_versions"]
    counts = filing.tables.count(watched)

    answer = _send(client, driver, "PATCH", parts)

    assert answer.status == status, answer
    if expected is not None:
        body = {name: value for name, value in answer.json.items() if name != "detail"}
        assert body == expected
    assert filing.keys() == keys, "a file was stored"
    assert filing.tables.count(watched) == counts


@pytest.mark.parametrize("storage_kind", ["s3"], indirect=True)
def test_what_cannot_be_cleared_away_changes_no_answer(
    place: Place, bucket_server: Server, start: Callable[..., Service], connect: Connect
) -> None:
    photographs = [_file("dbs[]", image, "front.jpg") for image in (jpeg("red"), jpeg("blue"))]
    tables = open_tables(place.url)
    newcomer, driver = new_driver(tables), with_profile(tables, new_driver(tables))
    with refusing_proxy(bucket_server.endpoint, lambda method, _: method == "DELETE") as endpoint:
        url = Server(endpoint).url(place.folder.name)
        client = connect(start(place.folder, {**place.settings, "ROADWORTHY_STORAGE_URL": url}).url)
        for parts, status in (
            ([_file("cv", HTML)], 422),
            ([_file("cv", pdf()), Part("profile[birth_date]", "x")], 422),
            (photographs, 200),
        ):
            assert _send(client, driver, "PATCH", parts).status == status
        assert _send(client, newcomer, "POST", [*TEXTS, *photographs]).status == 200
    assert len(tables.rows("submissions")) == 2
    waiting = [row for row in tables.rows("blobs") if row["unattached_since"] is not None]
    assert len(waiting) == 6
    assert all(row["purged_at"] for row in waiting), "the purge does not know of it"
    tables.close()


@pytest.mark.parametrize("storage_kind", ["s3"], indirect=True)
def test_what_cannot_be_kept_does_not_count_for_a_day(
    place: Place, bucket_server: Server, start: Callable[..., Service], connect: Connect
) -> None:
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    with refusing_proxy(bucket_server.endpoint, lambda method, _: method == "PUT") as endpoint:
        url = Server(endpoint).url(place.folder.name)
        settings = {**place.settings, "ROADWORTHY_STORAGE_URL": url}
        service = start(place.folder, settings)
        answer = _send(connect(service.url), driver, "PATCH", [_file("cv", pdf())])
        assert (answer.status, answer.json) == (503, error(503))
        service.stop()
        assert len(tables.rows("blobs")) == 1
        purge_now(settings, tables)
    assert tables.rows("blobs") == []
    tables.close()


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
class TestOnTheWire:
    """Where the files are kept changes nothing here."""

    def test_a_body_that_breaks_off_leaves_nothing(self, driver: Driver, filing: Filing) -> None:
        body = multipart([_file("cv", pdf(filler=MEGABYTE)), *TEXTS])
        address = urlsplit(filing.running.url)
        for length in (len(body) // 2, len(body) - 10, 200):
            for declared in (len(body), length):
                head = (
                    f"PATCH {PROFILE_PATH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
                    f"authorization: {driver.signed['authorization']}\r\n"
                    f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n"
                    f"content-length: {declared}\r\n\r\n"
                )
                with socket.create_connection((address.hostname, address.port)) as connection:
                    connection.sendall(head.encode() + body[:length])
                    if declared != length:
                        continue
                    answer = b"".join(iter(lambda: connection.recv(65536), b""))
                    assert answer.startswith(b"HTTP/1.1 400"), answer
        wait_until(lambda: not list((filing.running.place.folder / "files/incoming").iterdir()))
        assert filing.tables.rows("blobs", user_id=driver.id) == []

    def test_a_retry_gets_the_first_answer_whatever_its_boundary(
        self, client: Client, filing: Filing
    ) -> None:
        driver = new_driver(filing.tables)
        content = pdf()
        parts = [*TEXTS, _file("cv", content)]
        first = _send(client, driver, "POST", parts, idempotency_key="a")
        again = _send(client, driver, "POST", parts, "another", idempotency_key="a")
        assert (first.status, again.status, again.body) == (200, 200, first.body)
        for other in (
            [*TEXTS, _file("cv", pdf(), "cv.pdf")],
            [*TEXTS, _file("cv", content, "other.pdf")],
            [*TEXTS, _file("dbs", content)],
            TEXTS,
            [*TEXTS[1:], replace(TEXTS[0], content="Other"), _file("cv", content)],
        ):
            answer = _send(client, driver, "POST", other, idempotency_key="a")
            used = refused(idempotency_key="has already been used for another request")
            assert (answer.status, answer.json) == (422, used)
        assert len(filing.tables.rows("blobs", user_id=driver.id)) == 1

    def test_other_routes_take_no_more_than_they_did(self, client: Client, filing: Filing) -> None:
        driver = new_driver(filing.tables)
        body = multipart([_file("zz", b"x" * 300 * 1024)])
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **driver.signed}
        for path in ("/api/v1/direct_uploads", "/api/v1/users", "/api/v1/users/sign_in"):
            assert client.send("POST", path, headers, body).status == 413

    def test_who_is_not_signed_in_sends_no_files(self, client: Client, driver: Driver) -> None:
        nobody = replace(driver, token="x")
        assert _send(client, nobody, "PATCH", [_file("cv", pdf())]).status == 401


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_a_large_file_takes_no_memory(place: Place, start: Callable[..., Service]) -> None:
    """Neither where it is kept, nor where it is nobody's."""
    size, most_growth = 150, 40
    service = start(place.folder, {**place.settings, "ROADWORTHY_MAX_FILE_MB": "200"})
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    tables.close()
    with contextlib.closing(Client(service.url)) as client:
        assert _send(client, driver, "PATCH", [_file("cv", pdf())]).status == 200
        with growth(service) as grown:
            for name, content in (
                ("cv", pdf(filler=size * MEGABYTE)),
                ("zz", b"x" * size * MEGABYTE),
            ):
                parts = [_file(name, content), *TEXTS]
                assert _send(client, driver, "PATCH", parts).status == 200, name
        assert grown() < most_growth
