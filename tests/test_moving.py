"""Moving in: a dump is taken over whole, while others are served, or every bad row is named."""

import contextlib
import csv
import io
import json
import os
import pty
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, text

from roadworthy.database.turn import Turn
from roadworthy.moving import PROFILES, TOKENS, USERS, Kind, Outcome, move_in
from roadworthy.moving.dump import Dump, NotADump
from roadworthy.moving.queries import Refused as RefusedRow
from roadworthy.moving.rows import expiry_value, moment_value
from roadworthy.profiles.queries import note_account_change
from roadworthy.tombstones import bury_account, bury_password
from roadworthy.wire.values import Refused
from tests.conftest import SOAK, Place
from tests.support.bystander import Bystander
from tests.support.client import Client
from tests.support.disk import Disk
from tests.support.drivers import Driver, new_driver, shown, with_profile
from tests.support.dump import (
    DIGEST,
    FIRST_PROFILE,
    FIRST_USER,
    PASSWORD,
    USER_COLUMNS,
    Dumped,
    Here,
    bad_profiles,
    bad_tokens,
    bad_users,
    dump_profiles,
    dump_tokens,
    dump_users,
)
from tests.support.postgres import PASSWORD as CLERKS_PASSWORD
from tests.support.service import COMMAND, Service, environment, run
from tests.support.tables import Tables, open_tables
from tests.support.tokens import claims, forge

USERS_MOVED = 100_000 if SOAK else 1_500
PROFILES_MOVED = USERS_MOVED - 100
TOKENS_REVOKED = 500
PATIENCE = 300
"""Seconds for one command, on a machine that does much else."""

DEVISE_SECRET = "what DEVISE_JWT_SECRET_KEY was at the service of before"
NOW = datetime.now(UTC).replace(microsecond=0)

HEADER = ",".join(USER_COLUMNS)


@pytest.fixture
def tables(place: Place) -> Iterator[Tables]:
    opened = open_tables(place.url)
    yield opened
    opened.close()


def test_an_evening(
    place: Place,
    tables: Tables,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    tmp_path: Path,
) -> None:
    settings = {**place.settings, "ROADWORTHY_SECRET_KEY": DEVISE_SECRET}
    service = start(place.folder, settings)
    client = connect(service.url)
    pilot = with_profile(tables, _signed_by_devise(new_driver(tables)))
    there = Here(pilot.id, pilot.email)
    jtis = [str(uuid.uuid4()) for _ in range(TOKENS_REVOKED)]
    ends = NOW + timedelta(days=20)
    path = tmp_path / "dump.csv"

    _require_refused(settings, tables, "users", dump_users(path, USERS_MOVED, bad_users(there)))
    with Bystander(service.url, pilot) as bystander:
        _require_taken(settings, "users", dump_users(path, USERS_MOVED), USERS_MOVED)
        _require_refused(
            settings, tables, "profiles", dump_profiles(path, PROFILES_MOVED, bad_profiles())
        )
        moved = dump_profiles(path, PROFILES_MOVED, line_end="\r\n")
        _require_taken(settings, "profiles", moved, PROFILES_MOVED)
        refused = dump_tokens(path, jtis, ends, bad_tokens())
        _require_refused(settings, tables, "tokens", refused)
        _require_taken(settings, "tokens", dump_tokens(path, jtis, ends), TOKENS_REVOKED)

    assert bystander.broken is None
    assert set(bystander.statuses) == {
        ("PATCH", 200),
        ("GET", 200),
        ("sign up", 201),
        ("another address", 204),
    }
    _require_users_as_given(tables)
    _require_signed_in(client, jtis)
    _require_ids_after(client, tables)


def _signed_by_devise(driver: Driver) -> Driver:
    token = forge(claims(driver.id), secret=DEVISE_SECRET)
    return Driver(driver.id, driver.email, token, driver.profile_id)


def _require_refused(settings: dict[str, str], tables: Tables, kind: str, dump: Dumped) -> None:
    """With a dry run and without: every bad row is named, and no other; nothing is taken."""
    before = _count_moved(tables, kind)
    bad, rows = len(dump.refused), len(dump.refused) + dump.good
    for options in (["--dry-run"], []):
        refused = run(kind, "import", str(dump.path), *options, settings=settings, seconds=PATIENCE)
        assert refused.stdout == dump.listed
        assert refused.stderr == (
            f"roadworthy: {bad} of {rows} rows are refused, for the reasons above: nothing was "
            "taken over\n"
        )
        assert refused.returncode == 1
        for personal in ("@", "$2", "07856", "Luettgen"):
            assert personal not in refused.stdout + refused.stderr
    assert _count_moved(tables, kind) == before == 0


