"""Bad surroundings: one line that says what to do, or 503 and never a wrong answer; then on again.

What happens to PostgreSQL stands in `test_durability.py`, what cannot be served in `test_cli.py`.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from roadworthy.database import Unavailable, work_apart
from roadworthy.database.core import write_nothing
from roadworthy.database.sqlite import sqlite_engine
from roadworthy.jobs.worker import POLL_SECONDS
from roadworthy.migrations import MigrationError, require_head
from roadworthy.processes import MOST_FAILURES
from tests.conftest import SETTINGS
from tests.support.client import Client, hold_unavailable
from tests.support.disk import Disk
from tests.support.drivers import FIELDS, Driver, new_driver, with_profile
from tests.support.processes import children
from tests.support.service import COMMAND, Service, environment, run
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_for_first_jobs, wait_until

Start = Callable[..., Service]
Connect = Callable[[str], Client]

HOUR = 60 * 60
DAY = 24 * HOUR


@pytest.fixture
def data(disk: Disk) -> Path:
    """A data folder with a migrated database."""
    return disk.folder


@pytest.fixture
def settings(data: Path) -> dict[str, str]:
    return {**SETTINGS, "ROADWORTHY_DATA_DIR": str(data)}


def drivers_of(data: Path, profiles: int, others: int) -> tuple[list[Driver], list[Driver]]:
    """Drivers with a profile, and others without."""
    tables = open_tables(f"sqlite:///{data}/roadworthy.db")
    registered = [with_profile(tables, new_driver(tables)) for _ in range(profiles)]
    fresh = [new_driver(tables) for _ in range(others)]
    tables.close()
    return registered, fresh


def wait_for_log(service: Service, words: str) -> None:
    """Lines are written a few times a second."""
    until = time.monotonic() + 5
    while words not in service.log:
        assert time.monotonic() < until, service.errors
        time.sleep(0.05)


def test_a_full_disk(
    disk: Disk, data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    (registered,), (driver,) = drivers_of(data, 1, 1)
    service = start(tmp_path, {**settings, **disk.settings})
    client = connect(service.url)

    disk.fill()
    hold_unavailable(driver.send(client, "POST", FIELDS))
    hold_unavailable(registered.send(client, "PATCH", {"postcode": "AB1"}))
    assert registered.send(client, "GET").json["profile"]["postcode"] == "123"
    assert driver.send(client, "GET").status == 404
    wait_for_log(service, '"reason":"database or disk is full"')
    time.sleep(3 * POLL_SECONDS)  # what looks for work finds none, which needs no room
    hold_unavailable(client.send("GET", "/up"))
    hold_unavailable(client.send("GET", "/up"))
    disk.make_room()

    assert client.send("GET", "/up").status == 200
    assert driver.send(client, "POST", FIELDS).status == 200
    assert registered.send(client, "PATCH", {"postcode": "AB1"}).status == 200
    assert registered.send(client, "GET").json["profile"]["postcode"] == "AB1"


def test_a_full_disk_before_there_is_a_database(
    disk: Disk, data: Path, settings: dict[str, str]
) -> None:
    shutil.rmtree(data)
    data.mkdir()
    disk.fill()
    failed = run("serve", "--port", "0", settings={**settings, **disk.settings})

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "roadworthy: cannot use the database: database or disk is full: make room on its disk\n"
    )


def test_a_database_that_another_tool_has_locked(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    (registered,), (driver,) = drivers_of(data, 1, 1)
    service = start(tmp_path, settings)
    client = connect(service.url)
    tool = sqlite3.connect(data / "roadworthy.db", isolation_level=None)

    tool.execute("BEGIN IMMEDIATE")
    hold_unavailable(driver.send(client, "POST", FIELDS))
    assert registered.send(client, "GET").status == 200
    wait_for_log(service, '"reason":"database is locked"')
    tool.execute("ROLLBACK")
    tool.close()

    assert driver.send(client, "POST", FIELDS).status == 200


@pytest.mark.parametrize("takes", ["away", "it and leaves an empty one"])
def test_a_database_that_somebody_takes(
    takes: str,
    data: Path,
    settings: dict[str, str],
    start: Start,
    connect: Connect,
    tmp_path: Path,
) -> None:
    """SQLite would go on writing to the file that is no longer there."""
    _, (driver, other) = drivers_of(data, 0, 2)
    service = start(tmp_path, settings)
    client = connect(service.url)
    assert driver.send(client, "POST", FIELDS).status == 200
    taken = _take(data, tmp_path / "taken")
    if takes == "it and leaves an empty one":
        (data / "roadworthy.db").touch()

    hold_unavailable(other.send(client, "POST", FIELDS))
    hold_unavailable(client.send("GET", "/up"))
    wait_for_log(service, "unable to open database file" if takes == "away" else "was emptied")
    for file in taken:
        file.rename(data / file.name)

    assert other.send(client, "POST", FIELDS).status == 200
    assert client.send("GET", "/up").status == 200
    assert driver.send(client, "GET").status == 200


def test_a_database_that_somebody_takes_and_puts_a_copy_there(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    _, (driver, other) = drivers_of(data, 0, 2)
    client = connect(start(tmp_path, settings).url)
    with closing(open_tables(f"sqlite:///{data}/roadworthy.db")) as tables:
        wait_for_first_jobs(tables)  # else theirs may be the write that is refused
    assert driver.send(client, "POST", FIELDS).status == 200
    for file in _take(data, tmp_path / "taken"):
        shutil.copy(file, data)

    hold_unavailable(other.send(client, "POST", FIELDS))
    assert other.send(client, "POST", FIELDS).status == 200
    assert client.send("GET", "/up").status == 200
    assert driver.send(client, "GET").status == 200


def _take(data: Path, to: Path) -> list[Path]:
    """The database's files, where they are now."""
    to.mkdir()
    return [file.rename(to / file.name) for file in data.glob("roadworthy.db*")]


