"""A backup made while serving holds all that was answered; put back, it revives nothing."""

import errno
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.backup import make_backup, restore_backup
from roadworthy.backup.archive import Packer
from roadworthy.backup.errors import BackupError
from roadworthy.backup.sealed import CHUNK, Opener, Sealer
from roadworthy.database import IDS_LEFT_OUT
from roadworthy.migrations import HEAD, migrate
from roadworthy.settings import load_settings
from roadworthy.tombstones import read_copy
from roadworthy.tombstones.queries import (
    MOST_FOLDERS,
    find_backup_folders,
    remember_backup_folder,
)
from tests.conftest import SETTINGS, SOAK, Place
from tests.support.client import Client
from tests.support.crowd import Crowd
from tests.support.drivers import Driver, add_session, new_driver, with_profile
from tests.support.dump import DIGEST, FIRST_USER, address, dump_tokens, dump_users
from tests.support.dump import PASSWORD as DUMPED_PASSWORD
from tests.support.mail import link_to
from tests.support.schema import upgrade
from tests.support.service import COMMAND, Service, environment, run
from tests.support.tables import Row, Tables, open_tables
from tests.support.tokens import claims, forge, payload_of
from tests.test_account_mail import NEW_PASSWORD, USERS, change, reset, send
from tests.test_tombstones import keep_session, look, sign_in, sign_out, sign_up

Start = Callable[..., Service]
Connect = Callable[[str], Client]

PASSPHRASE = "four words that nobody"
OLDER = "0001"
NOW = datetime.now(UTC)
DATA = ("users", "profiles", "sessions", "revoked_tokens", "idempotency_keys", "tombstones")
"""Tables of which a restore changes nothing that was not ended since."""