def _count_moved(tables: Tables, kind: str) -> int:
    """Rows that came out of a dump."""
    if kind == "tokens":
        return tables.count(["revoked_tokens"])["revoked_tokens"]
    table = tables[kind]
    first = FIRST_USER if kind == "users" else FIRST_PROFILE
    moved = select(func.count().label("moved")).where(table.c.id >= first)
    return int(tables.execute(moved)[0]["moved"])


def _require_taken(settings: dict[str, str], kind: str, dump: Dumped, count: int) -> None:
    """A dry run takes nothing, the import everything, and another one has nothing to do."""
    name = kind.capitalize()
    for options, said in (
        (["--dry-run"], f"{name}: {count} would be taken over, 0 here already.\n"),
        ([], f"{name}: {count} taken over, 0 here already.\n"),
        ([], f"{name}: 0 taken over, {count} here already.\n"),
    ):
        taken = run(kind, "import", str(dump.path), *options, settings=settings, seconds=PATIENCE)
        assert (taken.returncode, taken.stdout, taken.stderr) == (0, said, "")


def _require_users_as_given(tables: Tables) -> None:
    assert _count_moved(tables, "users") >= USERS_MOVED  # and who signed up since
    user = tables.rows("users", id=FIRST_USER + 1)[0]
    assert bcrypt.checkpw(PASSWORD.encode(), user.pop("password_digest").encode())
    assert user == {
        "id": FIRST_USER + 1,
        "email": f"driver{FIRST_USER + 1}@example.com",
        "phone_number": "07856 207372",
        "created_at": datetime(2015, 1, 1, 0, 1, 0, 1, UTC),
        "updated_at": datetime(2015, 1, 1, 0, 1, 0, 1, UTC),
        "confirmed_at": datetime(2015, 1, 1, 1, 1, 0, 0, UTC),
        "password_changed_at": None,
        "signed_out_at": None,
        "closed_at": None,
    }
    nobody = tables.rows("users", id=FIRST_USER)[0]
    assert (nobody["password_digest"], nobody["phone_number"], nobody["confirmed_at"]) == (
        "",
        None,
        None,
    )


def _require_signed_in(client: Client, jtis: list[str]) -> None:
    """Tokens that were issued there work here, but for those that were revoked."""
    for number in (0, 1, 7, PROFILES_MOVED - 1):
        user_id = FIRST_USER + number
        driver = Driver(
            user_id, f"driver{user_id}@example.com", forge(claims(user_id), secret=DEVISE_SECRET)
        )
        answer = driver.send(client, "GET")
        assert answer.json == shown(FIRST_PROFILE + number, driver.email, **_told(number)), answer
    for jti in (jtis[0], jtis[1], jtis[2], jtis[-1]):
        token = forge(claims(FIRST_USER, jti=jti), secret=DEVISE_SECRET)
        refused = Driver(FIRST_USER, "", token).send(client, "GET")
        assert (refused.status, refused.json) == (401, {"error": "revoked token"})


def _told(number: int) -> dict[str, Any]:
    return {
        "bio": None if number % 7 else "Coaches,\nminibuses\r\n\nand “schools”.",
        "english_level": (None, "basic", "fluent")[number % 3],
        "first_name": "Virgie" if number % 5 else 'Zoë "Zo", Ł.',
        "last_name": f"Luettgen {number}",
        "phone_number": "07856 207372" if number % 3 else None,
    }


def _require_ids_after(client: Client, tables: Tables) -> None:
    """Who signs up and registers now gets ids that nobody had there."""
    user = json.dumps({"user": {"email": "new@example.com", "password": "correct horse"}})
    signed_up = client.send("POST", "/api/v1/users", {"content-type": "application/json"}, user)
    assert (signed_up.status, signed_up.json["id"] >= FIRST_USER + USERS_MOVED) == (201, True)
    new = with_profile(tables, new_driver(tables))
    assert new.profile_id is not None
    assert new.profile_id >= FIRST_PROFILE + PROFILES_MOVED