def test_of_a_database_restored_in_place_nothing_is_shown_that_was_in_the_other(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """By SQLite's own means, which leave the file where it is and tell nobody."""
    (driver,), _ = drivers_of(data, 1, 0)
    file, backup = data / "roadworthy.db", tmp_path / "backup.db"
    client = connect(start(tmp_path, settings).url)
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
        assert driver.send(client, "PATCH", {"postcode": "before"}).status == 200
        assert driver.send(client, "GET").json["profile"]["postcode"] == "before"
        copy.backup(live)
        live.execute(
            "UPDATE profiles SET postcode = 'after', version = version + 1,"
            " updated_at = '2026-01-02T03:04:05.678901Z'"
        )
        live.commit()

    assert driver.send(client, "GET").json["profile"]["postcode"] == "after"


@pytest.mark.parametrize("taken", ["wal", "[ws][ah][lm]"])
def test_a_log_that_somebody_deletes_takes_nothing_with_it(
    taken: str, settings: dict[str, str], data: Path, start: Start, connect: Connect
) -> None:
    """It holds what was written last; who has it open can still read it."""
    _, drivers = drivers_of(data, 0, 5)
    service = start(data, settings, "--workers", "1")
    for driver in drivers[:2]:
        assert driver.send(connect(service.url), "POST", FIELDS).status == 200
    log = data / "roadworthy.db-wal"
    for file in data.glob(f"roadworthy.db-{taken}"):
        file.unlink()

    # Looked at once a second.
    wait_until(lambda: "put away or replaced" in service.log and log.exists())
    for driver in drivers[2:]:
        wait_until(lambda: driver.send(connect(service.url), "POST", FIELDS).status == 200)  # noqa: B023
    for file in data.glob(f"roadworthy.db-{taken}"):
        file.unlink()
    hold_unavailable(drivers[0].send(connect(service.url), "PATCH", {"postcode": "AB1"}))
    for driver in drivers * 3:
        assert driver.send(connect(service.url), "GET").status in {200, 503}
    service.kill()
    client = connect(start(data, settings).url)
    assert [driver.send(client, "GET").status for driver in drivers] == [200] * 5


def test_of_a_restored_database_nothing_is_shown_that_was_in_the_other(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """There the same version may be of other content."""
    (driver,), _ = drivers_of(data, 1, 0)
    file, backup = data / "roadworthy.db", tmp_path / "backup.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    client = connect(start(tmp_path, settings).url)
    assert driver.send(client, "PATCH", {"postcode": "before"}).status == 200
    assert driver.send(client, "GET").json["profile"]["postcode"] == "before"

    for left in data.glob("roadworthy.db*"):
        left.unlink()
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE profiles SET postcode = 'after', version = version + 1")
        connection.commit()
    shutil.copy(backup, file)

    wait_until(lambda: driver.send(client, "GET").json.get("profile", {})["postcode"] == "after")


def test_a_database_whose_pages_are_overwritten(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """Its first page still says that all is well."""
    registered, _ = drivers_of(data, 200, 0)
    file = data / "roadworthy.db"
    pages = file.read_bytes()
    file.write_bytes(pages[:4096] + b"\xa5" * (len(pages) - 4096))
    failed = run("serve", "--port", "0", settings=settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "roadworthy: cannot use the database: database disk image is malformed: "
        "put a backup in its place\n"
    )

    # The same, while it serves.
    file.write_bytes(pages)
    service = start(tmp_path, settings)
    client = connect(service.url)
    file.write_bytes(pages[:4096] + b"\xa5" * (len(pages) - 4096))
    for driver in registered:
        answer = driver.send(client, "GET")
        assert answer.status in {200, 503}, answer
        if answer.status == 200:
            assert answer.json["profile"]["email"] == driver.email
    file.write_bytes(pages)
    # By chance it is looked at between a page and the next, and SQLite throws its log away: then
    # it rests, for five seconds.
    until = time.monotonic() + 15
    while registered[0].send(client, "GET").status != 200:
        assert time.monotonic() < until, f"it does not go on by itself:\n{service.errors}"


def test_a_database_that_is_empty_for_a_while(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """As when a copy is put over it: SQLite would begin it anew, in the midst of that, or write
    there what it has in its log.
    """
    (registered,), (driver, *others) = drivers_of(data, 1, 21)
    file = data / "roadworthy.db"
    service = start(tmp_path, settings)
    client = connect(service.url)
    for other in others:
        assert other.send(client, "POST", FIELDS).status == 200
    pages = file.read_bytes()
    file.write_bytes(b"")

    wait_until(lambda: registered.send(client, "GET").status == 503)
    for _ in range(3):
        hold_unavailable(registered.send(client, "GET"))
        hold_unavailable(driver.send(client, "POST", FIELDS))
        hold_unavailable(client.send("GET", "/up"))
    wait_for_log(
        service, f'"{file} was emptied","advice":"stop the service, and put a backup in its place"'
    )
    assert file.stat().st_size == 0
    file.write_bytes(pages)

    for each in (registered, *others):
        assert each.send(client, "GET").status == 200
    assert driver.send(client, "POST", FIELDS).status == 200


def test_an_empty_file_is_left_as_it_is(tmp_path: Path) -> None:
    """Emptied after it was looked at, and before SQLite has it open."""
    file, log = tmp_path / "roadworthy.db", tmp_path / "roadworthy.db-wal"
    file.touch()
    log.write_bytes(b"what was written last")
    with pytest.raises(OperationalError, match=f"{file} was emptied"):
        sqlite_engine(str(file)).connect()
    with pytest.raises(Unavailable, match=f"{file} was emptied"):
        work_apart(f"sqlite:///{file}", lambda _: None)
    with pytest.raises(MigrationError, match="the database is empty"):
        require_head(f"sqlite:///{file}")
    assert (file.stat().st_size, log.read_bytes()) == (0, b"what was written last")


def test_what_holds_no_table_of_ours_takes_no_writes(tmp_path: Path) -> None:
    """To write nothing would be enough to make an emptied file a new database."""
    with (
        sqlite_engine(str(tmp_path / "new.db"), create=True).connect() as connection,
        pytest.raises(OperationalError, match="no such table"),
    ):
        write_nothing(connection)


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_folder_whose_database_was_emptied_is_not_begun_anew(
    left: str, data: Path, settings: dict[str, str], start: Start, tmp_path: Path
) -> None:
    start(tmp_path, settings).stop()
    (data / "roadworthy.db").unlink()
    if left == "an empty file":
        (data / "roadworthy.db").touch()
    failed = run("serve", "--port", "0", settings=settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"roadworthy: {data}/roadworthy.db was emptied or taken away: put a backup in its place, "
        f"or delete {data}/roadworthy.db-turn to begin anew\n"
    )


def test_a_start_that_was_cut_short_is_made_good(
    settings: dict[str, str], data: Path, start: Start, tmp_path: Path
) -> None:
    """There is a secret already, and a file in which nothing was written yet."""
    (data / "secret").write_text("made by the start that was cut short")
    (data / "roadworthy.db").unlink()
    (data / "roadworthy.db").touch()
    (data / "roadworthy.db").chmod(0o644)
    assert _is_served(start(tmp_path, settings).url)


def test_what_an_earlier_release_let_others_read(
    settings: dict[str, str], data: Path, start: Start, tmp_path: Path
) -> None:
    (data / "roadworthy.db").chmod(0o644)
    start(tmp_path, settings)
    modes = {file.name: file.stat().st_mode & 0o777 for file in data.glob("roadworthy.db*")}
    assert set(modes.values()) == {0o600}, modes


def test_a_folder_that_may_only_be_read(data: Path, settings: dict[str, str]) -> None:
    data.chmod(0o555)
    (data / "roadworthy.db").chmod(0o444)
    failed = _serve_without_override(settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "roadworthy: cannot use the database: attempt to write a readonly database: "
        "let this user write to the file and its folder\n"
    )


def test_a_folder_that_may_only_be_read_when_the_service_was_killed(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """What it left beside the database is there, so that reading works; then rights come back."""
    _, (driver,) = drivers_of(data, 0, 1)
    service = start(tmp_path, settings)
    client = connect(service.url)
    assert driver.send(client, "GET").status == 404
    service.kill()
    data.chmod(0o555)
    for file in data.iterdir():
        file.chmod(0o444)
    failed = _serve_without_override(settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "let this user write to the file and its folder" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_killed_server_leaves_no_process_that_serves(
    settings: dict[str, str], start: Start, tmp_path: Path
) -> None:
    """The port is free for who is started in its place."""
    service = start(tmp_path, settings, "--workers", "2")
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()

    until = time.monotonic() + 30
    while _is_served(service.url):
        assert time.monotonic() < until, "its server processes live on"
        time.sleep(0.1)
    port = service.url.rpartition(":")[2]
    assert start(tmp_path, settings, "--port", port).url == service.url


@pytest.mark.parametrize("milliseconds", [0, 20, 40, 60, 80, 100, 120])
def test_killed_while_it_starts_it_leaves_no_process(
    settings: dict[str, str], milliseconds: int
) -> None:
    """Whatever its server processes have loaded by then."""
    command = [*COMMAND, "serve", "--port", "0", "--workers", "2"]
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as service:
        wait_until(lambda: children(service.pid), "a server process")
        time.sleep(milliseconds / 1000)
        left = children(service.pid)
        service.kill()

    try:
        wait_until(lambda: not any(map(_runs, left)), "the end of its server processes")
    finally:
        for pid in filter(_runs, left):
            os.kill(pid, signal.SIGKILL)


def test_the_end_of_server_processes_is_told_and_the_others_serve_on(
    settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """However often, and soon after one another."""
    service = start(tmp_path, settings, "--workers", "2")
    ends = []
    for how in (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS):
        killed = children(service.process.pid)[0]
        os.kill(killed, how)
        ends.append({"pid": killed, "signal": how.name})
        wait_until(lambda: len(_ends(service)) == len(ends))
        assert connect(service.url).send("GET", "/up").status == 200
        wait_until(lambda: list(map(_serves, children(service.process.pid))) == [True, True])

    assert _ends(service) == ends
    assert service.stop() == 0


def test_only_when_no_server_process_comes_to_serve_is_it_over(
    data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """As long as one serves, the others are tried again until the cause is gone."""
    del settings["ROADWORTHY_SECRET_KEY"]
    service = start(tmp_path, settings, "--workers", "2")
    secret = (data / "secret").read_text()
    wait_until(lambda: _listening(service) == 2)

    (data / "secret").write_text("")
    os.kill(children(service.process.pid)[0], signal.SIGKILL)
    wait_until(lambda: len(_ends(service)) == 1 + MOST_FAILURES)
    assert [end.get("status") for end in _ends(service)[1:]] == [1] * MOST_FAILURES
    for _ in range(12):
        assert connect(service.url).send("GET", "/up").status == 200
    (data / "secret").write_text(secret)
    wait_until(lambda: _listening(service) == 2)

    (data / "secret").write_text("")
    for each in children(service.process.pid):
        os.kill(each, signal.SIGKILL)
    assert service.process.wait(30) == 1
    assert service.errors.splitlines()[-1] == (
        "roadworthy: the server processes end before they serve: see why in the log above"
    )


def _serves(pid: int) -> bool:
    """Only then may it be told to stop."""
    blocked = re.search(r"^SigBlk:\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return blocked is not None and not int(blocked[1], 16) & 1 << signal.SIGTERM - 1


def _listening(service: Service) -> int:
    """How many of its sockets take connections; one is of each server process."""
    port = int(service.url.rpartition(":")[2])
    return len(re.findall(f":{port:04X} 00000000:0000 0A ", Path("/proc/net/tcp").read_text()))


def _ends(service: Service) -> list[dict[str, object]]:
    """Of its server processes, as the log tells them."""
    lines = [json.loads(line) for line in service.errors.splitlines() if line.startswith("{")]
    return [
        {name: value for name, value in line.items() if name not in {"event", "timestamp"}}
        for line in lines
        if line["event"] == "server process ended"
    ]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # nobody may have come for it


def _is_served(url: str) -> bool:
    client = Client(url)
    try:
        return client.send("GET", "/up").status == 200
    except OSError:
        return False
    finally:
        client.close()


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "list"),
        ("maintain",),
        ("maintain", "--dry-run"),
        ("tombstones", "apply", "var/tombstones"),
    ],
    ids=" ".join,
)
def test_a_command_in_the_wrong_folder_makes_nothing_there(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    failed = run(*command, settings={"ROADWORTHY_DATA_DIR": str(tmp_path / "none")})

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"roadworthy: there is no database at {tmp_path}/none/roadworthy.db: "
        "is ROADWORTHY_DATA_DIR right? (`roadworthy migrate` makes a new one there)\n"
    )
    assert not (tmp_path / "none").exists()


def test_a_database_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    settings = {
        "ROADWORTHY_DATA_DIR": str(tmp_path),
        "ROADWORTHY_DATABASE_URL": f"sqlite:///{tmp_path}/none/x.db",
    }
    failed = run("serve", "--port", "0", settings=settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"roadworthy: cannot use the database: there is no folder {tmp_path}/none: "
        "make it, or mend ROADWORTHY_DATABASE_URL\n"
    )


def test_work_that_is_due_on_a_full_disk(
    disk: Disk, settings: dict[str, str], start: Start, tmp_path: Path
) -> None:
    """The advice is the one of `serve`."""
    start(tmp_path, settings).stop()
    disk.set_clock(DAY)
    disk.fill()
    failed = run("maintain", settings={**settings, **disk.settings})

    assert (failed.returncode, failed.stdout) == (1, "")
    said = failed.stderr.splitlines()[-1]
    assert said.startswith("roadworthy: cannot use the database: ")
    assert "make room on its disk" in said


def test_a_secret_that_may_not_be_read(data: Path) -> None:
    (data / "secret").write_text("of somebody else")
    (data / "secret").chmod(0o000)
    failed = _run_without_override({"ROADWORTHY_DATA_DIR": str(data)}, "maintain")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"roadworthy: cannot use {data}/secret: Permission denied: "
        "run this as the user who serves\n"
    )


def test_a_folder_that_may_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    failed = _serve_without_override({"ROADWORTHY_DATA_DIR": str(tmp_path / "locked" / "data")})

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"roadworthy: cannot use {tmp_path}/locked/data: Permission denied: "
        "set ROADWORTHY_DATA_DIR to a folder that this user may write to, and that has room\n"
    )


def _serve_without_override(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return _run_without_override(settings, "serve", "--port", "0")


def _run_without_override(
    settings: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """As any user does: root may do everything because of this one capability, or two."""
    overrides = "-dac_override,-dac_read_search"
    plain = ("setpriv", f"--bounding-set={overrides}", f"--inh-caps={overrides}")
    return subprocess.run(
        [*(plain if os.geteuid() == 0 else ()), *COMMAND, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_clock_that_moves(
    disk: Disk, data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """Tokens end by the clock; nothing else minds it."""
    (registered,), (driver, late) = drivers_of(data, 1, 2)
    service = start(tmp_path, {**settings, **disk.settings})
    client = connect(service.url)

    disk.set_clock(29 * DAY)
    assert driver.send(client, "POST", FIELDS, {"idempotency-key": "a"}).status == 200
    assert registered.send(client, "PATCH", {"postcode": "ahead"}).status == 200

    disk.set_clock(31 * DAY)
    expired = registered.send(client, "GET")
    assert (expired.status, expired.json) == (401, {"error": "Signature has expired"})

    disk.set_clock(-5 * DAY)
    assert registered.send(client, "PATCH", {"postcode": "behind"}).status == 200
    assert registered.send(client, "GET").json["profile"]["postcode"] == "behind"
    again = driver.send(client, "POST", FIELDS, {"idempotency-key": "a"})
    assert again.status == 200, "a key kept in what is now the future is forgotten"
    assert late.send(client, "POST", FIELDS).status == 200
    assert client.send("GET", "/up").status == 200
    assert service.errors == ""


SIGN_OUT = "/api/v1/users/sign_out"
REVOKED = (401, {"error": "revoked token"})


def test_a_clock_that_was_ahead_brings_back_no_token_that_was_signed_out(
    disk: Disk, data: Path, settings: dict[str, str], start: Start, connect: Connect, tmp_path: Path
) -> None:
    """Neither one that leaps while we serve, twice, nor one that is ahead as we start."""
    _, (driver, later) = drivers_of(data, 0, 2)
    tables = open_tables(f"sqlite:///{data}/roadworthy.db")
    service = start(tmp_path, {**settings, **disk.settings})
    _purge_planned(tables, lambda ahead: ahead > 0)
    _sign_out(connect(service.url), driver)
    for days in (31, 62, 93):
        disk.set_clock(days * DAY)
        time.sleep(3 * POLL_SECONDS)
    disk.set_clock(0)
    _sign_out(connect(service.url), later)
    assert _shown(connect(service.url), driver) == REVOKED
    service.stop()

    disk.set_clock(31 * DAY)
    service = start(tmp_path, {**settings, **disk.settings})
    _purge_planned(tables, lambda ahead: ahead > 30 * DAY)
    disk.set_clock(0)
    _purge_planned(tables, lambda ahead: ahead <= HOUR)
    for each in (driver, later):
        assert _shown(connect(service.url), each) == REVOKED
    tables.close()


def _sign_out(client: Client, driver: Driver) -> None:
    assert client.send("DELETE", SIGN_OUT, driver.signed).status == 204


def _shown(client: Client, driver: Driver) -> tuple[int, object]:
    answer = driver.send(client, "GET")
    return answer.status, answer.json


def _purge_planned(tables: Tables, fits: Callable[[float], bool]) -> None:
    """Wait until the purge is to come in so many seconds, by the right clock, as `fits`."""
    until = time.monotonic() + 20
    while not any(fits(job["run_at"].timestamp() - time.time()) for job in tables.rows("jobs")):
        assert time.monotonic() < until, tables.rows("jobs")
        time.sleep(0.05)
