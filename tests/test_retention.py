"""Everything of an account goes, when it has been closed for long enough, and nothing before."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from roadworthy.database import metadata
from roadworthy.storage import new_key
from tests.conftest import Filing, Place, Running
from tests.support.blobs import attach, pdf, upload, upload_blob
from tests.support.buckets import BUCKET, Server
from tests.support.client import Client
from tests.support.drivers import Driver, add_session, new_driver, with_profile
from tests.support.resumable import begin
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables

NOW = datetime.now(UTC)
DAYS = 180
STAY = {"file_views", "tombstones"}
"""Numbers and times: who saw what, and that the account is closed."""

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


def _full_driver(tables: Tables, client: Client) -> Driver:
    """Of whom we hold something of each kind."""
    driver = with_profile(tables, new_driver(tables, phone_number="07856 207372"))
    add_session(tables, driver, f"jti-{driver.id}", address="192.0.2.1", user_agent="Phone")
    tables.execute(
        tables["known_addresses"].insert().values(user_id=driver.id, place=b"1" * 16, seen_at=NOW)
    )
    attach(
        client,
        driver,
        cv=upload(client, driver),
        dbs=upload(client, driver),
        documents=[upload(client, driver)],
    )
    attach(client, driver, dbs=upload(client, driver))
    waiting = upload_blob(client, driver)
    tables.add(
        "data_exports",
        user_id=driver.id,
        requested_at=NOW,
        blob_id=waiting.id,
        expires_at=NOW + timedelta(days=400),
    )
    assert driver.send(client, "PATCH", {"first_name": "Vera"}).status == 200
    tables.add(
        "licenses",
        profile_id=driver.profile_id,
        category="D",
        number="LUETT053200V99AB",
        penalty_points=0,
    )
    tables.add(
        "file_views",
        user_id=driver.id,
        blob_id=1,
        viewer_kind="driver",
        viewer_id=driver.id,
        manner="inline",
        viewed_at=NOW,
    )
    return driver


def _with_ownerless_file(tables: Tables, driver: Driver) -> int:
    """As an early release attached files: it said of none whose it is, and kept no bytes."""
    said = {"filename": "criminal record.pdf", "content_type": "application/pdf", "checksum": "c"}
    blob_id = tables.add("blobs", key="k", byte_size=12, created_at=NOW, **said)
    place = {"profile_id": driver.profile_id, "slot": "tacho", "position": 0}
    tables.add("attachments", blob_id=blob_id, created_at=NOW, **place)
    return blob_id


def _close(tables: Tables, client: Client, driver: Driver, ago: timedelta) -> None:
    assert client.send("DELETE", "/api/v1/users", driver.signed).status == 204
    users = tables["users"]
    closing = update(users).where(users.c.id == driver.id)
    tables.execute(closing.values(closed_at=datetime.now(UTC) - ago))


def _maintain(filed: Filing, settings: dict[str, str], last_run: datetime | None = None) -> None:
    """What is due hourly, which was last done an hour ago."""
    _make_due(filed, last_run)
    done = run("maintain", settings=settings)
    assert done.returncode == 0, done


def _make_due(filed: Filing, last_run: datetime | None = None) -> None:
    filed.running.process.stop()
    ran = last_run or datetime.now(UTC) - timedelta(hours=1)
    jobs = filed.tables["jobs"]
    filed.tables.execute(
        update(jobs)
        .where(jobs.c.kind == "purge")
        .values(
            payload=f'{{"last_run": "{ran.isoformat()}"}}',
            run_at=NOW - timedelta(hours=1),
            leased_until=None,
        )
    )


def _held(tables: Tables, driver: Driver) -> dict[str, int]:
    """How many rows of each table name the driver, or a profile of theirs."""
    held: dict[str, int] = {}
    for table in metadata.sorted_tables:
        given = {"user_id": driver.id, "profile_id": driver.profile_id}
        for name in given.keys() & table.c.keys():
            count = len(tables.rows(table.name, **{name: given[name]}))
            held[table.name] = max(held.get(table.name, 0), count)
    return {name: count for name, count in held.items() if count}


def test_everything_of_a_closed_account_goes(
    filed: Filing, client: Client, settings: dict[str, str]
) -> None:
    tables = filed.tables
    gone, recent, here = (_full_driver(tables, client) for _ in range(3))
    ownerless = _with_ownerless_file(tables, gone)
    kept = _held(tables, here)
    assert kept.keys() >= {"profiles", "profile_versions", "licenses", "sessions", "blobs"}
    _close(tables, client, gone, timedelta(days=DAYS, hours=2))
    _close(tables, client, recent, timedelta(days=DAYS - 1))
    after_closing = _held(tables, recent)

    _maintain(filed, settings)

    assert _held(tables, gone).keys() <= STAY
    assert _held(tables, recent) == after_closing
    assert _held(tables, here) == kept
    (user,) = tables.rows("users", id=gone.id)
    assert (user["email"], user["phone_number"]) == (f"closed-{gone.id}", None)
    assert tables.rows("blobs", id=ownerless) == []
    assert user["closed_at"] is not None
    assert filed.keys() == {row["key"] for row in tables.rows("blobs")}
    assert len(filed.keys()) == 2 * 5


def test_images_of_dbs_certificates_go_six_months_after_they_were_withdrawn(
    filed: Filing, client: Client, settings: dict[str, str]
) -> None:
    """What was handed in stays in the record; other evidence keeps its file."""
    tables = filed.tables
    driver = with_profile(tables, new_driver(tables))
    kinds = ("dbs", "enchanced_dbs", "medical_check")
    older = {kind: upload_blob(client, driver) for kind in kinds}
    recent = upload_blob(client, driver)
    attach(client, driver, cpc=older["dbs"].signed_id)
    attach(client, driver, cpc=None)
    attach(client, driver, **{kind: blob.signed_id for kind, blob in older.items()})
    attach(client, driver, dbs=recent.signed_id, enchanced_dbs=None, medical_check=None)
    attach(client, driver, dbs=upload(client, driver))
    submissions = tables["submissions"]
    for blobs, days in ((older.values(), 181), ([recent], 179)):
        withdrawn = update(submissions).where(
            submissions.c.blob_id.in_(blob.id for blob in blobs),
            submissions.c.withdrawn_at.is_not(None),
        )
        tables.execute(withdrawn.values(withdrawn_at=NOW - timedelta(days=days)))
    before = tables.rows("submissions", user_id=driver.id)
    gone = [older["dbs"].id, older["enchanced_dbs"].id]
    listed = run("maintain", "--dry-run", settings=settings).stdout.splitlines()
    assert [line.partition(":")[0] for line in listed[:2]] == [f"file {id_}" for id_ in gone]

    _maintain(filed, settings)

    rows = {row["id"]: row for row in tables.rows("blobs", user_id=driver.id)}
    assert [rows[id_]["uploaded_at"] for id_ in gone] == [None, None]
    stay = {row["key"] for id_, row in rows.items() if id_ not in gone}
    assert filed.keys() == stay
    assert len(stay) == 3
    assert tables.rows("submissions", user_id=driver.id) == before


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_by_a_clock_that_was_ahead_nothing_goes(
    filed: Filing, client: Client, settings: dict[str, str]
) -> None:
    """What goes was out of date at the last run as well; here all is since two hours ago."""
    tables = filed.tables
    driver = _full_driver(tables, client)
    _close(tables, client, driver, timedelta(days=DAYS, hours=2))
    here = with_profile(tables, new_driver(tables))
    upload_blob(client, here)
    begin(client, here, 1000).append(client, 0, b"begun")
    blobs, uploads = tables["blobs"], tables["uploads"]
    waits = update(blobs).where(blobs.c.unattached_since.is_not(None))
    tables.execute(waits.values(unattached_since=NOW - timedelta(hours=26)))
    tables.execute(update(uploads).values(expires_at=NOW - timedelta(hours=2)))
    stray = _stray(filed, timedelta(hours=26))
    arriving = filed.running.place.folder / "files" / "incoming" / "0123"
    _leave(arriving, timedelta(hours=26))
    _make_due(filed, last_run=NOW - timedelta(hours=3))
    before = _everything(tables)

    listed = run("maintain", "--dry-run", settings=settings)
    assert (listed.returncode, listed.stdout) == (0, "Nothing would be removed.\n"), listed
    assert run("maintain", settings=settings).returncode == 0
    assert _everything(tables) == before
    assert filed.keys() >= {stray}
    assert arriving.exists()


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
@pytest.mark.parametrize("stuck", ["a file", "a part of an upload"])
def test_what_cannot_be_removed_holds_up_nothing_else(
    filed: Filing, client: Client, settings: dict[str, str], stuck: str
) -> None:
    """The operator is told, and it goes once it can."""
    tables = filed.tables
    here = with_profile(tables, new_driver(tables))
    long_ago = NOW - timedelta(days=3)
    blobs, uploads = tables["blobs"], tables["uploads"]
    for _ in range(2):
        upload_blob(client, here)
        begin(client, here, 1000).append(client, 0, b"begun")
    tables.execute(update(blobs).values(unattached_since=long_ago))
    tables.execute(update(uploads).values(expires_at=long_ago))
    gone = _full_driver(tables, client)
    _close(tables, client, gone, timedelta(days=DAYS, hours=2))
    held_up = tables.rows("blobs" if stuck == "a file" else "upload_parts")[0]
    path = _path_of(filed, held_up["key"])
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    _make_due(filed)

    told = run("maintain", settings=settings)

    assert (told.returncode, told.stdout) == (1, "Did 0 jobs.\n"), told
    refusal = "roadworthy: 1 job failed: see `roadworthy jobs list`"
    assert refusal in told.stderr.splitlines(), told
    (job,) = tables.rows("jobs", kind="purge")
    assert job["last_error"] == "Incomplete: what storage could not remove: 1"
    assert json.loads(job["payload"])["last_run"] > NOW.isoformat()
    assert job["run_at"] > NOW + timedelta(minutes=50)
    assert _held(tables, gone).keys() <= STAY
    left = [*tables.rows("blobs"), *tables.rows("upload_parts")]
    assert [row["key"] for row in left] == [held_up["key"]]

    (path / "in the way").unlink()
    path.rmdir()
    path.write_bytes(b"as it was")
    _maintain(filed, settings)
    assert tables.rows("blobs") + tables.rows("uploads") == []
    assert filed.keys() == set()


def test_the_operator_says_how_long(
    filed: Filing, client: Client, settings: dict[str, str]
) -> None:
    driver = _full_driver(filed.tables, client)
    _close(filed.tables, client, driver, timedelta(days=3))
    _maintain(filed, {**settings, "ROADWORTHY_CLOSED_ACCOUNT_DAYS": "2"})
    assert _held(filed.tables, driver).keys() <= STAY


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_a_dry_run_says_what_would_go_and_changes_nothing(
    filed: Filing, client: Client, settings: dict[str, str]
) -> None:
    tables = filed.tables
    nothing = run("maintain", "--dry-run", settings=settings)
    assert (nothing.returncode, nothing.stdout) == (0, "Nothing would be removed.\n")

    gone = _full_driver(tables, client)
    _close(tables, client, gone, timedelta(days=DAYS, hours=2))
    here = with_profile(tables, new_driver(tables))
    old, _ = upload_blob(client, here), upload_blob(client, here)
    blobs = tables["blobs"]
    waits = update(blobs).where(blobs.c.id == old.id)
    tables.execute(waits.values(unattached_since=NOW - timedelta(days=2)))
    for content, whole in ((b"begun", 1000), (pdf(), len(pdf()))):
        assert begin(client, here, whole).append(client, 0, content).status == 204
    uploads = tables["uploads"]
    tables.execute(update(uploads).values(expires_at=NOW - timedelta(hours=2)))
    unfinished = tables.rows("uploads")[0]["id"]
    stray = _stray(filed, timedelta(days=2))
    _leave(filed.running.place.folder / "files" / "incoming" / "0123", timedelta(days=2))
    before = _everything(tables)

    shown = run("maintain", "--dry-run", settings=settings)

    assert shown.returncode == 0, shown
    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"everything of account {gone.id}, with 5 files of ")
    assert ": closed on " in lines[0]
    upload_line = f"upload {unfinished} of driver {here.id}, 5 bytes: it was to be finished by "
    assert lines[1].startswith(upload_line)
    assert lines[2].startswith(f"file {old.id} of driver {here.id}, {len(old.content)} bytes: ")
    assert lines[3].startswith("a part 0123 of a file: it has not arrived whole since ")
    assert lines[4].startswith(f"bytes {stray}, 4 bytes: no file has them, stored on ")
    assert lines[5:] == ["5 would be removed."]
    assert _everything(tables) == before
    assert filed.keys() >= {stray}


def _stray(filed: Filing, age: timedelta) -> str:
    key = new_key()
    _leave(_path_of(filed, key), age)
    return key


def _leave(path: Path, age: timedelta) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    then = (NOW - age).timestamp()
    os.utime(path, (then, then))


def _path_of(filed: Filing, key: str) -> Path:
    return filed.running.place.folder / "files" / key[:2] / key[2:4] / key


def _everything(tables: Tables) -> dict[str, Any]:
    return {
        table.name: tables.rows(table.name)
        for table in metadata.sorted_tables
        if table.name not in {"digest_kinds", "jobs"}  # what maintenance writes of itself
    }


@pytest.mark.parametrize("storage_kind", ["local"], indirect=True)
def test_mail_that_was_given_up_is_forgotten_too(filed: Filing, settings: dict[str, str]) -> None:
    long_ago = NOW - timedelta(days=DAYS + 1)
    dead = {
        days: filed.tables.add(
            "jobs",
            kind="mail",
            payload='{"email": "gone@example.com"}',
            run_at=long_ago,
            attempts=12,
            created_at=long_ago,
            died_at=NOW - timedelta(days=days),
        )
        for days in (DAYS - 1, DAYS + 1)
    }
    _maintain(filed, settings)
    assert filed.tables.rows("jobs", id=dead[DAYS + 1]) == []
    assert len(filed.tables.rows("jobs", id=dead[DAYS - 1])) == 1


def test_older_versions_go_too(
    kind: str,
    new_place: Callable[[str], Place],
    versions_server: Server,
    start: Start,
    connect: Connect,
) -> None:
    place = new_place(kind)
    settings = {
        **place.settings,
        "ROADWORTHY_STORAGE_URL": versions_server.url(place.folder.name),
    }
    service = start(place.folder, settings)
    tables, client = open_tables(place.url), connect(service.url)
    driver = _full_driver(tables, client)
    _close(tables, client, driver, timedelta(days=DAYS, hours=2))

    _maintain(Filing(Running(place, service, tables), versions_server), settings)

    found = versions_server.client.list_object_versions(Bucket=BUCKET, Prefix=place.folder.name)
    assert found.get("Versions", []) + found.get("DeleteMarkers", []) == []
    tables.close()