@dataclass(frozen=True)
class Home:
    """A data folder, and a folder that backups go to."""

    data: Path
    backups: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "ROADWORTHY_DATA_DIR": str(self.data),
            "ROADWORTHY_BACKUP_PASSPHRASE": PASSPHRASE,
        }

    def tables(self) -> Tables:
        return open_tables(f"sqlite:///{self.data}/roadworthy.db")

    def command(self, *arguments: str) -> str:
        """What a command that succeeds says."""
        said = run(*arguments, settings=self.settings)
        assert (said.returncode, said.stderr) == (0, ""), said
        return said.stdout

    def fails(self, *arguments: str, **settings: str) -> str:
        """What a command that fails says, which is one line."""
        said = run(*arguments, settings={**self.settings, **settings})
        assert (said.returncode, said.stdout) == (1, ""), said
        (line,) = said.stderr.splitlines()
        return line

    def back_up(self) -> Path:
        before = set(self.backups.glob("*.backup"))
        self.command("backup", str(self.backups))
        (made,) = set(self.backups.glob("*.backup")) - before
        return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With a migrated database, two drivers and some files."""
    home = Home(tmp_path / "home", tmp_path / "backups")
    (home.data / "files" / "ab").mkdir(parents=True)
    home.backups.mkdir()
    migrate(f"sqlite:///{home.data}/roadworthy.db")
    for name, size in (("ab/cd", 3 * CHUNK + 1), ("ab/empty", 0), ("ef", 100)):
        (home.data / "files" / name).write_bytes(os.urandom(size))
    with closing(home.tables()) as tables:
        with_profile(tables, new_driver(tables))
        new_driver(tables)
    return home


@pytest.fixture
def elsewhere(home: Home) -> Home:
    """Where it is restored; there is nothing yet."""
    return Home(home.data.parent / "elsewhere", home.backups)


@pytest.fixture
def tables(home: Home) -> Iterator[Tables]:
    with closing(home.tables()) as tables:
        yield tables


def rows_of(home: Home) -> dict[str, list[Row]]:
    with closing(home.tables()) as tables:
        return {name: tables.rows(name) for name in DATA}


def files_of(home: Home) -> dict[str, bytes]:
    folder = home.data / "files"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_restored_is_what_was_there(home: Home, elsewhere: Home) -> None:
    on_its_way = home.data / "files" / "incoming"
    on_its_way.mkdir()
    (on_its_way / "half").write_bytes(b"x")
    backup = home.back_up()
    (on_its_way / "half").unlink()
    said = elsewhere.command("restore", str(backup))

    assert re.fullmatch(
        rf"Restored the backup of \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ to {elsewhere.data}: "
        r"the database, 3 files and the secret\.\n"
        r"Of what the tombstones name, complete until \d{4}-\d\d-\d\d \d\d:\d\dZ, these were alive "
        r"and are no more: "
        r"tokens: 0, passwords: 0, accounts: 0\.\n"
        r"Make a backup soon: tombstones .+\n",
        said,
    ), said
    assert rows_of(elsewhere) == rows_of(home)
    assert files_of(elsewhere) == files_of(home)
    assert (elsewhere.data / "secret").read_text().strip() == SETTINGS["ROADWORTHY_SECRET_KEY"]
    assert {path.name for path in elsewhere.data.iterdir()} == {"files", "roadworthy.db", "secret"}
    for path in (backup, *elsewhere.data.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, f"others may look into {path}"


def test_files_of_another_folder_are_in_it_and_those_of_a_bucket_are_not(
    home: Home, elsewhere: Home, tmp_path: Path
) -> None:
    held = files_of(home)
    files = tmp_path / "disk of files"
    (home.data / "files").rename(files)
    there = {"ROADWORTHY_STORAGE_URL": f"file://{quote(str(files))}"}
    made = run("backup", str(home.backups), settings={**home.settings, **there})
    assert made.returncode == 0, made
    (backup,) = home.backups.glob("*.backup")
    elsewhere.command("restore", str(backup))
    assert files_of(elsewhere) == held

    bucket = {"ROADWORTHY_STORAGE_URL": "s3://key:secret@bucket"}
    others = run("backup", str(tmp_path / "others"), settings={**home.settings, **bucket})
    assert others.returncode == 0, others
    assert "Backed up the database, 0 files and the secret" in others.stdout
    assert "The files are in a bucket, which has a backup of its own or none." in others.stdout


def test_nothing_of_it_can_be_read_without_the_passphrase(home: Home) -> None:
    content = home.back_up().read_bytes()

    for known in (b"Luettgen", b"SQLite format", b"@example.com", b"files/", b"manifest"):
        assert known not in content


def test_under_load_it_holds_all_that_was_answered_before(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    service = start(tmp_path, home.settings, "--workers", "2")
    first = [new_driver(tables) for _ in range(300)]
    crowd = Crowd(service.url, first)
    crowd.wait_for(100)
    answered = dict(crowd.bodies)
    with ThreadPoolExecutor(1) as thread:
        backing_up = thread.submit(home.back_up)
        meanwhile = [crowd, *_crowds_until(backing_up.done, service, tables)]
        backup = backing_up.result()
    elsewhere.command("restore", str(backup))
    restored = start(tmp_path / "restored", elsewhere.settings)

    for crowd in meanwhile:
        assert crowd.statuses.keys() == {200}, "the backup was in the way of writers"
    then, now = rows_of(elsewhere), rows_of(home)
    assert len(then["profiles"]) < len(now["profiles"]), "nobody wrote meanwhile"
    for name in DATA:
        as_it_is = {repr(row) for row in now[name]}
        assert all(repr(row) in as_it_is for row in then[name]), f"{name} is not as it was"
    client = connect(restored.url)
    for driver in first:
        shown = driver.send(client, "GET")
        if driver.id in answered:
            assert shown.body == answered[driver.id], "an answered create is not in the backup"
        else:
            assert shown.status in {200, 404}
    assert service.errors == restored.errors == ""


def _crowds_until(is_over: Callable[[], bool], service: Service, tables: Tables) -> Iterator[Crowd]:
    """One after the other, and one more."""
    ends = False
    while not ends:
        ends = is_over()
        crowd = Crowd(service.url, [new_driver(tables) for _ in range(100)])
        crowd.join()
        yield crowd


def test_a_restored_backup_revives_nothing_that_ended_since(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    signs_out, ends_one, changes, forgets, leaves, stays = (new_driver(tables) for _ in range(6))
    for driver in (signs_out, ends_one, changes, leaves, stays):
        keep_session(tables, driver)
    lost = forge(claims(ends_one.id, jti="lost"))
    add_session(tables, ends_one, "lost")
    _mail_link(tables, stays)
    service = start(tmp_path, home.settings)
    old = home.back_up()
    client = connect(service.url)
    sign_out(client, signs_out)
    ended = client.send("DELETE", f"{USERS}/sessions/lost", ends_one.signed)
    change(client, changes, password=NEW_PASSWORD)
    chosen = reset(client, link_to(tables, forgets.id, "reset"))
    closed = client.send("DELETE", USERS, leaves.signed)
    assert [answer.status for answer in (ended, chosen, closed)] == [204, 204, 204]
    came_later = new_driver(tables)
    service.stop()
    said = elsewhere.command("restore", str(old))

    assert "tokens: 2, passwords: 2, accounts: 1." in said
    client = connect(start(tmp_path / "restored", elsewhere.settings).url)
    assert look(client, signs_out.token) == (401, {"error": "revoked token"})
    assert look(client, lost) == (401, {"error": "revoked token"})
    assert look(client, ends_one.token)[0] == 404
    assert look(client, changes.token) == (401, {"error": "revoked token"})
    assert look(client, forgets.token) == (401, {"error": "revoked token"})
    assert look(client, leaves.token) == (401, {"error": "nil user"})
    assert look(client, stays.token)[0] == 404
    for who, status in ((changes, 401), (forgets, 401), (leaves, 401), (stays, 201)):
        assert sign_in(client, who.email) == status, who
    assert sign_up(client) > came_later.id + IDS_LEFT_OUT // 2, "an id given since is given again"
    assert look(client, came_later.token) == (401, {"error": "nil user"})
    with closing(elsewhere.tables()) as restored:
        assert restored.rows("mailed_links") == [], "a link used since works once more"


def test_what_moves_in_again_after_a_restore_stays_as_it_ended(
    home: Home, elsewhere: Home, start: Start, connect: Connect, tmp_path: Path
) -> None:
    old = home.back_up()
    leaves, changes, signed_out = range(FIRST_USER + 1, FIRST_USER + 4)
    tokens = {user: forge(claims(user, jti=f"of-{user}")) for user in (leaves, changes, signed_out)}
    dump = dump_users(tmp_path / "users.csv", 4)
    denied = dump_tokens(tmp_path / "tokens.csv", [f"of-{signed_out}"], NOW + timedelta(days=9))
    home.command("users", "import", str(dump.path))
    home.command("tokens", "import", str(denied.path))
    service = start(tmp_path, home.settings)
    client = connect(service.url)
    closed = client.send("DELETE", USERS, {"authorization": f"Bearer {tokens[leaves]}"})
    changed = send(
        client,
        "PATCH",
        USERS,
        {"authorization": f"Bearer {tokens[changes]}"},
        current_password=DUMPED_PASSWORD,
        password=NEW_PASSWORD,
    )
    assert (closed.status, changed.status) == (204, 204), (closed, changed)
    service.stop()
    elsewhere.command("restore", str(old))

    again = run("users", "import", str(dump.path), settings=elsewhere.settings)
    assert (again.returncode, again.stdout) == (
        1,
        "line 3: id was an account here, which was closed\n",
    )
    lines = dump.path.read_text().splitlines(keepends=True)
    dump.path.write_text("".join(line for line in lines if not line.startswith(str(leaves))))
    elsewhere.command("users", "import", str(dump.path))
    client = connect(start(tmp_path / "restored", elsewhere.settings).url)
    assert look(client, tokens[leaves]) == (401, {"error": "nil user"})
    assert look(client, tokens[changes]) == (401, {"error": "revoked token"})
    assert look(client, tokens[signed_out]) == (401, {"error": "revoked token"})
    passwords = {changes: 401, signed_out: 201}
    for user, status in passwords.items():
        answer = send(
            client, "POST", f"{USERS}/sign_in", email=address(user), password=DUMPED_PASSWORD
        )
        assert answer.status == status, user


def test_a_restore_tells_of_a_pepper_that_passwords_may_need(
    home: Home, elsewhere: Home, tables: Tables, tmp_path: Path
) -> None:
    without = home.back_up()
    new_driver(tables, password_digest=DIGEST)
    backup = home.back_up()
    told = "set ROADWORTHY_DEVISE_PEPPER to it again, which is in no backup."

    assert "PEPPER" not in elsewhere.command("restore", str(without))
    third = Home(tmp_path / "third", home.backups)
    assert told in third.command("restore", str(backup))
    peppered = Home(tmp_path / "fourth", home.backups).settings
    said = run(
        "restore", str(backup), settings={**peppered, "ROADWORTHY_DEVISE_PEPPER": "some pepper"}
    )
    assert (said.returncode, "PEPPER" in said.stdout) == (0, False), said


def _mail_link(tables: Tables, driver: Driver) -> None:
    row = {"user_id": driver.id, "email": driver.email, "expires_at": NOW + timedelta(days=1)}
    links = tables["mailed_links"]
    tables.execute(links.insert().values(digest="x", purpose="reset", **row))


def test_what_a_restore_ended_stays_so_in_the_next(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    """The oldest backup, with the tombstones of the place where another was restored."""
    driver = new_driver(tables)
    oldest = home.back_up()
    service = start(tmp_path, home.settings)
    sign_out(connect(service.url), driver)
    service.stop()
    elsewhere.command("restore", str(oldest))
    start(tmp_path / "restored", elsewhere.settings).stop()
    third = Home(tmp_path / "third", tmp_path / "moved")
    third.backups.mkdir()
    moved = oldest.rename(third.backups / oldest.name)
    copy = elsewhere.data / "tombstones"

    assert "tokens: 1," in third.command("restore", str(moved), "--tombstones", str(copy))
    client = connect(start(tmp_path / "last", third.settings).url)
    assert look(client, driver.token) == (401, {"error": "revoked token"})


def test_beside_backups_tombstones_are_noted_as_long_as_they_can_be_reached(
    home: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    first, second = new_driver(tables), new_driver(tables)
    home.back_up()
    away = home.backups.rename(tmp_path / "away")
    service = start(tmp_path, home.settings)
    client = connect(service.url)
    sign_out(client, first)
    home.backups.mkdir()  # as the place of a disk that is not mounted
    sign_out(client, second)
    service.stop()
    assert list(home.backups.iterdir()) == []

    home.backups.rmdir()
    away.rename(home.backups)
    start(tmp_path / "again", home.settings).stop()
    noted = [each.jti for each in read_copy(home.backups / "tombstones").tombstones]
    assert noted == [payload_of(driver.token)["jti"] for driver in (first, second)]


def test_an_older_backup_in_another_folder_revives_nothing_either(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    signs_out, leaves = new_driver(tables), new_driver(tables)
    keep_session(tables, signs_out)
    service = start(tmp_path, home.settings)
    old = home.back_up()
    Home(home.data, tmp_path / "newer").back_up()
    client = connect(service.url)
    sign_out(client, signs_out)
    assert client.send("DELETE", USERS, leaves.signed).status == 204
    service.stop()
    shutil.rmtree(home.data)
    said = elsewhere.command("restore", str(old))

    assert "tokens: 1, passwords: 0, accounts: 1." in said
    client = connect(start(tmp_path / "restored", elsewhere.settings).url)
    assert look(client, signs_out.token) == (401, {"error": "revoked token"})
    assert look(client, leaves.token) == (401, {"error": "nil user"})


def test_copies_are_kept_beside_a_month_of_backups(tables: Tables) -> None:
    """However many folders there are; one that is used again counts as the latest."""
    for day in (*range(MOST_FOLDERS + 3), 5):
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day if day != 5 else 99)
        tables.inspect(partial(remember_backup_folder, folder=f"/{day}", now=now))
    found = tables.inspect(find_backup_folders)

    assert found == ["/5", *(f"/{day}" for day in range(MOST_FOLDERS + 2, 2, -1) if day != 5)]


def test_a_rehearsal_elsewhere_notes_nothing_beside_the_backups(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    driver = new_driver(tables)
    home.back_up()
    second = Home(home.data, tmp_path / "second")
    backup = second.back_up()
    elsewhere.command("restore", str(backup))
    service = start(tmp_path, elsewhere.settings)
    sign_out(connect(service.url), driver)
    service.stop()

    assert len(read_copy(elsewhere.data / "tombstones").tombstones) == 1
    assert read_copy(second.backups / "tombstones").tombstones == []


@pytest.mark.parametrize(
    ("said", "until"),
    [
        (f'{{"complete_to":"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"}}', "20"),
        ('{"id":1,"kind":"account","user_id":9000,"happened_at":"2026-01-01T00:00:00Z"}', "nobody"),
        ('{"complete_to":"2099-01-01T00:00:00Z"}', "2099-01-01 00:00Z"),
    ],
    ids=["hours ago", "of an older release", "yet to come"],
)
def test_a_copy_that_may_lack_some_is_taken_on_the_operators_word_alone(
    home: Home, elsewhere: Home, said: str, until: str
) -> None:
    """As one that was taken away with its backups, once, from a service that went on."""
    backup = home.back_up()
    copy = home.backups / "tombstones"
    copy.write_text(said and f"{said}\n")

    line = elsewhere.fails("restore", str(backup))
    assert line.startswith(f"roadworthy: {copy}: complete only until {until}"), line
    assert "--latest-tombstones" in line
    assert not elsewhere.data.exists()
    told = elsewhere.command("restore", str(backup), "--latest-tombstones")
    assert ("complete until" in told) is until.startswith("20")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        os.urandom(5000),
        b'{"complete_to":"2099-01-01T00:00:00"}\n',
        b'{"complete_to":"2099-01-01T00:00:00Z","database":"another"}\n',
        b'{"id":1,"kind":"token","jti":"x","database":"another"}\n',
    ],
    ids=["nothing", "noise", "a time of no zone", "another's", "another's tombstone"],
)
def test_a_copy_that_says_nothing_of_the_database_is_none(
    home: Home, elsewhere: Home, content: bytes
) -> None:
    backup = home.back_up()
    copy = home.backups / "tombstones"
    copy.write_bytes(content)

    line = elsewhere.fails("restore", str(backup), "--latest-tombstones")
    assert line.startswith(f"roadworthy: {copy} says nothing of this database: give the newest")
    assert not elsewhere.data.exists()


def test_two_services_may_back_up_into_one_folder(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    """What ended in one is not taken for what ended in the other, though ids are the same."""
    other = Home(tmp_path / "other", home.backups)
    other.data.mkdir()
    migrate(f"sqlite:///{other.data}/roadworthy.db")
    others = start(tmp_path / "others", other.settings)
    with closing(other.tables()) as theirs:
        for driver in [new_driver(theirs) for _ in range(3)]:
            sign_out(connect(others.url), driver)
    other.back_up()
    time.sleep(1)  # backups have the second in their name
    driver = new_driver(tables)
    service = start(tmp_path, home.settings)
    backup = home.back_up()
    assert connect(service.url).send("DELETE", USERS, driver.signed).status == 204
    service.stop()
    others.stop()

    assert "tokens: 0, passwords: 0, accounts: 1." in elsewhere.command("restore", str(backup))


def test_after_a_restore_without_tombstones_they_can_still_be_applied(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    changes = new_driver(tables)
    service = start(tmp_path, home.settings)
    backup = home.back_up()
    change(connect(service.url), changes, password=NEW_PASSWORD)
    service.stop()
    copy = (home.backups / "tombstones").rename(tmp_path / "found later")

    assert "Everybody is signed out." in elsewhere.command(
        "restore", str(backup), "--without-tombstones"
    )
    assert "passwords: 1," in elsewhere.command("tombstones", "apply", str(copy))
    client = connect(start(tmp_path / "restored", elsewhere.settings).url)
    assert sign_in(client, changes.email) == 401


def test_a_later_copy_makes_up_for_one_that_was_taken_away(
    home: Home, elsewhere: Home, tmp_path: Path
) -> None:
    backup = home.back_up()
    later = (home.backups / "tombstones").rename(tmp_path / "later")
    (home.backups / "tombstones").write_text('{"complete_to":"2026-01-01T10:00:00Z"}\n')

    assert "complete until" in elsewhere.command("restore", str(backup), "--tombstones", str(later))


def test_without_tombstones_everybody_is_signed_out(
    home: Home, elsewhere: Home, tables: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    driver, other = new_driver(tables), new_driver(tables)
    keep_session(tables, driver)
    backup = home.back_up()
    (home.backups / "tombstones").unlink()

    assert elsewhere.fails("restore", str(backup)) == (
        f"roadworthy: there is no tombstones file beside {backup}, so nobody knows what must "
        "stay revoked: give the newest with --tombstones, or take --without-tombstones, which "
        "signs everybody out"
    )
    assert not elsewhere.data.exists()
    said = elsewhere.command("restore", str(backup), "--without-tombstones")

    assert "Everybody is signed out." in said
    client = connect(start(tmp_path, elsewhere.settings).url)
    for who in (driver, other):
        assert look(client, who.token) == (401, {"error": "revoked token"})
        assert sign_in(client, who.email) == 201


def test_an_older_backup_is_migrated(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(open_tables(f"sqlite:///{old}")) as tables:
        tables.inspect(lambda connection: upgrade(connection, OLDER))
    backup = home.backups / "old.backup"
    backup.write_bytes(_sealed({"roadworthy.db": old.read_bytes(), "secret": b"x"}, OLDER))
    elsewhere.command("restore", str(backup), "--without-tombstones")

    assert _version(elsewhere.data / "roadworthy.db") == HEAD


def _sealed(files: dict[str, bytes], schema: str = HEAD, changed: str = "") -> bytes:
    """A backup of `files`; the manifest lies about `changed`."""
    file = BytesIO()
    sealer = Sealer(file, PASSPHRASE, made_at="2026-01-01", release="0.1.0", schema=schema)
    packer = Packer(sealer, lambda _: None)
    for name, content in files.items():
        packer.add_stream(name, BytesIO(content), len(content), 0)
        if name == changed:
            _lie(packer)
    packer.finish()
    sealer.close()
    return file.getvalue()


def _lie(packer: Packer) -> None:
    manifest = vars(packer)["_manifest"]
    manifest.seek(-10, os.SEEK_CUR)
    manifest.write(b"0" * 7)
    manifest.seek(0, os.SEEK_END)


Change = Callable[[bytes], bytes]

_SEALED = 4 + CHUNK + 16
"""A whole chunk in the file."""


def _start(backup: bytes) -> int:
    """Where the first chunk begins: after two lines and their MAC."""
    return backup.index(b"\n", backup.index(b"\n") + 1) + 1 + 32


def _flip(backup: bytes, at: int) -> bytes:
    return _put(backup, at, bytes([backup[at] ^ 1]))


def _put(backup: bytes, at: int, content: bytes) -> bytes:
    return backup[:at] + content + backup[at + len(content) :]


def _chunks(backup: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What is before the first two chunks, they, and what is after them."""
    at = _start(backup)
    return (
        backup[:at],
        backup[at : at + _SEALED],
        backup[at + _SEALED : at + 2 * _SEALED],
        backup[at + 2 * _SEALED :],
    )


