"""One set of migrations makes the same tables on both databases, and only ever forwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from roadworthy.database import metadata
from roadworthy.migrations import HEAD, current_version, migrate
from tests.conftest import Place
from tests.support.client import Client
from tests.support.drivers import FIELDS, new_driver
from tests.support.postgres import PASSWORD
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables

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
    assert current_version(empty.url) == HEAD


@pytest.mark.parametrize("command", ["migrate", "serve --port 0"])
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

    driver = new_driver(owner)
    client = connect(start(tmp_path, settings).url)
    assert driver.send(client, "POST", FIELDS).status == 200
    assert driver.send(client, "PATCH", {"bio": "Coaches."}).status == 200
    assert driver.send(client, "DELETE").status == 204
    assert driver.send(client, "GET").status == 404
    signed_out = client.send("DELETE", "/api/v1/users/sign_out", driver.signed)
    assert signed_out.status == 204, signed_out
    owner.close()
    _require_no_more_rights(serving)


def _require_no_more_rights(url: str) -> None:
    clerk: Tables = open_tables(url)
    try:
        for statement in ("DROP TABLE profiles", "CREATE TABLE mine (id int)"):
            with pytest.raises(Exception, match=r"must be owner|permission denied"):
                clerk.execute(text(statement))
    finally:
        clerk.close()
