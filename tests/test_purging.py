"""What nobody holds goes, and nothing that somebody holds: whatever happens in between."""

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import pytest
from sqlalchemy import update

from roadworthy.storage import new_key
from tests.conftest import SOAK, Filing, Place
from tests.support.blobs import attach, followed, pdf, upload, upload_blob
from tests.support.client import Client
from tests.support.drivers import PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.resumable import begin
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables

KILLS = 20 if SOAK else 3
CLIENTS = 4

Start = Callable[..., Service]
Connect = Callable[[str], Client]


@pytest.fixture
def settings(filing_settings: dict[str, str]) -> dict[str, str]:
    return filing_settings


@pytest.fixture
def filed(own_filing: Filing) -> Filing:
    return own_filing


@pytest.fixture
def client(filed: Filing, connect: Connect) -> Client:
    return connect(filed.running.url)


@pytest.fixture
def driver(filed: Filing) -> Driver:
    return with_profile(filed.tables, new_driver(filed.tables))


def _path_of(files: Path, key: str) -> Path:
    return files / key[:2] / key[2:4] / key


def _keys_held(tables: Tables) -> set[str]:
    """Of the files that a place or a submission holds."""
    rows = tables.rows("attachments") + tables.rows("submissions")
    held = {row["blob_id"] for row in rows}
    return {row["key"] for row in tables.rows("blobs") if row["id"] in held}


def _age(tables: Tables, folder: Path) -> None:
    """Two days pass for every blob that waits and every file in the folder, and jobs are due."""
    blobs, jobs = tables["blobs"], tables["jobs"]
    long_ago = datetime.now(UTC) - timedelta(days=2)
    waits = update(blobs).where(blobs.c.unattached_since.is_not(None))
    tables.execute(waits.values(unattached_since=long_ago, created_at=long_ago))
    tables.execute(update(tables["uploads"]).values(expires_at=long_ago))
    tables.execute(update(jobs).values(run_at=long_ago, leased_until=None))
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            os.utime(path, (long_ago.timestamp(), long_ago.timestamp()))


def _maintain(filed: Filing, settings: dict[str, str]) -> None:
    filed.running.process.stop()
    _age(filed.tables, filed.running.place.folder / "files")
    done = run("maintain", settings=settings)
    assert (done.returncode, done.stdout) == (0, "Did 1 job.\n"), done


def test_a_file_that_nobody_attached_goes_after_a_day(
    filed: Filing, client: Client, driver: Driver, settings: dict[str, str]
) -> None:
    held = [upload_blob(client, driver) for _ in range(4)]
    attach(client, driver, cv=held[0].signed_id, documents=[held[1].signed_id])
    attach(client, driver, dbs=held[2].signed_id)
    attach(client, driver, dbs=None, driving_license=[held[3].signed_id])
    waiting, replaced = upload_blob(client, driver), upload_blob(client, driver)
    attach(client, driver, tacho=replaced.signed_id)
    attach(client, driver, tacho=waiting.signed_id)
    forgotten = upload_blob(client, driver)
    taken_out = upload_blob(client, driver)
    attach(client, driver, documents=[held[1].signed_id, taken_out.signed_id])
    attach(client, driver, documents=[held[1].signed_id])

    _maintain(filed, settings)

    left = {row["id"] for row in filed.tables.rows("blobs")}
    assert left == {blob.id for blob in (*held, waiting, replaced)}
    assert {forgotten.id, taken_out.id} & left == set()
    assert filed.keys() == _keys_held(filed.tables)
    (kept,) = filed.tables.rows("blobs", id=held[2].id)
    assert (kept["unattached_since"], kept["purged_at"]) == (None, None)


def test_a_blob_of_a_release_that_kept_no_bytes_goes_too(
    filed: Filing, client: Client, driver: Driver, settings: dict[str, str]
) -> None:
    now = datetime.now(UTC)
    old = {"filename": "cv.pdf", "content_type": "application/pdf", "checksum": "c"}
    blob_id = filed.tables.add("blobs", key="k", byte_size=1234, created_at=now, **old)
    place = {"profile_id": driver.profile_id, "slot": "cv", "position": 0}
    filed.tables.add("attachments", blob_id=blob_id, created_at=now, **place)
    shown = driver.send(client, "GET").json["profile"]["cv"]
    assert (shown["filename"], shown["byte_size"]) == ("cv.pdf", 1234)
    assert (shown["signed_id"], shown["url"]) == (None, None)
    attach(client, driver, cv=None)

    _maintain(filed, settings)

    assert filed.tables.rows("blobs") == []


