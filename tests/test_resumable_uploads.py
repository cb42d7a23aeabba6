"""Uploads through a signal that breaks, servers that are killed, and both storages (tus 1.0)."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from roadworthy.storage import new_key
from roadworthy.uploads.upload import MOST_UNFINISHED
from tests.conftest import Filing, Place
from tests.scenarios import resumable
from tests.support.blobs import attach, followed, pdf
from tests.support.client import Answer, Client
from tests.support.drivers import Driver, new_driver, with_profile
from tests.support.ports import free_port
from tests.support.resumable import (
    BODY_TYPE,
    NAMED,
    TUS,
    UPLOADS_PATH,
    Resumable,
    begin,
    begun,
    create,
)
from tests.support.scenario import Scenario, play, refused
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_until

Connect = Callable[[str], Client]
Start = Callable[..., Service]

MEGABYTE = 1024 * 1024


@pytest.fixture
def client(filing: Filing, connect: Connect) -> Client:
    return connect(filing.running.url)


@pytest.fixture
def driver(filing: Filing) -> Driver:
    return with_profile(filing.tables, new_driver(filing.tables))


@pytest.fixture
def tables(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


@pytest.mark.parametrize("storage_kind", ["s3"], indirect=True)
@pytest.mark.parametrize("scenario", resumable.SCENARIOS, ids=str)
def test_scenario_with_a_bucket(scenario: Scenario, client: Client, filing: Filing) -> None:
    """The same as with a folder (`test_scenarios`)."""
    play(scenario, client, filing.tables)


def test_what_comes_in_parts_is_the_file(client: Client, driver: Driver, filing: Filing) -> None:
    content = pdf(filler=10 * MEGABYTE)
    before = filing.keys()
    upload = begin(client, driver, len(content))
    offset, signed_id = 0, None
    for size in (1, 9 * MEGABYTE, 70_000, len(content)):
        answer = upload.append(client, offset, content[offset : offset + size])
        assert answer.status == 204, answer
        offset = min(offset + size, len(content))
        assert answer.header("upload-offset") == str(offset)
        signed_id = answer.header("upload-signed-id")
    shown = attach(client, driver, cv=signed_id)["cv"]
    assert followed(shown["url"]).body == content
    assert len(filing.keys() - before) == 1, "parts are left"


def test_a_connection_that_breaks_keeps_what_came(
    client: Client, driver: Driver, filing: Filing
) -> None:
    content = pdf(filler=3 * MEGABYTE)
    upload = begin(client, driver, len(content))
    for stop in (MEGABYTE, 2 * MEGABYTE):
        offset = upload.offset(client)
        _send_and_hang_up(filing.running.url, upload, offset, content[offset:stop], len(content))
        wait_until(lambda: upload.offset(client) == stop)  # noqa: B023 -- it is called at once
    offset = upload.offset(client)
    answer = upload.append(client, offset, content[offset:])
    shown = attach(client, driver, cv=answer.header("upload-signed-id"))["cv"]
    assert followed(shown["url"]).body == content


def test_a_body_with_a_sum_is_kept_whole_or_not(
    client: Client, driver: Driver, filing: Filing
) -> None:
    content = pdf(filler=2 * MEGABYTE)
    upload = begin(client, driver, len(content))
    before = filing.keys()
    said = f"upload-checksum: sha1 {'A' * 27}=\r\n"
    half = content[: len(content) // 2]
    _send_and_hang_up(filing.running.url, upload, 0, half, len(content), said)
    time.sleep(0.5)
    assert upload.offset(client) == 0
    assert filing.keys() == before


def test_of_two_at_once_one_counts(
    client: Client, driver: Driver, filing: Filing, connect: Connect
) -> None:
    content = pdf(filler=MEGABYTE)
    upload = begin(client, driver, len(content))
    start, clients = Barrier(4), [connect(filing.running.url) for _ in range(4)]

    def send(mine: Client) -> Answer:
        start.wait()
        return upload.append(mine, 0, content)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, clients))

    assert sorted(answer.status for answer in answers) == [204, 409, 409, 409], answers
    signed_id = upload.send(client, "HEAD").header("upload-signed-id")
    shown = attach(client, driver, cv=signed_id)["cv"]
    assert followed(shown["url"]).body == content
    assert filing.tables.rows("upload_parts", upload_id=_row(filing.tables, upload)["id"]) == []


@pytest.mark.parametrize(
    ("body", "connections"),
    [(None, 50), (pdf(filler=10_000), 4)],
    ids=["empty", "with its bytes"],
)
def test_one_key_from_many_connections_begins_one(
    body: bytes | None, connections: int, driver: Driver, filing: Filing, connect: Connect
) -> None:
    """Of those that bring bytes, fewer: of one driver eight may at once."""
    length = 10_000 if body is None else len(body)
    start = Barrier(connections)
    clients = [connect(filing.running.url) for _ in range(connections)]

    def send(mine: Client) -> Answer:
        return create(mine, driver, length, body, key="one")

    def send_together(mine: Client) -> Answer:
        start.wait()
        return send(mine)

    with ThreadPoolExecutor(connections) as threads:
        answers = list(threads.map(send_together, clients))

    assert {answer.status for answer in answers} == {201}, answers
    (location,) = {answer.header("location") for answer in answers}
    (row,) = filing.tables.rows("uploads", user_id=driver.id)
    assert location is not None
    assert location.endswith(row["name"])
    assert begun(driver, answers[0]).offset(clients[0]) == len(body or b"")
    if body:
        again = send(clients[0])
        assert again.header("upload-offset") == str(length), again
        attach(clients[0], driver, cv=again.header("upload-signed-id"))


def test_a_creation_that_breaks_off_is_continued_by_its_key(
    client: Client, driver: Driver, filing: Filing
) -> None:
    content = pdf(filler=MEGABYTE)
    half = len(content) // 2
    said = f"upload-metadata: {NAMED}\r\nidempotency-key: one\r\n"
    with contextlib.closing(_creating(filing.running.url, driver, len(content), said)) as broken:
        broken.sendall(content[:half])
    wait_until(lambda: [row["offset"] for row in _uploads(filing, driver)] == [half])

    answer = create(client, driver, len(content), content, key="one")
    assert (answer.status, answer.header("upload-offset")) == (201, str(half)), answer
    finished = begun(driver, answer).append(client, half, content[half:])
    shown = attach(client, driver, cv=finished.header("upload-signed-id"))["cv"]
    assert followed(shown["url"]).body == content
    assert len(_uploads(filing, driver)) == 1


def test_a_body_of_another_type_is_refused_in_chunks_too(driver: Driver, filing: Filing) -> None:
    """Nothing says before how long it is."""
    head = (
        f"POST {UPLOADS_PATH} HTTP/1.1\r\nhost: a\r\ntus-resumable: 1.0.0\r\nupload-length: 3\r\n"
        f"authorization: {driver.signed['authorization']}\r\ncontent-type: text/plain\r\n"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    address = urlsplit(filing.running.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 415 ")
    assert _uploads(filing, driver) == []


def test_a_key_begins_one_file(client: Client, driver: Driver, filing: Filing) -> None:
    assert create(client, driver, 1000, key="one").status == 201
    for other in (
        create(client, driver, 1001, key="one"),
        create(client, driver, 1000, named="filename b3RoZXI=", key="one"),
        create(client, driver, 1000, b"%PDF", key="one"),
    ):
        errors = refused(idempotency_key="has already been used for another request")
        assert (other.status, other.json) == (422, errors), other
    assert len(_uploads(filing, driver)) == 1


def test_parts_may_arrive_at_different_servers(
    place: Place, tables: Tables, start: Start, connect: Connect
) -> None:
    driver = with_profile(tables, new_driver(tables))
    clients = [connect(start(place.folder, place.settings).url) for _ in range(2)]
    content = pdf(filler=MEGABYTE)
    upload = begin(clients[0], driver, len(content))
    answer: Answer | None = None
    for number, offset in enumerate(range(0, len(content), 200_000)):
        answer = upload.append(clients[number % 2], offset, content[offset : offset + 200_000])
        assert answer.status == 204, answer
    assert answer is not None
    shown = attach(clients[0], driver, cv=answer.header("upload-signed-id"))["cv"]
    assert followed(shown["url"]).body == content


def test_killed_in_the_middle_it_continues(
    place: Place, tables: Tables, start: Start, connect: Connect
) -> None:
    driver = with_profile(tables, new_driver(tables))
    content = pdf(filler=19 * MEGABYTE)
    service = start(place.folder, place.settings)
    upload = begin(connect(service.url), driver, len(content))
    for _ in range(2):
        client = connect(service.url)
        offset = upload.offset(client)
        with contextlib.closing(_sending(service.url, upload, offset, len(content))) as connection:
            connection.sendall(content[offset : offset + 9 * MEGABYTE])
            wait_until(lambda: upload.offset(client) > offset)  # noqa: B023 -- it is called at once
            service.kill()
        service = start(place.folder, place.settings)
    client = connect(service.url)
    offset = upload.offset(client)
    assert 0 < offset < len(content)
    answer = upload.append(client, offset, content[offset:])
    assert answer.status == 204, answer
    shown = attach(client, driver, cv=answer.header("upload-signed-id"))["cv"]
    assert followed(shown["url"]).body == content


def test_what_was_interrupted_when_it_was_whole_becomes_a_file(
    client: Client, driver: Driver, filing: Filing
) -> None:
    """All parts are there, and nobody has made the file of them."""
    content = pdf(filler=1000)
    upload = begin(client, driver, len(content))
    assert upload.append(client, 0, content[:-1]).status == 204
    uploads = filing.tables["uploads"]
    row = _row(filing.tables, upload)
    shorter = {"byte_size": len(content) - 1}
    filing.tables.execute(update(uploads).where(uploads.c.id == row["id"]).values(**shorter))
    assert len(filing.tables.rows("upload_parts", upload_id=row["id"])) == 1
    answer = upload.send(client, "HEAD")
    assert answer.header("upload-signed-id") is not None
    assert filing.tables.rows("upload_parts", upload_id=row["id"]) == []
    (blob,) = filing.tables.rows("blobs", id=_row(filing.tables, upload)["blob_id"])
    assert blob["byte_size"] == len(content) - 1


def test_what_has_lost_a_part_is_begun_anew(client: Client, driver: Driver, filing: Filing) -> None:
    """As when files moved to other storage meanwhile, which leaves parts behind."""
    content = pdf()
    upload = begin(client, driver, len(content))
    assert upload.append(client, 0, content[:9]).status == 204
    parts = filing.tables["upload_parts"]
    of_it = parts.c.upload_id == _row(filing.tables, upload)["id"]
    filing.tables.execute(update(parts).where(of_it).values(key=new_key()))

    assert upload.append(client, 9, content[9:]).status == 410
    assert upload.send(client, "HEAD").status == 410


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_what_begins_with_its_bytes_while_storage_is_away_does_not_count(
    place: Place, tables: Tables, start: Start, connect: Connect
) -> None:
    """Nobody was told where it is, so it cannot go on."""
    bucket = f"s3://key:secret@bucket?endpoint=http://127.0.0.1:{free_port()}"
    service = start(place.folder, {**place.settings, "ROADWORTHY_STORAGE_URL": bucket})
    client, driver = connect(service.url), with_profile(tables, new_driver(tables))
    said = {**driver.signed, **TUS, "upload-length": "9", "content-type": BODY_TYPE}

    answer = client.send("POST", UPLOADS_PATH, said, b"the start")

    assert (answer.status, answer.header("location")) == (503, None), answer
    assert all(row["expires_at"] <= datetime.now(UTC) for row in tables.rows("uploads"))
    for _ in range(MOST_UNFINISHED):
        begin(client, driver, 9)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_what_is_longer_than_a_file_may_be_by_now_ends(
    place: Place, tables: Tables, start: Start, connect: Connect, method: str
) -> None:
    """The operator lowered the limit since it began."""
    driver = with_profile(tables, new_driver(tables))
    service = start(place.folder, place.settings)
    content = pdf(filler=2 * MEGABYTE)
    client = connect(service.url)
    upload = begin(client, driver, len(content))
    upload.append(client, 0, content[:-1])
    service.stop()
    if method == "HEAD":  # a server was killed when all of it had come
        tables.execute(update(tables["uploads"]).values(byte_size=len(content) - 1))
    service = start(place.folder, {**place.settings, "ROADWORTHY_MAX_FILE_MB": "2"})
    client = connect(service.url)

    if method == "HEAD":
        answer = upload.send(client, "HEAD")
    else:
        answer = upload.append(client, len(content) - 1, content[-1:])

    assert answer.status == 413, answer
    assert upload.send(client, "HEAD").status == 404
    assert tables.rows("uploads") + tables.rows("upload_parts") + tables.rows("blobs") == []


def test_what_is_not_finished_goes_after_a_day(
    place: Place,
    tables: Tables,
    storage_kind: str,
    start: Start,
    connect: Connect,
    request: pytest.FixtureRequest,
) -> None:
    settings, server = dict(place.settings), None
    if storage_kind == "s3":
        server = request.getfixturevalue("bucket_server")
        settings["ROADWORTHY_STORAGE_URL"] = server.url(place.folder.name)
    service = start(place.folder, settings)
    client, driver = connect(service.url), with_profile(tables, new_driver(tables))
    content = pdf(filler=1000)
    unfinished, finished, young = (begin(client, driver, len(content)) for _ in range(3))
    unfinished.append(client, 0, content[:-1])
    young.append(client, 0, content[:-1])
    signed_id = finished.append(client, 0, content).header("upload-signed-id")
    attach(client, driver, cv=signed_id)
    service.stop()
    uploads, jobs = tables["uploads"], tables["jobs"]
    old = update(uploads).where(uploads.c.name.in_([unfinished.name, finished.name]))
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    tables.execute(old.values(expires_at=long_ago))
    tables.execute(update(jobs).values(run_at=long_ago, leased_until=None))

    assert run("maintain", settings=settings).returncode == 0

    assert [row["name"] for row in tables.rows("uploads")] == [young.name]
    (part,) = tables.rows("upload_parts")
    (blob,) = tables.rows("blobs")
    filing = Filing(_Running(place), server)  # type: ignore[arg-type]
    assert filing.keys() == {part["key"], blob["key"]}


class _Running:
    def __init__(self, place: Place):
        self.place = place


def _row(tables: Tables, upload: Resumable) -> dict[str, Any]:
    (row,) = (row for row in tables.rows("uploads") if row["name"] == upload.name)
    return row


def _uploads(filing: Filing, driver: Driver) -> list[dict[str, Any]]:
    return filing.tables.rows("uploads", user_id=driver.id)


def _creating(url: str, driver: Driver, length: int, more: str) -> socket.socket:
    """A connection on which the whole of an upload that begins is about to come."""
    head = f"POST {UPLOADS_PATH} HTTP/1.1\r\nupload-length: {length}\r\n"
    return _opened(url, driver, f"{head}{more}content-length: {length}\r\n")


def _sending(
    url: str, upload: Resumable, offset: int, length: int, more: str = ""
) -> socket.socket:
    """A connection on which a body of all that is missing is about to come."""
    head = f"PATCH {upload.path} HTTP/1.1\r\nupload-offset: {offset}\r\n"
    return _opened(url, upload.driver, f"{head}{more}content-length: {length - offset}\r\n")


def _opened(url: str, driver: Driver, head: str) -> socket.socket:
    """A connection with a head of tus; `head` is what is special in it."""
    address = urlsplit(url)
    common = (
        f"host: a\r\nauthorization: {driver.signed['authorization']}\r\n"
        f"tus-resumable: {TUS['tus-resumable']}\r\ncontent-type: {BODY_TYPE}\r\n\r\n"
    )
    connection = socket.create_connection((address.hostname, address.port))
    connection.sendall((head + common).encode())
    return connection


def _send_and_hang_up(
    url: str, upload: Resumable, offset: int, content: bytes, length: int, more: str = ""
) -> None:
    with contextlib.closing(_sending(url, upload, offset, length, more)) as connection:
        connection.sendall(content)
