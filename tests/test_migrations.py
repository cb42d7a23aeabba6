"""One set of migrations makes the same tables on both databases, and only ever forwards."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, table, text

from roadworthy.accounts.kind_queries import find_kinds
from roadworthy.database import metadata
from roadworthy.migrations import HEAD, current_version, migrate
from tests.conftest import Place
from tests.support.client import Client
from tests.support.drivers import FIELDS, Driver, shown
from tests.support.drivers import PASSWORD as SIGN_IN_PASSWORD
from tests.support.mail import wait_until_sent
from tests.support.postgres import PASSWORD
from tests.support.schema import upgrade
from tests.support.service import Service, run
from tests.support.tables import Row, Tables, open_tables
from tests.support.tokens import claims, forge

NewDatabase = Callable[[str], Place]


@pytest.fixture
def empty(kind: str, new_database: NewDatabase) -> Place:
    """A database with nothing in it."""
    return new_database(kind)


def test_from_empty_to_the_newest_and_no_further(empty: Place) -> None:
    assert current_version(empty.url) is None
    assert migrate(empty.url) == (None, HEAD)
    assert current_version(empty.url) == HEAD
    assert migrate(empty.url) == (HEAD, HEAD)


def test_the_migrated_tables_are_those_of_the_code(place: Place) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    tables = open_tables(place.url)
    try:
        assert tables.inspect(differences) == []
    finally:
        tables.close()


def test_migrate_says_what_it_did(empty: Place) -> None:
    first = run("migrate", settings=empty.settings)
    again = run("migrate", settings=empty.settings)

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"The database went from empty to version {HEAD}.\n"
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"The database is at version {HEAD}, as it was.\n"


def test_two_who_migrate_at_once_both_succeed(empty: Place) -> None:
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: run("migrate", settings=empty.settings), range(2)))

    assert [each.returncode for each in both] == [0, 0], [each.stderr for each in both]
    assert sorted(each.stdout for each in both) == [
        f"The database is at version {HEAD}, as it was.\n",
        f"The database went from empty to version {HEAD}.\n",
    ]
    assert current_version(empty.url) == HEAD


DRIVER_ID = 1859
PROFILE_ID = 707
REVOKED = "7d2c6f9e-0c2b-4f0e-8d2e-6a1f6f5b9c11"

FIRST_RELEASE = (Path(__file__).parent / "data" / "release-0001.sql").read_text()
"""Rows as release 0001 left them, written as it wrote them: later releases may not change these."""

FILLED = tuple(re.findall(r"INSERT INTO (\w+)", FIRST_RELEASE))

_SHOWN_AFTER = {
    "activities": [
        {
            "id": 5,
            "description": None,
            "ended_on": None,
            "kind": "training",
            "started_on": "2019-01-01",
        }
    ],
    "bio": "Coaches 🚌",
    "cv": {"id": 12, "signed_id": None, "byte_size": 1234, "filename": "cv.pdf", "url": None},
    "english_level": "fluent",
    "experiences": [
        {
            "id": 6,
            "company": "Coaches Ltd",
            "description": None,
            "ended_on": "2019-01-01",
            "job_title": "Driver",
            "started_on": "2018-01-01",
            "vehicle_types": ["coach"],
        }
    ],
    "first_name": "Zoë",
    "interviews": [
        {
            "id": 8,
            "interviewer": "Ann",
            "location": None,
            "outcome": None,
            "scheduled_at": "2025-07-01T09:30:15.000Z",
            "status": "planned",
        }
    ],
    "last_name": "Łuettgen",
    "licenses": [
        {
            "id": 9,
            "category": "D",
            "expires_on": None,
            "issued_on": None,
            "number": "LUETT000",
            "penalty_points": 3,
        }
    ],
    "phone_number": "07856 207372",
    "postcode": "AB1",
    "reviews": [
        {
            "id": 10,
            "body": "Good.",
            "created_at": "2025-06-01T09:30:15.123Z",
            "rating": 5,
            "reviewer": "Ann",
        }
    ],
}


@pytest.fixture
def first_release(empty: Place) -> Iterator[tuple[Place, Tables]]:
    """A database that release 0001 made and served from."""
    tables = open_tables(empty.url)
    tables.inspect(lambda connection: upgrade(connection, "0001"))
    tables.inspect(_fill)
    yield empty, tables
    tables.close()


def _fill(connection: Connection) -> None:
    for statement in FIRST_RELEASE.split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def _all_rows(tables: Tables) -> dict[str, list[Row]]:
    """Column for column as the driver gives them, of the tables that release 0001 had."""
    everything = {name: select(text("*")).select_from(table(name)) for name in FILLED}
    return {name: tables.execute(rows.order_by(text("1"))) for name, rows in everything.items()}


def test_what_the_first_release_kept_is_kept_and_served(
    first_release: tuple[Place, Tables],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
) -> None:
    place, tables = first_release
    assert current_version(place.url) == "0001"
    before = _all_rows(tables)
    migrated = run("migrate", settings=place.settings)
    assert migrated.stdout == f"The database went from 0001 to version {HEAD}.\n", migrated

    after = _all_rows(tables)
    for name, rows in before.items():
        assert len(rows) == FILLED.count(name), f"{name} was not filled"
        kept = [{key: row[key] for key in rows[0]} for row in after[name]]
        assert kept == rows, f"{name} changed"

    client = connect(start(place.folder, place.settings).url)
    token = forge(claims(DRIVER_ID))
    driver = Driver(DRIVER_ID, ".+driver@example.com", token, PROFILE_ID)
    answer = driver.send(client, "GET")
    assert (answer.status, answer.json) == (200, shown(PROFILE_ID, driver.email, **_SHOWN_AFTER))
    revoked = Driver(DRIVER_ID, driver.email, forge(claims(DRIVER_ID, jti=REVOKED)))
    assert revoked.send(client, "GET").json == {"error": "revoked token"}
    _require_in_use(client, driver)


def _require_in_use(client: Client, driver: Driver) -> None:
    """Who was there signs in and changes what is theirs; who is new gets a new id."""
    changed = driver.send(client, "PATCH", {"postcode": "AB2"})
    assert (changed.status, changed.json["profile"]["postcode"]) == (200, "AB2")
    user = json.dumps({"user": {"email": driver.email, "password": SIGN_IN_PASSWORD}})
    headers = {"content-type": "application/json"}
    signed_in = client.send("POST", "/api/v1/users/sign_in", headers, user)
    assert (signed_in.status, signed_in.json["id"]) == (201, DRIVER_ID), signed_in
    assert signed_in.json["created_at"] == "2025-06-01T09:30:15.123Z"


@pytest.mark.parametrize("command", ["migrate", "serve --port 0", "maintain", "jobs list"])
def test_a_newer_database_is_refused_and_left_alone(place: Place, command: str) -> None:
    tables = open_tables(place.url)
    tables.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    tables.close()

    refused = run(*command.split(), settings=place.settings)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        f"roadworthy: the database is at version 9999, newer than this release knows ({HEAD}): "
        "install the release that made it\n"
    )
    assert current_version(place.url) == "9999"


def test_serve_migrates_an_empty_embedded_database(
    start: Callable[..., Service], connect: Callable[[str], Client], tmp_path: Path
) -> None:
    service = start(tmp_path, {"ROADWORTHY_DATA_DIR": str(tmp_path / "not" / "there" / "yet")})

    assert connect(service.url).send("GET", "/up").status == 200
    folder = tmp_path / "not" / "there" / "yet"
    assert current_version(f"sqlite:///{folder}/roadworthy.db") == HEAD
    assert folder.stat().st_mode & 0o777 == 0o700, "others can look into the data folder"


def test_serve_migrates_an_older_embedded_database(
    kind: str,
    first_release: tuple[Place, Tables],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
) -> None:
    """PostgreSQL may have another owner, and other servers: there somebody says when."""
    place, _ = first_release
    if kind == "postgresql":
        refused = run("serve", "--port", "0", settings=place.settings)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == (
            f"roadworthy: the database is at version 0001, this release needs {HEAD}: "
            "run `roadworthy migrate`\n"
        )
        assert current_version(place.url) == "0001"
    else:
        service = start(place.folder, place.settings)
        assert connect(service.url).send("GET", "/up").status == 200
        assert current_version(place.url) == HEAD


def test_serve_leaves_an_empty_postgresql_to_migrate(new_database: NewDatabase) -> None:
    place = new_database("postgresql")
    refused = run("serve", "--port", "0", settings=place.settings)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        f"roadworthy: the database is empty, this release needs {HEAD}: run `roadworthy migrate`\n"
    )
    assert current_version(place.url) is None


def test_who_serves_need_not_own_the_tables(
    new_database: NewDatabase,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    tmp_path: Path,
) -> None:
    """`migrate` connects as the owner and lets the serving user read and write, no more."""
    place = new_database("postgresql")
    owner = open_tables(place.url)
    owner.execute(text(f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'"))
    serving = place.url.replace("roadworthy:", "clerk:")
    settings = {
        **place.settings,
        "ROADWORTHY_DATABASE_URL": serving,
        "ROADWORTHY_MIGRATION_DATABASE_URL": place.url,
    }
    migrated = run("migrate", settings=settings)
    assert migrated.returncode == 0, migrated.stderr

    client = connect(start(tmp_path, settings).url)
    driver = _signed_up(client)
    assert driver.send(client, "POST", FIELDS, {"idempotency-key": "one"}).status == 200
    assert driver.send(client, "PATCH", {"bio": "Coaches."}).status == 200
    assert driver.send(client, "DELETE").status == 204
    assert driver.send(client, "GET").status == 404
    signed_out = client.send("DELETE", "/api/v1/users/sign_out", driver.signed)
    assert signed_out.status == 204, signed_out
    assert client.send("GET", "/metrics").status == 200
    assert run("maintain", settings=settings).returncode == 0
    wait_until_sent(owner)
    assert owner.count(["users", "profile_versions", "idempotency_keys", "jobs"]) == {
        "users": 1,
        "profile_versions": 2,
        "idempotency_keys": 1,
        "jobs": 1,
    }
    owner.close()
    _require_no_more_rights(serving)


def _signed_up(client: Client) -> Driver:
    user = json.dumps({"user": {"email": "clerk@example.com", "password": "correct horse"}})
    headers = {"content-type": "application/json"}
    for path in ("/api/v1/users", "/api/v1/users/sign_in"):
        answer = client.send("POST", path, headers, user)
        assert answer.status == 201, answer
    token = (answer.header("authorization") or "").removeprefix("Bearer ")
    return Driver(answer.json["id"], answer.json["email"], token)


def _require_no_more_rights(url: str) -> None:
    clerk: Tables = open_tables(url)
    try:
        for statement in ("DROP TABLE profiles", "CREATE TABLE mine (id int)"):
            with pytest.raises(Exception, match=r"must be owner|permission denied"):
                clerk.execute(text(statement))
    finally:
        clerk.close()


def test_sessions_of_an_older_release_are_proven(empty: Place) -> None:
    tables = open_tables(empty.url)
    tables.inspect(lambda connection: upgrade(connection, "0001"))
    tables.inspect(_fill)
    tables.inspect(lambda connection: upgrade(connection, "0010"))
    sessions, then = tables["sessions"], datetime(2026, 11, 1, tzinfo=UTC)
    row = {"jti": "old", "user_id": DRIVER_ID, "created_at": then, "expires_at": then}
    tables.execute(sessions.insert().values(row))

    migrated = run("migrate", settings=empty.settings)
    assert (migrated.returncode, migrated.stderr) == (0, ""), migrated
    (session,) = tables.rows("sessions", jti="old")
    assert session["is_proven"] is True
    tables.close()


def test_the_kinds_of_digest_of_an_older_release_are_in_use(empty: Place) -> None:
    tables = open_tables(empty.url)
    tables.inspect(lambda connection: upgrade(connection, "0012"))
    then = datetime(2026, 11, 1, tzinfo=UTC)
    long_argon2 = f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}"
    digests = [*(f"$2{letter}$11${'.' * 53}" for letter in "aby"), f"$2a$12${'.' * 53}"]
    too_dear = f"$argon2id$v=19$m=4194304,t=50,p=1${'A' * 22}${'A' * 43}"
    digests += [
        long_argon2,
        too_dear,
        f"$2a$31${'.' * 53}",
        "",
        "$2",
        "$argon2id$",
        f"$1${'.' * 70}",
    ]
    for number, digest in enumerate(digests):
        user = {"email": f"{number}@example.com", "password_digest": digest}
        tables.add("users", created_at=then, updated_at=then, **user)
    gone = {"email": "closed", "password_digest": f"$2a$13${'.' * 53}", "closed_at": then}
    tables.add("users", created_at=then, updated_at=then, **gone)

    migrated = run("migrate", settings=empty.settings)
    assert (migrated.returncode, migrated.stderr) == (0, ""), migrated
    kinds = tables.inspect(find_kinds)
    assert kinds == {"$2b$11", "$2b$12", "$argon2id$v=19$m=8,t=1,p=1"}
    tables.close()


def test_a_database_of_an_older_release_and_its_copies_are_the_same(
    first_release: tuple[Place, Tables], new_database: NewDatabase, kind: str
) -> None:
    """What is noted of one concerns the other; an empty one is like no other."""
    copies = [open_tables(new_database(kind).url) for _ in range(2)]
    for tables in copies:
        tables.inspect(lambda connection: upgrade(connection, "0001"))
        tables.inspect(_fill)
    other = open_tables(new_database(kind).url)
    every = [first_release[1], *copies, other]
    for tables in every:
        tables.inspect(lambda connection: upgrade(connection, "0012"))
    names = [row["name"] for tables in every for row in tables.rows("lineage")]
    for tables in every[1:]:
        tables.close()

    assert names[0] == names[1] == names[2] != names[3]
    assert len(names) == 4