NOT_DUMPS = {
    b"": "it is empty: its first line must name the columns",
    b"\n\n": "it is empty: its first line must name the columns",
    b"id;email;encrypted_password;phone_number;created_at\n": (
        "its first line names no column id, email, encrypted_password, phone_number, created_at: "
        "it must be the header, in UTF-8, with commas between the names"
    ),
    b"id,phone_number,created_at\n1,2,3\n": (
        "its first line names no column email, encrypted_password: it must be the header, in "
        "UTF-8, with commas between the names"
    ),
    f"{HEADER}\n".encode("utf-16"): (
        "its first line names no column id, email, encrypted_password, phone_number, created_at, "
        "it must be the header, in UTF-8, with commas between the names"
    ).replace("created_at,", "created_at:"),
    f"{HEADER},id\n".encode(): "its first line names a column twice: id",
    f'{HEADER},"a\n'.encode(): "its first line cannot be read as CSV: unexpected end of data",
}


@pytest.fixture(scope="module")
def embedded(new_place: Callable[[str], Place]) -> Place:
    """A database for what is the same on both."""
    return new_place("sqlite")


@pytest.mark.parametrize("content", NOT_DUMPS)
def test_a_file_that_is_no_dump(embedded: Place, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dump.csv"
    path.write_bytes(content)

    refused = run("users", "import", str(path), settings=embedded.settings)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"roadworthy: {path} cannot be read: {NOT_DUMPS[content]}\n"


def test_a_file_that_is_not_there(embedded: Place) -> None:
    refused = run("users", "import", "nowhere.csv", settings=embedded.settings)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'nowhere.csv' does not exist" in refused.stderr


def test_a_database_that_is_not_migrated(
    new_database: Callable[[str], Place], tmp_path: Path
) -> None:
    path = dump_users(tmp_path / "dump.csv", 2).path
    refused = run("users", "import", str(path), settings=new_database("sqlite").settings)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("roadworthy: there is no database at ")


def test_columns_stand_in_any_order_and_others_are_ignored(
    place: Place, tables: Tables, tmp_path: Path
) -> None:
    """As from a spreadsheet: a byte order mark, CRLF, blank lines, no line end at the last."""
    path = tmp_path / "dump.csv"
    path.write_bytes(
        "\ufeffcreated_at,reset_password_token, email ,id,phone_number,\x1b[2J,"
        "encrypted_password,updated_at\r\n"
        f'2020-03-20 10:02:34.34 UTC,x," Zoë@Example.com ",7,,y,{DIGEST},"2020-03-21 00:00:00"\r\n'
        "\r\n"
        f"2020-03-20T10:02:34+01:00,x,b@example.com,8,0,y,{DIGEST},".encode()
    )

    taken = run("users", "import", str(path), settings=place.settings)

    assert taken.stdout == "Users: 2 taken over, 0 here already.\n"
    assert taken.stderr == (
        "roadworthy: columns that are ignored: reset_password_token, '\\x1b[2J'\n"
    )
    names = ("id", "email", "phone_number", "created_at", "updated_at", "confirmed_at")
    assert [tuple(row[name] for name in names) for row in tables.rows("users")] == [
        (
            7,
            "zoë@example.com",
            None,
            datetime(2020, 3, 20, 10, 2, 34, 340_000, UTC),
            datetime(2020, 3, 21, tzinfo=UTC),
            None,
        ),
        (
            8,
            "b@example.com",
            "0",
            datetime(2020, 3, 20, 9, 2, 34, tzinfo=UTC),
            datetime(2020, 3, 20, 9, 2, 34, tzinfo=UTC),
            None,
        ),
    ]


def test_a_dump_without_rows(embedded: Place, tmp_path: Path) -> None:
    path = tmp_path / "dump.csv"
    path.write_text(HEADER)

    taken = run("users", "import", str(path), settings=embedded.settings)

    assert (taken.returncode, taken.stderr) == (0, "")
    assert taken.stdout == "Users: 0 taken over, 0 here already.\n"


def test_a_dump_through_a_pipe_touches_no_disk(
    new_place: Callable[[str], Place], tmp_path: Path
) -> None:
    dump = dump_users(tmp_path / "dump.csv", 50)
    taken = subprocess.run(
        [*COMMAND, "users", "import", "/dev/stdin"],
        input=dump.path.read_bytes(),
        env=environment(new_place("sqlite").settings),
        capture_output=True,
        check=False,
    )

    assert (taken.returncode, taken.stderr) == (0, b"")
    assert taken.stdout == b"Users: 50 taken over, 0 here already.\n"


@dataclass
class Watched:
    """Remembers what it is told; `before_taking` happens before rows are taken over."""

    before_taking: Callable[[], None] = lambda: None
    refused: list[RefusedRow] = field(default_factory=list)

    def ignores(self, columns: list[str]) -> None:
        assert columns == []

    def has_read(self, done: int, total: int) -> None:
        assert 0 < done <= total

    def compares(self) -> None: ...

    def takes_over(self) -> None:
        self.before_taking()

    def refuses(self, refused: RefusedRow) -> None:
        self.refused.append(refused)


def _moved(place: Place, kind: Kind, dump: Dumped, watched: Watched | None = None) -> Outcome:
    watcher = watched or Watched()
    outcome = move_in(place.url, kind, dump.path, dry_run=False, now=NOW, watcher=watcher)
    assert len(watcher.refused) == outcome.refused
    return outcome


def _refused(place: Place, kind: Kind, dump: Dumped) -> list[str]:
    watched = Watched()
    outcome = _moved(place, kind, dump, watched)
    assert outcome.taken == 0
    return [f"{row.line}: {'; '.join(row.reasons)}" for row in watched.refused]


def test_who_was_here_since_is_not_put_back(place: Place, tables: Tables, tmp_path: Path) -> None:
    """Signing in hashes anew, a link confirms: both are no contradiction. A changed number is."""
    dump = dump_users(tmp_path / "dump.csv", 10)
    assert _moved(place, USERS, dump) == Outcome(10, 0, 0, 10)
    later = NOW + timedelta(days=1)
    users = tables["users"]
    tables.execute(
        users.update().values(password_digest="$argon2id$", confirmed_at=later, updated_at=later)
    )
    before = tables.rows("users")
    unconfirmed = f"{FIRST_USER + 4}"  # the dump says nothing of it
    dump.path.write_text(
        "\n".join(
            line
            for line in dump.path.read_text().splitlines()
            if line.startswith(("id,", unconfirmed))
        )
    )
    assert _moved(place, USERS, dump) == Outcome(0, 1, 0, 1)

    tables.execute(users.update().values(phone_number="07856 000000"))
    assert _refused(place, USERS, dump) == ["2: id is here already, and differs in phone_number"]
    assert [{**row, "phone_number": ""} for row in tables.rows("users")] == [
        {**row, "phone_number": ""} for row in before
    ]


def test_what_is_here_is_not_taken_twice(place: Place, tables: Tables, tmp_path: Path) -> None:
    _moved(place, USERS, dump_users(tmp_path / "users.csv", 5))
    dump = dump_profiles(tmp_path / "profiles.csv", 3)
    _moved(place, PROFILES, dump)
    fourth, fifth = FIRST_USER + 3, FIRST_USER + 4
    registered = tables.add("profiles", id=FIRST_PROFILE * 2, user_id=fourth, **_documented())
    tables.execute(tables["users"].update().filter_by(id=fifth).values(closed_at=NOW))
    tables.execute(tables["profiles"].update().filter_by(id=FIRST_PROFILE).values(bio="Mine."))
    gone = FIRST_PROFILE + 1
    tables.execute(tables["profiles"].delete().filter_by(id=gone))
    tables.add(
        "profile_versions",
        profile_id=gone,
        user_id=FIRST_USER + 1,
        recorded_at=NOW,
        superseded_at=NOW,
        **{key: value for key, value in _documented().items() if not key.endswith("_at")},
    )

    assert _refused(place, PROFILES, dump_profiles(tmp_path / "profiles.csv", 5)) == [
        "2: id is here already, and differs in bio",
        "6: id was a profile here, which was deleted",
        f"8: user_id has already been taken, by profile {registered}",
        "9: user_id is no account here",
    ]


def _documented() -> dict[str, Any]:
    return {
        "version": 1,
        "first_name": "Virgie",
        "last_name": "Luettgen",
        "postcode": "123",
        "birth_date": date(2000, 3, 20),
        "start_date": date(2020, 3, 20),
        "contact_phone_number": "07856 207372",
        "created_at": NOW,
        "updated_at": NOW,
    }


def test_who_signs_up_afterwards_gets_no_id_of_who_stayed_behind(
    place: Place, tables: Tables, tmp_path: Path
) -> None:
    """Their phones hold tokens with it; moving in what was forgotten changes nothing of that."""
    first, second = dump_users(tmp_path / "first.csv", 3), dump_users(tmp_path / "all.csv", 5)
    _moved(place, USERS, first)
    after_first = new_driver(tables).id
    _moved(place, USERS, second)
    after_second = new_driver(tables).id

    assert after_first > FIRST_USER + 1_000_000
    assert after_first < after_second < FIRST_USER + 1_000_100


def test_who_signs_up_at_the_last_moment_is_not_overrun(
    place: Place, tables: Tables, tmp_path: Path
) -> None:
    dump = dump_users(tmp_path / "dump.csv", 20)
    taken = f"driver{FIRST_USER + 1}@example.com"

    def sign_up() -> None:
        with ThreadPoolExecutor(1) as thread:  # where no event loop runs
            thread.submit(new_driver, tables, email=taken).result()

    watched = Watched(sign_up)
    outcome = _moved(place, USERS, dump, watched)

    (here,) = tables.rows("users")
    assert here["email"] == taken
    assert outcome == Outcome(0, 0, 1, 20)
    reason = f"email has already been taken, by account {here['id']}"
    assert watched.refused == [RefusedRow(3, (reason,))]


@pytest.mark.parametrize("how", ["another address", "a password by mail"])
def test_who_changes_the_account_meanwhile_and_the_take_over_wait_for_each_other_in_turn(
    place: Place, tables: Tables, tmp_path: Path, how: str
) -> None:
    """Each holds an account, for a moment, before the profile of it."""
    _moved(place, USERS, dump_users(tmp_path / "users.csv", 3))
    holds = threading.Event()
    users = tables["users"]
    theirs = users.c.id == FIRST_USER + 1
    changes = {
        "another address": {"email": "another@example.com"},
        "a password by mail": {"password_digest": "another"},
    }

    def change(connection: Connection) -> None:
        if how == "another address":
            connection.execute(users.update().where(theirs).values(changes[how]))
        else:
            connection.execute(select(users).where(theirs).with_for_update())
        holds.set()
        time.sleep(0.5)
        connection.execute(users.update().where(theirs).values(changes[how]))
        note_account_change(connection, FIRST_USER + 1)

    with ThreadPoolExecutor(1) as thread:

        def begin() -> None:
            changing.append(thread.submit(tables.inspect, change))
            assert holds.wait(30)

        changing: list[Future[None]] = []
        dump = dump_profiles(tmp_path / "profiles.csv", 3)
        assert _moved(place, PROFILES, dump, Watched(begin)) == Outcome(3, 0, 0, 3)
        changing[0].result()
    assert tables.rows("users", id=FIRST_USER + 1, **changes[how])


def test_what_ended_here_before_a_restore_does_not_move_in_again(
    place: Place, tables: Tables, tmp_path: Path
) -> None:
    closed, changed = FIRST_USER + 1, FIRST_USER + 2
    tables.inspect(lambda connection: bury_account(connection, closed, NOW))
    tables.inspect(lambda connection: bury_password(connection, changed, NOW))
    dump = dump_users(tmp_path / "dump.csv", 4)

    assert _refused(place, USERS, dump) == ["3: id was an account here, which was closed"]
    lines = dump.path.read_text().splitlines(keepends=True)
    dump.path.write_text("".join(line for line in lines if not line.startswith(str(closed))))
    assert _moved(place, USERS, dump) == Outcome(3, 0, 0, 3)
    assert _moved(place, USERS, dump) == Outcome(0, 3, 0, 3)
    kept = {row["id"]: row for row in tables.rows("users")}
    assert (kept[changed]["password_digest"], kept[changed]["password_changed_at"]) == ("", NOW)
    assert kept[changed + 1]["password_digest"].startswith("$2")


def test_tokens_that_moved_in_are_buried_once(place: Place, tables: Tables, tmp_path: Path) -> None:
    ends = NOW + timedelta(days=20)
    _moved(place, TOKENS, dump_tokens(tmp_path / "dump.csv", ["one", "two"], ends))
    _moved(place, TOKENS, dump_tokens(tmp_path / "dump.csv", ["one", "two", "three"], ends))

    buried = [(row["kind"], row["jti"], row["expires_at"]) for row in tables.rows("tombstones")]
    assert sorted(buried) == [("token", jti, ends) for jti in ("one", "three", "two")]


def test_a_full_disk_is_one_line_and_takes_nothing(disk: Disk, tmp_path: Path) -> None:
    dump = dump_users(tmp_path / "dump.csv", 100)
    settings = {**disk.settings, "ROADWORTHY_DATA_DIR": str(disk.folder)}
    with contextlib.closing(sqlite3.connect(disk.folder / "roadworthy.db")) as other:
        other.execute("SELECT * FROM users")  # as a service would: the log's files are there
        disk.fill()
        refused = run("users", "import", str(dump.path), settings=settings)
        disk.make_room()

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "roadworthy: cannot use the database: database or disk is full\n"
    assert _users_on(disk.folder) == 0


def test_a_power_cut_leaves_all_or_nothing(disk: Disk, tmp_path: Path) -> None:
    dump = dump_users(tmp_path / "dump.csv", 1_000)
    snapshot = disk.snapshot()
    settings = {**disk.settings, "ROADWORTHY_DATA_DIR": str(disk.folder)}
    assert run("users", "import", str(dump.path), settings=settings).returncode == 0

    chance = random.Random(4)  # noqa: S311 -- no secret
    for number in range(50 if SOAK else 10):
        moment = chance.randrange(disk.moment)
        left = disk.after_power_cut(snapshot, moment, chance if number % 2 else None)
        assert _users_on(left) in {0, 1_000}, f"cut at {moment} of {disk.moment}"
    assert _users_on(disk.after_power_cut(snapshot, disk.moment, None)) == 1_000


def _users_on(folder: Path) -> int:
    tables = open_tables(f"sqlite:///{folder}/roadworthy.db")
    try:
        return tables.count(["users"])["users"]
    finally:
        tables.close()


def test_the_take_over_waits_in_the_queue_of_writers_and_staging_does_not(
    new_place: Callable[[str], Place], tmp_path: Path
) -> None:
    place = new_place("sqlite")
    staged = threading.Event()
    turn = Turn(f"{place.folder}/roadworthy.db-turn")
    turn.wait()
    with ThreadPoolExecutor(1) as thread:
        dump = dump_users(tmp_path / "dump.csv", 20)
        moving = thread.submit(_moved, place, USERS, dump, Watched(staged.set))
        assert staged.wait(30), "staging waits for a writer"
        time.sleep(0.2)
        assert not moving.done(), "it was taken over out of turn"
        turn.end()
        assert moving.result(30) == Outcome(20, 0, 0, 20)
    turn.close()


def test_the_owner_moves_in_where_who_serves_may_not(
    new_place: Callable[[str], Place], tmp_path: Path
) -> None:
    """The serving user cannot set sequences: its refusal is one line, and undoes everything."""
    place = new_place("postgresql")
    owner = open_tables(place.url)
    owner.execute(text(f"CREATE ROLE mover LOGIN PASSWORD '{CLERKS_PASSWORD}'"))
    serving = place.url.replace("roadworthy:", "mover:")
    settings = {**place.settings, "ROADWORTHY_DATABASE_URL": serving}
    with_owner = {**settings, "ROADWORTHY_MIGRATION_DATABASE_URL": place.url}
    assert run("migrate", settings=with_owner).returncode == 0
    path = str(dump_users(tmp_path / "dump.csv", 20).path)

    refused = run("users", "import", path, settings=settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "roadworthy: cannot use the database: permission denied for sequence users_id_seq: let "
        "ROADWORTHY_MIGRATION_DATABASE_URL name the owner of the tables\n"
    )
    assert owner.count(["users"]) == {"users": 0}

    taken = run("users", "import", path, settings=with_owner)
    assert taken.stdout == "Users: 20 taken over, 0 here already.\n", taken
    owner.close()


def test_an_operator_sees_how_far_it_is(new_place: Callable[[str], Place], tmp_path: Path) -> None:
    dump = dump_users(tmp_path / "dump.csv", 50)
    ours, theirs = pty.openpty()
    taken = subprocess.run(
        [*COMMAND, "users", "import", str(dump.path)],
        env={**environment(new_place("sqlite").settings), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=False,
    )
    os.close(theirs)
    seen = _all_of(ours)

    assert (taken.returncode, taken.stdout) == (0, "Users: 50 taken over, 0 here already.\n")
    assert re.search(r"Taking over.*100%", seen, re.DOTALL), seen


def _all_of(terminal: int) -> str:
    seen = b""
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # how a terminal ends
        pass
    os.close(terminal)
    return seen.decode()


def test_memory_does_not_grow_with_the_dump(
    new_place: Callable[[str], Place], tmp_path: Path
) -> None:
    few, many = (
        _most_megabytes(new_place("sqlite"), dump_users(tmp_path / "dump.csv", count))
        for count in (2_000, 40_000)
    )
    assert many - few < 16, f"{few} MB, then {many} MB"


def _most_megabytes(place: Place, dump: Dumped) -> float:
    """Of an import in which every other row is refused."""
    lines = dump.path.read_text().splitlines(keepends=True)
    dump.path.write_text("".join([lines[0], *lines[1:], *lines[1:]]))
    refused = subprocess.run(
        [sys.executable, "-c", _MEASURED, "users", "import", str(dump.path)],
        env=environment(place.settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert refused.returncode == 1, refused.stderr
    return int(refused.stderr.split()[-2]) / 1024


_MEASURED = """
import atexit, pathlib, sys
from roadworthy.cli import main

def peak():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    print(*(line for line in status if line.startswith("VmHWM")), file=sys.stderr)

atexit.register(peak)
main()
"""


UTC_MOMENTS = {
    "2020-03-20 10:02:34.340123": (10, 2, 34, 340_123),
    "2020-03-20 10:02:34": (10, 2, 34, 0),
    "2020-03-20 10:02": (10, 2, 0, 0),
    "2020-03-20 10:02:34 UTC": (10, 2, 34, 0),
    "2020-03-20 10:02:34.34 UTC": (10, 2, 34, 340_000),
    "2020-03-20T10:02:34Z": (10, 2, 34, 0),
    "2020-03-20T10:02:34.340Z": (10, 2, 34, 340_000),
    "2020-03-20T10:02:34.340123999Z": (10, 2, 34, 340_123),
    "2020-03-20 10:02:34.340123+00": (10, 2, 34, 340_123),
    "2020-03-20 10:02:34+0100": (9, 2, 34, 0),
    "2020-03-20T10:02:34-05:30": (15, 32, 34, 0),
}


@pytest.mark.parametrize("written", UTC_MOMENTS)
def test_times_as_they_are_written_elsewhere(written: str) -> None:
    assert moment_value(written) == datetime(2020, 3, 20, *UTC_MOMENTS[written], tzinfo=UTC)
    assert expiry_value(written) == moment_value(written)


def test_an_end_in_seconds() -> None:
    assert expiry_value("1584698554") == datetime(2020, 3, 20, 10, 2, 34, tzinfo=UTC)


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for value in (moment_value, expiry_value):
        with contextlib.suppress(Refused):
            assert value(text).tzinfo is UTC


_FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x85"), max_size=8)


@given(st.lists(st.tuples(_FIELDS, _FIELDS), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_rows_are_read_as_they_were_written_with_their_lines(
    rows: list[tuple[str, str]], line_end: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerow(("a", "b"))
    lines = []
    for row in rows:
        lines.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)

    found = list(Dump(io.StringIO(out.getvalue(), newline=""), ("b", "a"), ()))

    assert [row.values for row in found] == [{"a": a or None, "b": b or None} for a, b in rows]
    assert [row.line for row in found] == lines
    assert {row.fault for row in found} <= {None}


@given(st.text(st.sampled_from('a,b"\r\n\0 \ufeff')))
def test_any_text_is_rows_or_no_dump(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + 1
    try:
        found = list(Dump(io.StringIO(text, newline=""), ("a",), ("b",)))
    except NotADump:
        return
    assert [row.line for row in found] == sorted({row.line for row in found})
    assert all(1 < row.line <= lines for row in found)
    assert all(row.fault or "a" in row.values for row in found)