def test_what_waits_less_than_a_day_stays(
    filed: Filing, client: Client, driver: Driver, settings: dict[str, str]
) -> None:
    blob = upload_blob(client, driver)
    jobs = update(filed.tables["jobs"])
    filed.running.process.stop()
    long_ago = datetime.now(UTC) - timedelta(days=1)
    filed.tables.execute(jobs.values(run_at=long_ago, leased_until=None))
    assert run("maintain", settings=settings).stdout == "Did 1 job.\n"
    (kept,) = filed.tables.rows("blobs", id=blob.id)
    assert kept["purged_at"] is None
    assert len(filed.keys()) == 1


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_bytes_that_no_blob_names_are_swept(
    filed: Filing, client: Client, driver: Driver, settings: dict[str, str]
) -> None:
    attach(client, driver, cv=upload(client, driver))
    files = filed.running.place.folder / "files"
    stray = _path_of(files, new_key())
    foreign, half = stray.with_name("notes.txt"), files / "incoming" / "0123"
    stray.parent.mkdir(parents=True, exist_ok=True)
    for path in (stray, foreign, half):
        path.write_bytes(b"left behind")

    _maintain(filed, settings)

    assert (stray.exists(), foreign.exists(), half.exists()) == (False, True, False)
    assert filed.keys() - {"notes.txt"} == _keys_held(filed.tables)


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_with_an_empty_database_nothing_is_swept(filed: Filing, settings: dict[str, str]) -> None:
    """It is more likely that somebody named the wrong one."""
    stray = _path_of(filed.running.place.folder / "files", new_key())
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"somebody's evidence")

    _maintain(filed, settings)

    assert stray.exists()


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_killed_in_the_middle_nothing_is_half_there(
    place: Place,
    settings: dict[str, str],
    start: Start,
    new_filing: Callable[[Service], Filing],
) -> None:
    """No place without its bytes, and after `maintain` no bytes that nothing holds.

    However they were sent: announced and put, resumed, or in a form.
    """
    tables = open_tables(place.url)
    drivers: list[Driver] = []
    answered = 0
    for _ in range(KILLS):
        fresh = [with_profile(tables, new_driver(tables)) for _ in range(CLIENTS)]
        drivers += fresh  # who hands in a lot has to wait for the next day
        service = start(place.folder, settings)
        busy = [_Busy(service.url, driver) for driver in fresh]
        for each in busy:
            each.start()
        until = time.monotonic() + 20
        while not any(each.attached for each in busy) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(secrets.randbelow(1000) / 1000)
        service.kill()
        for each in busy:
            each.join()
        answered += sum(each.attached for each in busy)
    assert answered > 0, "nothing was attached"
    assert tables.rows("uploads"), "nothing was resumed"

    service = start(place.folder, settings)
    client = Client(service.url)
    attached = 0
    for driver in drivers:
        profile = driver.send(client, "GET").json["profile"]
        for shown in (profile["cv"], profile["dbs"], *profile["documents"]):
            if shown["id"] is not None:
                answer = followed(shown["url"])
                assert (answer.status, len(answer.body)) == (200, shown["byte_size"])
                attached += 1
    client.close()
    assert attached > 0
    service.stop()

    filed = new_filing(service)
    _age(tables, place.folder / "files")
    assert run("maintain", settings=settings).returncode == 0
    assert filed.keys() == _keys_held(tables)
    assert tables.rows("upload_parts") == []
    assert list((place.folder / "files" / "incoming").iterdir()) == []
    tables.close()


class _Busy(threading.Thread):
    """Hands in files until the service is gone."""

    def __init__(self, url: str, driver: Driver):
        super().__init__()
        self._url, self._driver = url, driver
        self.attached = 0

    def run(self) -> None:
        client = Client(self._url)
        ways = itertools.cycle([self._put, self._resume, self._send_in_a_form])
        with suppress(OSError, HTTPException):
            while True:
                next(ways)(client, pdf(filler=300_000))
                self.attached += 1
        client.close()

    def _put(self, client: Client, content: bytes) -> None:
        self._attach(client, upload(client, self._driver, content))

    def _resume(self, client: Client, content: bytes) -> None:
        begun, half = begin(client, self._driver, len(content)), len(content) // 2
        assert begun.append(client, 0, content[:half]).status == 204
        answer = begun.append(client, half, content[half:])
        self._attach(client, answer.header("upload-signed-id") or "")

    def _attach(self, client: Client, signed_id: str) -> None:
        slot = secrets.choice(["cv", "dbs", "documents"])
        attach(client, self._driver, **{slot: [signed_id] if slot == "documents" else signed_id})

    def _send_in_a_form(self, client: Client, content: bytes) -> None:
        body = multipart([Part("profile[cv]", content, "cv.pdf", "application/pdf")])
        form = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = client.send("PATCH", PROFILE_PATH, {**self._driver.signed, **form}, body)
        assert answer.status == 200, answer
