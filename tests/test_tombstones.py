"""What ended is noted apart from the database, so that no older database revives it."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadworthy.tombstones import Copy, Tombstone, bury_token, read_copy
from tests.conftest import SETTINGS, Place
from tests.support.client import Client
from tests.support.drivers import PASSWORD, PROFILE_PATH, Driver, new_driver
from tests.support.purging import purge_now
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables
from tests.support.tokens import claims, forge, payload_of
from tests.support.waiting import wait_until

Start = Callable[..., Service]
Connect = Callable[[str], Client]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
JSON = {"content-type": "application/json"}


@pytest.fixture
def at(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


def sign_out(client: Client, driver: Driver) -> None:
    answer = client.send("DELETE", "/api/v1/users/sign_out", driver.signed)
    assert answer.status == 204, answer


def jtis(file: Path) -> list[str]:
    return [each.jti or "" for each in read_copy(file).tombstones]


def test_sign_outs_are_noted_apart_by_numbers_alone(
    place: Place, at: Tables, start: Start, connect: Connect
) -> None:
    drivers = [new_driver(at) for _ in range(12)]
    service = start(place.folder, place.settings, "--workers", "2")
    client = connect(service.url)
    for driver in drivers:
        sign_out(client, driver)
        sign_out(client, driver)
    service.stop()

    file = place.folder / "tombstones"
    assert sorted(jtis(file)) == sorted(payload_of(d.token)["jti"] for d in drivers)
    assert file.stat().st_mode & 0o777 == 0o600
    for line in file.read_text().splitlines():
        assert json.loads(line).keys() in (
            {"id", "kind", "jti", "expires_at", "database"},
            {"complete_to", "database"},
        )
    assert service.errors == ""


def test_a_running_service_does_not_wait_for_its_end(
    place: Place, at: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    """In a folder of the operator's choice."""
    apart = tmp_path / "apart"
    apart.mkdir()
    settings = {**place.settings, "ROADWORTHY_TOMBSTONES_DIR": str(apart)}
    first, second = new_driver(at), new_driver(at)
    client = connect(start(tmp_path, settings).url)
    sign_out(client, first)
    wait_until(lambda: len(jtis(apart / "tombstones")) == 1)

    (apart / "tombstones").unlink()
    sign_out(client, second)
    wait_until(lambda: (apart / "tombstones").exists() and len(jtis(apart / "tombstones")) == 2)
    assert not (place.folder / "tombstones").exists()