def _swapped(backup: bytes) -> bytes:
    head, first, second, rest = _chunks(backup)
    return head + second + first + rest


def _without_second(backup: bytes) -> bytes:
    head, first, _, rest = _chunks(backup)
    return head + first + rest


def _twice(backup: bytes) -> bytes:
    head, first, second, rest = _chunks(backup)
    return head + first + first + second + rest


_NOT_RESTORED: list[tuple[str, Change, str]] = [
    ("nothing at all", lambda _: b"", "is not a backup of Roadworthy"),
    ("another file", lambda _: b"PK\x03\x04" * 1000, "is not a backup of Roadworthy"),
    ("a newer format", lambda b: b.replace(b"backup 1", b"backup 2", 1), "made by a newer release"),
    ("a costlier key", lambda b: b.replace(b'"p":1', b'"p":9', 1), "as it was written"),
    ("another kind of key", lambda b: b.replace(b'"r":8', b'"r":9', 1), "as it was written"),
    ("cut off in its head", lambda b: b[:60], "as it was written"),
    (
        "another salt",
        lambda b: re.sub(
            rb'"salt":"\w+"', b'"salt":"' + bytes(16).hex().encode() + b'"', b, count=1
        ),
        "the passphrase is not the one",
    ),
    ("another release", lambda b: b.replace(b"0.1.0", b"0.2.0"), "the passphrase is not the one"),
    (
        "a key that costs all memory",
        lambda b: b.replace(b"131072", b"1073741824", 1),
        "as it was written",
    ),
    (
        "a cost that is none",
        lambda b: b.replace(b"131072", b"000000", 1),
        "as it was written",
    ),
    ("the first chunk changed", lambda b: _flip(b, 1000), "as it was written"),
    ("the last chunk changed", lambda b: _flip(b, len(b) - 1), "as it was written"),
    ("a length changed", lambda b: _flip(b, _start(b) + 3), "as it was written"),
    ("a chunk too long", lambda b: _put(b, _start(b), b"\x7f"), "as it was written"),
    ("two chunks changed places", _swapped, "as it was written"),
    ("a chunk left out", _without_second, "as it was written"),
    ("a chunk twice", _twice, "as it was written"),
    ("cut off in a chunk", lambda b: b[:-100], "is cut off"),
    ("cut off between chunks", lambda b: b[: _start(b) + _SEALED], "is cut off"),
    ("cut off to its head", lambda b: b[: _start(b)], "is cut off"),
    ("something after its end", lambda b: b + b"x", "as it was written"),
    ("a newer schema", lambda _: _sealed({}, "9999"), "made by a newer release"),
    ("no database", lambda _: _sealed({"secret": b"x"}), "holds no roadworthy.db"),
    (
        "a database that is none",
        lambda _: _sealed({"roadworthy.db": b"x" * 5000, "secret": b"x"}),
        "the database in the backup is damaged: file is not a database",
    ),
    (
        "a file that is not as the manifest says",
        lambda _: _sealed({"files/one": b"x", "files/two": b"y"}, changed="files/one"),
        "files/one is not what the backup's manifest says",
    ),
    ("a file elsewhere", lambda _: _sealed({"files/../../evil": b"x"}), "which is none of ours"),
    ("an absolute file", lambda _: _sealed({"/evil": b"x"}), "which is none of ours"),
    ("another file", lambda _: _sealed({"evil": b"x"}), "which is none of ours"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of several chunks."""
    folder = tmp_path_factory.mktemp("whole")
    migrate(f"sqlite:///{folder}/roadworthy.db")
    database = (folder / "roadworthy.db").read_bytes()
    files = {"roadworthy.db": database, "secret": b"x", "files/one": os.urandom(3 * CHUNK)}
    return _sealed(files)


@pytest.mark.parametrize(
    ("change", "said"),
    [case[1:] for case in _NOT_RESTORED],
    ids=[case[0] for case in _NOT_RESTORED],
)
def test_what_is_not_a_whole_backup_of_ours_is_one_line_and_changes_nothing(
    whole: bytes, elsewhere: Home, change: Change, said: str
) -> None:
    backup = elsewhere.backups / "some.backup"
    backup.write_bytes(change(whole))
    elsewhere.data.mkdir()
    with pytest.raises(BackupError) as refusal:
        restore_backup(load_settings(elsewhere.settings), backup, PASSPHRASE, None, _watch_nothing)

    assert re.fullmatch(f".*{said}.*", str(refusal.value)), refusal.value
    assert list(elsewhere.data.iterdir()) == []


def _watch_nothing(_: int) -> Callable[[int], None]:
    return lambda _: None


def test_a_backup_that_is_none_is_one_line(elsewhere: Home) -> None:
    backup = elsewhere.backups / "some.backup"
    backup.write_bytes(b"PK")

    assert elsewhere.fails("restore", str(backup), "--without-tombstones") == (
        f"roadworthy: {backup} is not a backup of Roadworthy"
    )
    assert not elsewhere.data.exists()


def test_that_backup_itself_is_whole(whole: bytes, elsewhere: Home) -> None:
    backup = elsewhere.backups / "some.backup"
    backup.write_bytes(whole)

    assert "1 file and" in elsewhere.command("restore", str(backup), "--without-tombstones")


def test_a_row_that_names_another_that_is_not_there(home: Home, elsewhere: Home) -> None:
    with closing(sqlite3.connect(home.data / "roadworthy.db", isolation_level=None)) as database:
        database.execute("UPDATE profiles SET user_id = 777")
    line = elsewhere.fails("restore", str(home.back_up()))

    assert "is damaged: profiles names a row that is not there" in line


# Each derives keys, which is made to take long.
@settings(max_examples=50 if SOAK else 4, deadline=None)
@given(
    size=st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]),
    piece=st.integers(CHUNK // 64, 3 * CHUNK),
    cut=st.floats(0, 1, exclude_max=True),
)
def test_of_a_sealed_file_all_is_read_or_an_error_met(size: int, piece: int, cut: float) -> None:
    content = os.urandom(size)
    file = BytesIO()
    sealer = Sealer(file, PASSPHRASE, made_at="", release="", schema="")
    for at in range(0, size, piece):
        sealer.write(content[at : at + piece])
    sealer.close()
    sealed = file.getvalue()

    assert _read_all(sealed, piece) == content
    with pytest.raises(BackupError):
        _read_all(sealed[: int(cut * len(sealed))], piece)


def _read_all(sealed: bytes, piece: int) -> bytes:
    opener = Opener(BytesIO(sealed), PASSPHRASE, "it")
    content = b""
    while part := opener.read(piece):
        content += part
    opener.finish()
    return content


def test_the_passphrase_of_another(home: Home, elsewhere: Home) -> None:
    backup = home.back_up()
    line = elsewhere.fails("restore", str(backup), ROADWORTHY_BACKUP_PASSPHRASE="another one")

    assert line == (
        f"roadworthy: the passphrase is not the one {backup} was made with "
        "(or somebody changed how the file begins)"
    )
    assert not elsewhere.data.exists()


@pytest.mark.parametrize("name", [".", "gone.backup"])
def test_what_is_no_file_is_said_to_be_none(elsewhere: Home, name: str) -> None:
    backup = elsewhere.backups / name
    with pytest.raises(BackupError) as refusal:
        restore_backup(load_settings(elsewhere.settings), backup, PASSPHRASE, None, _watch_nothing)

    assert str(refusal.value) == f"{backup} is no file: name the backup itself"
    assert not elsewhere.data.exists()


def test_where_there_is_something_nothing_is_restored(home: Home, elsewhere: Home) -> None:
    backup = home.back_up()
    before = {path: path.stat().st_mtime_ns for path in home.data.rglob("*")}

    assert home.fails("restore", str(backup)) == (
        f"roadworthy: {home.data} is not empty: backups, files, roadworthy.db, roadworthy.db-turn, "
        "tombstones: name an empty folder with ROADWORTHY_DATA_DIR"
    )
    assert {path: path.stat().st_mtime_ns for path in home.data.rglob("*")} == before
    (elsewhere.data / "lost+found").mkdir(parents=True)  # a freshly made disk
    elsewhere.command("restore", str(backup))
    assert files_of(elsewhere) == files_of(home)


def test_a_restore_that_was_killed_is_not_served_and_can_be_repeated(
    home: Home, elsewhere: Home
) -> None:
    backup = home.back_up()
    (elsewhere.data / "restoring").mkdir(parents=True)
    (elsewhere.data / "restoring" / "roadworthy.db").touch()

    assert elsewhere.fails("serve", "--port", "0") == (
        f"roadworthy: a restore into {elsewhere.data} is at work, or was interrupted: then delete "
        "what is in there, and restore again"
    )
    elsewhere.command("restore", str(backup))
    assert rows_of(elsewhere) == rows_of(home)


def test_a_file_that_is_deleted_meanwhile_is_noted(home: Home, elsewhere: Home) -> None:
    left: list[int] = []

    def begin(total: int) -> Callable[[int], None]:
        left.append(total)
        return advance

    def advance(done: int) -> None:
        left.append(left[-1] - done)
        if left[-1] < CHUNK:  # in the middle of `ab/cd`
            (home.data / "files" / "ab" / "empty").unlink(missing_ok=True)

    made = make_backup(load_settings(home.settings), home.backups, PASSPHRASE, begin)
    elsewhere.command("restore", str(made.path))

    assert (made.files, made.vanished) == (2, 1)
    assert files_of(elsewhere) == files_of(home)


_NOT_BACKED_UP = [
    ("a passphrase that is short", "{to}", {"ROADWORTHY_BACKUP_PASSPHRASE": "secret"}, "too short"),
    ("no passphrase", "{to}", {"ROADWORTHY_BACKUP_PASSPHRASE": ""}, "there is no passphrase"),
    ("to the data folder", "{data}/mine", {}, "is in the data folder, and would be lost with it"),
    ("to no folder", "{to}/not/there", {}, "cannot write the backup: .*: No such file or dir"),
    ("to a file", "{data}/secret/x", {}, "is in the data folder"),
    (
        "an older database",
        "{to}",
        {"ROADWORTHY_DATABASE_URL": "sqlite:///{to}/empty.db"},
        "there is no database at .+/empty.db: is ROADWORTHY_DATA_DIR right",
    ),
    (
        "tombstones nowhere",
        "{to}",
        {"ROADWORTHY_TOMBSTONES_DIR": "/not/there"},
        "cannot write the backup: /not/there/tombstones: No such file or directory",
    ),
]


@pytest.mark.parametrize(
    ("to", "changes", "said"),
    [row[1:] for row in _NOT_BACKED_UP],
    ids=[r[0] for r in _NOT_BACKED_UP],
)
def test_what_cannot_be_backed_up_is_one_line(
    home: Home, to: str, changes: dict[str, str], said: str
) -> None:
    places = {"to": home.backups, "data": home.data}
    changed = {name: value.format(**places) for name, value in changes.items()}
    line = home.fails("backup", to.format(**places), **changed)

    assert re.search(said, line), line
    assert list(home.backups.glob("*.backup")) == list(home.backups.glob(".*")) == []


def test_postgresql_has_means_of_its_own(new_place: Callable[[str], Place], tmp_path: Path) -> None:
    place = new_place("postgresql")
    settings = {**place.settings, "ROADWORTHY_BACKUP_PASSPHRASE": PASSPHRASE}
    backup = run("backup", str(tmp_path), settings=place.settings)
    restore = run("restore", str(tmp_path / "x.backup"), settings=settings)

    assert (backup.returncode, backup.stdout) == (1, "")
    assert backup.stderr == (
        "roadworthy: this database is PostgreSQL's, which has better means: pg_dump or "
        "pg_basebackup for the database, and a copy of the files, of ROADWORTHY_SECRET_KEY and "
        "ROADWORTHY_DEVISE_PEPPER, and of the tombstones\n"
    )
    assert (restore.returncode, restore.stdout) == (1, "")
    assert restore.stderr == (
        "roadworthy: a backup is restored to the embedded database: unset ROADWORTHY_DATABASE_URL\n"
    )


def test_the_passphrase_from_a_file(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("another four words\nand a second line\n")
    home.command("backup", str(home.backups), "--passphrase-file", str(file))
    (backup,) = home.backups.glob("*.backup")

    assert "the passphrase is not the one" in elsewhere.fails("restore", str(backup))
    elsewhere.command("restore", str(backup), "--passphrase-file", str(file))
    file.write_text("\n")
    assert "holds no passphrase" in home.fails(
        "backup", str(home.backups), "--passphrase-file", str(file)
    )


def test_the_passphrase_is_asked_for_on_a_terminal(home: Home, elsewhere: Home) -> None:
    typed = "yet another four words"
    backing_up = _on_a_terminal(home, typed, "backup", str(home.backups))
    (backup,) = home.backups.glob("*.backup")
    restoring = _on_a_terminal(elsewhere, typed, "restore", str(backup))

    assert ("Repeat" in backing_up, "Repeat" in restoring) == (True, False), (backing_up, restoring)
    assert "100%" in backing_up
    assert "Restored the backup" in restoring
    assert typed not in backing_up + restoring, "it is shown as it is typed"
    assert files_of(elsewhere) == files_of(home)


def _on_a_terminal(home: Home, typed: str, *arguments: str) -> str:
    """What is shown to who types that whenever the last line asks for it."""
    child, terminal = pty.fork()
    if child == 0:
        settings = {**home.settings, "ROADWORTHY_BACKUP_PASSPHRASE": ""}
        os.execve(COMMAND[0], [*COMMAND, *arguments], environment(settings))  # noqa: S606
    shown = ""
    with suppress(OSError):  # it has ended
        while part := os.read(terminal, 1024):
            shown += part.decode()
            if shown.endswith(": "):
                os.write(terminal, typed.encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert status == 0, shown
    return shown


def _most_held(pid: int) -> int:
    """The most bytes that a process has held so far; nothing once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def test_memory_does_not_grow_with_the_files(home: Home, elsewhere: Home) -> None:
    size = 500 * 1024 * 1024
    with (home.data / "files" / "large").open("wb") as file:
        file.truncate(size)
    for command in (("backup", str(home.backups)), ("restore", "")):
        arguments = [argument or str(*home.backups.glob("*.backup")) for argument in command]
        place = home if command[0] == "backup" else elsewhere
        process = subprocess.Popen([*COMMAND, *arguments], env=environment(place.settings))
        most = 0
        while process.poll() is None:
            most = max(most, _most_held(process.pid))
            time.sleep(0.01)

        assert process.returncode == 0
        assert 0 < most < size * 0.7, "scrypt alone takes 128 MB"
    assert (elsewhere.data / "files" / "large").stat().st_size == size


def test_one_backup_at_a_time(home: Home, elsewhere: Home) -> None:
    said: list[str] = []

    def begin(_: int) -> Callable[[int], None]:
        said.append(home.fails("backup", str(home.backups)))
        return lambda _: None

    made = make_backup(load_settings(home.settings), home.backups, PASSPHRASE, begin)

    assert said == ["roadworthy: another backup is being made: wait for it"]
    assert not (home.data / "backups" / "snapshot.db").exists()
    elsewhere.command("restore", str(made.path))
    assert rows_of(elsewhere) == rows_of(home)


def test_a_disk_without_hard_links(
    home: Home, elsewhere: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that moves between machines: FAT."""

    def refuse(*_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made = make_backup(load_settings(home.settings), home.backups, PASSPHRASE, _watch_nothing)

    assert {path.name for path in home.backups.iterdir()} == {"tombstones", made.path.name}
    elsewhere.command("restore", str(made.path))
    assert rows_of(elsewhere) == rows_of(home)


def test_there_is_no_backup_without_the_database(home: Home) -> None:
    def begin(_: int) -> Callable[[int], None]:
        (home.data / "backups" / "snapshot.db").unlink()
        return lambda _: None

    with pytest.raises(BackupError, match=r"deleted .+/snapshot\.db: make the backup again"):
        make_backup(load_settings(home.settings), home.backups, PASSPHRASE, begin)
    assert [path.name for path in home.backups.iterdir()] == ["tombstones"]


@pytest.fixture
def older(tmp_path: Path) -> Home:
    """With a database of an older release."""
    home = Home(tmp_path / "older", tmp_path / "backups")
    home.data.mkdir()
    with closing(home.tables()) as tables:
        tables.inspect(lambda connection: upgrade(connection, OLDER))
    return home


def _version(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(version)


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_copy_is_kept_before_a_migration(
    older: Home, start: Start, tmp_path: Path, command: str
) -> None:
    copies = older.data / "backups"
    copies.mkdir()
    for number in range(1, 5):
        (copies / f"before-000{number}.db").write_bytes(b"an old one")
        os.utime(copies / f"before-000{number}.db", (number, number))
    if command == "serve":
        start(tmp_path, older.settings).stop()
    else:
        older.command("migrate")

    copy = copies / f"before-{HEAD}.db"
    assert sorted(path.name for path in copies.iterdir()) == [
        "before-0003.db",
        "before-0004.db",
        copy.name,
    ]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (_version(copy), _version(older.data / "roadworthy.db")) == (OLDER, HEAD)


@pytest.mark.parametrize("command", ["migrate", "serve --port 0"])
def test_without_a_copy_there_is_no_migration(older: Home, command: str) -> None:
    (older.data / "backups").write_text("no folder")
    line = older.fails(*command.split())

    assert line == (
        "roadworthy: cannot keep a copy of the database before it is migrated, in "
        f"{older.data}/backups: File exists: make room there, and let this user write to it"
    )
    assert _version(older.data / "roadworthy.db") == OLDER