def test_a_folder_that_is_gone_is_said_once_and_stops_nobody(
    place: Place, at: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    apart = tmp_path / "apart"
    settings = {**place.settings, "ROADWORTHY_TOMBSTONES_DIR": str(apart)}
    driver = new_driver(at)
    service = start(tmp_path, settings)
    client = connect(service.url)
    sign_out(client, driver)
    wait_until(lambda: "No such file or directory" in service.log)
    apart.mkdir()
    file = apart / "tombstones"
    wait_until(lambda: file.exists() and len(jtis(file)) > 0)

    assert jtis(file) == [payload_of(driver.token)["jti"]]
    assert service.errors.count("No such file or directory") == 1


def test_purge_forgets_those_of_tokens_that_expired(place: Place, at: Tables) -> None:
    for name, expires_at in (("old", NOW - DAY), ("new", NOW + DAY), ("ever", None)):
        at.inspect(partial(bury_token, jti=name, expires_at=expires_at))
    purge_now(place.settings, at)

    assert [row["jti"] for row in at.rows("tombstones")] == ["new", "ever"]


def token_tombstone(number: int) -> Tombstone:
    return Tombstone(number, "token", jti=str(number))


def bring_up_to_date(copy: Copy, numbers: list[int]) -> None:
    """As the keeper does, from a database that has `numbers`."""
    after = copy.look(["ours"])
    known = sorted(number for number in numbers if number > after)
    copy.append(token_tombstone(number) for number in copy.lacks(known))
    copy.has(max(known, default=after))


def numbers_in(path: Path) -> list[int]:
    return [tombstone.id for tombstone in read_copy(path).tombstones]


@given(
    ids=st.permutations(range(1, 9)),
    harm=st.lists(st.sampled_from(["nothing", "torn", "gone", "emptied", "by another"])),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_befalls_a_copy_it_has_them_all_in_the_end(
    tmp_path: Path, ids: list[int], harm: list[str]
) -> None:
    """In whatever order transactions commit: ids are not in that order on PostgreSQL."""
    path = tmp_path / "tombstones"
    path.unlink(missing_ok=True)
    ours, others = Copy(path, make=True), Copy(path, make=True)
    for count, what in itertools.zip_longest(range(1, len(ids) + 1), harm):
        there = ids[: count or len(ids)]
        if path.exists():
            befall(path, what, others, there)
        bring_up_to_date(ours, there)

    assert set(numbers_in(path)) == set(range(1, 9))


def befall(path: Path, what: str | None, others: Copy, there: list[int]) -> None:
    if what == "torn":
        with path.open("ab") as file:
            file.write(b'{"id":3,"kind":"tok')
    elif what == "gone":
        path.unlink()
    elif what == "emptied":
        path.write_bytes(b"")
    elif what == "by another":
        bring_up_to_date(others, there)


def test_those_who_append_at_once_append_each_once(tmp_path: Path) -> None:
    path = tmp_path / "tombstones"
    copies = [Copy(path, make=True) for _ in range(4)]

    def append(copy: Copy) -> None:
        for count in range(1, 100):
            bring_up_to_date(copy, list(range(1, count)))

    with ThreadPoolExecutor(len(copies)) as threads:
        list(threads.map(append, copies))

    assert sorted(numbers_in(path)) == list(range(1, 99))


def test_several_databases_may_have_one_copy(tmp_path: Path) -> None:
    """As when two services back up into one folder: their ids are the same, and they are not."""
    path = tmp_path / "tombstones"
    for name, count in (("one", 3), ("other", 2), ("one", 4)):
        copy = Copy(path, make=True)
        after = copy.look([name])
        copy.append(token_tombstone(number) for number in copy.lacks(range(after + 1, count + 1)))

    found = [(each.database, each.id) for each in read_copy(path).tombstones]
    assert sorted(found) == [("one", n) for n in (1, 2, 3, 4)] + [("other", n) for n in (1, 2)]


def test_a_copy_says_each_hour_to_what_time_it_is_complete(tmp_path: Path) -> None:
    """Once, however many processes keep it; and a clock that was wrong is put right."""
    path = tmp_path / "tombstones"
    copies = [Copy(path, make=True) for _ in range(2)]
    for hours in (0, 0.5, 0.99, 1, 1.5, 99, 2):
        for copy in copies:
            copy.look(["first", "ours"])
            copy.is_complete(NOW + timedelta(hours=hours))

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    said = [line["complete_to"] for line in lines]
    assert {(line["database"], *line["of"]) for line in lines} == {("ours", "first")}
    expected = [NOW + timedelta(hours=hours) for hours in (0, 1, 99, 2)]
    assert [datetime.fromisoformat(each) for each in said] == expected
    found = read_copy(path)
    assert (found.tombstones, found.unread) == ([], 0)


def test_a_copy_beside_backups_is_not_made_on_an_unmounted_disk(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "tombstones", make=False)
    with pytest.raises(FileNotFoundError):
        copy.append([token_tombstone(1)])

    assert list(tmp_path.iterdir()) == []


def _line(number: int, kind: str, **values: object) -> str:
    given = {key: v.isoformat() if isinstance(v, datetime) else v for key, v in values.items()}
    return json.dumps({"id": number, "kind": kind, **given}) + "\n"


def test_applied_to_a_database_put_back_they_end_again_what_had_ended(
    place: Place, at: Tables, start: Start, connect: Connect, tmp_path: Path
) -> None:
    left, changed, kept = (new_driver(at) for _ in range(3))
    changed_later = new_driver(at, password_changed_at=NOW)
    token = forge(claims(kept.id, jti="one"))
    for who in (left, changed, changed_later):
        keep_session(at, who)
    file = tmp_path / "noted"
    file.write_text(
        _line(11, "token", jti="one", expires_at=NOW + DAY)
        + _line(12, "token", jti="expired", expires_at=NOW - DAY)
        + _line(13, "password", user_id=changed.id, happened_at=NOW)
        + _line(14, "password", user_id=changed_later.id, happened_at=NOW - DAY)
        + _line(15, "account", user_id=left.id, happened_at=NOW)
        + _line(16, "account", user_id=10_000, happened_at=NOW)
        + _line(2**63 - 1, "account", user_id=left.id, happened_at=NOW)
        + _line(17, "account", user_id=10**20, happened_at=NOW)
        + '{"id":18,"kind":"account","user_id":1,"happened_at":"0001-01-01T00:00:00+23:59"}\n'
        + '{"id":19,"kind":"tok'
    )

    first, again = (
        run("tombstones", "apply", "--latest-tombstones", str(file), settings=place.settings)
        for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, ""), first
    assert first.stdout == (
        "Of what the tombstones name, these were alive and are no more: "
        "tokens: 1, passwords: 1, accounts: 1.\n"
        "Lines that are no tombstones, as after a power cut, were passed over: 4.\n"
    )
    assert "tokens: 0, passwords: 0, accounts: 0." in again.stdout

    client = connect(start(tmp_path, place.settings).url)
    assert look(client, token) == (401, {"error": "revoked token"})
    assert look(client, left.token) == (401, {"error": "nil user"})
    assert look(client, changed.token) == (401, {"error": "revoked token"})
    assert look(client, changed_later.token)[0] == look(client, kept.token)[0] == 404
    for who, status in ((left, 401), (changed, 401), (changed_later, 201), (kept, 201)):
        assert sign_in(client, who.email) == status, who
    (account,) = at.rows("users", id=left.id)
    assert (account["email"], account["closed_at"]) == (f"closed-{left.id}", NOW)
    kinds = [row["kind"] for row in at.rows("tombstones")]
    assert kinds == ["token", "password", "password", "account", "account"], "some are there twice"
    assert sign_up(client) > 1_010_000, "an id that a tombstone names is given again"
    assert at.add("tombstones", kind="token", jti="two") > 1_000_016


def keep_session(tables: Tables, driver: Driver) -> None:
    claimed = payload_of(driver.token)
    expires_at = datetime.fromtimestamp(claimed["exp"], UTC)
    row = {"jti": claimed["jti"], "user_id": driver.id, "expires_at": expires_at}
    tables.execute(tables["sessions"].insert().values(created_at=NOW, **row))


def look(client: Client, token: str) -> tuple[int, object]:
    answer = client.send("GET", PROFILE_PATH, {"authorization": f"Bearer {token}"})
    return answer.status, answer.json


def sign_in(client: Client, email: str) -> int:
    user = json.dumps({"user": {"email": email, "password": PASSWORD}})
    return client.send("POST", "/api/v1/users/sign_in", JSON, user).status


def sign_up(client: Client) -> int:
    user = json.dumps({"user": {"email": f"{time.monotonic()}@example.com", "password": PASSWORD}})
    answer = client.send("POST", "/api/v1/users", JSON, user)
    assert answer.status == 201, answer
    return int(answer.json["id"])


def test_a_copy_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    settings = {**SETTINGS, "ROADWORTHY_DATA_DIR": str(tmp_path)}
    assert run("migrate", settings=settings).returncode == 0
    failed = run("tombstones", "apply", str(tmp_path / "none"), settings=settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"roadworthy: cannot read {tmp_path}/none: No such file or directory\n"
