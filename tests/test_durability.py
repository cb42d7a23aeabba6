"""What was answered is kept: through SIGKILL, a power cut, and the loss of PostgreSQL."""

import asyncio
import json
import random
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import Connection, text

from roadworthy.migrations import migrate
from tests.conftest import SETTINGS, SOAK, Place
from tests.support.client import Client, hold_unavailable
from tests.support.crowd import Crowd
from tests.support.disk import Disk
from tests.support.drivers import FIELDS, PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.postgres import Cluster
from tests.support.service import Service
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_until

Start = Callable[..., Service]
Connect = Callable[[str], Client]

KILLS = 100 if SOAK else 6
CUTS = 500 if SOAK else 25
OUTAGES = 50 if SOAK else 3


def hold_everything_answered(
    client: Client, tables: Tables, drivers: list[Driver], crowd: Crowd
) -> None:
    """Who was answered finds those very bytes; who was not is registered whole or not at all."""
    for driver in drivers:
        shown = driver.send(client, "GET")
        if driver.id in crowd.bodies:
            assert shown.status == 200, f"an answered create is lost:\n{shown}"
            assert shown.body == crowd.bodies[driver.id]
        profiles = len(tables.rows("profiles", user_id=driver.id))
        keys = len(tables.rows("idempotency_keys", user_id=driver.id))
        assert (profiles, keys, shown.status) in {(1, 1, 200), (0, 0, 404)}, "half a create is left"


@pytest.fixture
def place_tables(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


def test_killed_in_the_middle_of_creates(
    place: Place, place_tables: Tables, start: Start, connect: Connect
) -> None:
    chance = random.Random(1)  # noqa: S311
    service = start(place.folder, place.settings)
    for kill in range(KILLS):
        drivers = [new_driver(place_tables) for _ in range(80)]
        crowd = Crowd(service.url, drivers)
        crowd.wait_for(chance.randrange(1, 60))
        service.kill()
        crowd.join()
        service = start(place.folder, place.settings, "--workers", str(1 + kill % 2))

        hold_everything_answered(connect(service.url), place_tables, drivers, crowd)
        assert set(crowd.statuses) == {200}, crowd.statuses


@pytest.mark.parametrize("workers", ["1", "2"])
def test_power_cuts(disk: Disk, start: Start, tmp_path: Path, workers: str) -> None:
    """Cut at any moment, with nothing unsynced kept or with some of it: what had been answered by
    then is there.
    """
    crowd, drivers, snapshot = _registered_on(disk, start, tmp_path, workers)
    chance = random.Random(int(workers))  # noqa: S311
    for number in range(CUTS):
        moment = chance.randrange(disk.moment)
        left = disk.after_power_cut(snapshot, moment, chance if number % 2 else None)
        kept = _registered_in(left)
        answered = {who for who, at in crowd.answered_at.items() if at <= moment}
        assert answered <= kept, f"{len(answered - kept)} answered creates are lost at {moment}"
        assert kept <= {driver.id for driver in drivers}


def test_power_cuts_on_a_disk_that_lies_lose_creates(
    disk: Disk, start: Start, tmp_path: Path
) -> None:
    """Nothing could hold then: the tests above are able to fail."""
    crowd, _, snapshot = _registered_on(disk, start, tmp_path, "1")
    left = disk.after_power_cut(snapshot, disk.moment, None, lies=True)

    assert crowd.bodies.keys() - _registered_in(left)


def _registered_on(
    disk: Disk, start: Start, tmp_path: Path, workers: str
) -> tuple[Crowd, list[Driver], Path]:
    """A crowd that registered from a snapshot on; the service is gone."""
    settings = {**SETTINGS, "ROADWORTHY_DATA_DIR": str(disk.folder)}
    tables = open_tables(f"sqlite:///{disk.folder}/roadworthy.db")
    drivers = [new_driver(tables) for _ in range(400)]
    tables.close()
    snapshot = disk.snapshot()
    service = start(tmp_path, {**settings, **disk.settings}, "--workers", workers)
    crowd = Crowd(service.url, drivers, 16, lambda: disk.moment)
    crowd.join()
    service.kill()
    assert set(crowd.statuses) == {200}, crowd.statuses
    return crowd, drivers, snapshot


def _registered_in(folder: Path) -> set[int]:
    """Whose create is in the database that a power cut left, whole, with its key."""
    tables = open_tables(f"sqlite:///{folder}/roadworthy.db")
    (check,) = tables.inspect(
        lambda connection: connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    )
    profiles = {row["user_id"] for row in tables.rows("profiles")}
    keys = {row["user_id"] for row in tables.rows("idempotency_keys")}
    tables.close()
    assert check == "ok"
    assert profiles == keys, "half a create is left"
    return profiles


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be halted."""
    cluster = Cluster()
    yield cluster
    cluster.stop()


_names = count(1)


@pytest.fixture
def on_postgresql(own_cluster: Cluster, tmp_path: Path) -> Place:
    url = own_cluster.create(f"outage_{next(_names)}")
    migrate(url)
    return Place(tmp_path, url)


def _end_connections(cluster: Cluster, place: Place) -> None:
    cluster.end_connections(place.url.rpartition("/")[2])


def _restart(cluster: Cluster, _: Place) -> None:
    cluster.halt()
    cluster.resume()


def _crash(cluster: Cluster, _: Place) -> None:
    cluster.halt(signal.SIGQUIT)
    cluster.resume()


@pytest.mark.parametrize("outage", [_end_connections, _restart, _crash], ids=lambda f: f.__name__)
def test_postgresql_goes_away_in_the_middle_of_creates(
    on_postgresql: Place,
    own_cluster: Cluster,
    start: Start,
    connect: Connect,
    outage: Callable[[Cluster, Place], None],
) -> None:
    """Who waits is answered 503 and may try again; service goes on by itself."""
    tables = open_tables(on_postgresql.url)
    drivers = [new_driver(tables) for _ in range(OUTAGES * 150)]
    tables.close()
    service = start(on_postgresql.folder, on_postgresql.settings)
    crowd = Crowd(service.url, drivers)
    for number in range(OUTAGES):
        crowd.wait_for(number * 100 + 50)
        outage(own_cluster, on_postgresql)
    crowd.join()

    client = connect(service.url)
    tables = open_tables(on_postgresql.url)
    assert set(crowd.statuses) <= {200, 503}, crowd.statuses
    assert not crowd.broken, crowd.broken
    assert len(crowd.bodies) == len(drivers), "not everyone is registered in the end"
    hold_everything_answered(client, tables, drivers, crowd)
    tables.close()
    assert "Traceback" not in service.errors, service.errors


def test_postgresql_that_is_away_is_said_so(
    on_postgresql: Place, own_cluster: Cluster, start: Start, connect: Connect
) -> None:
    tables = open_tables(on_postgresql.url)
    driver = new_driver(tables)
    tables.close()
    service = start(on_postgresql.folder, on_postgresql.settings)
    client = connect(service.url)
    assert client.send("GET", "/up").status == 200

    own_cluster.halt()
    for method, path in (("GET", "/up"), ("GET", PROFILE_PATH), ("POST", PROFILE_PATH)) * 5:
        hold_unavailable(client.send(method, path, driver.signed))
    own_cluster.resume()

    wait_until(lambda: client.send("GET", "/up").status == 200, lambda: service.errors)
    assert driver.send(client, "GET").status == 404
    said = [line for line in service.errors.splitlines() if '"event":"database"' in line]
    reasons = [json.loads(line).get("advice") and json.loads(line)["reason"] for line in said]
    assert len(reasons) == len(set(reasons)), "what is known is said again"


def test_postgresql_that_takes_no_connections(
    on_postgresql: Place, own_cluster: Cluster, start: Start, connect: Connect
) -> None:
    """Of a database whose operator works on it."""
    tables = open_tables(on_postgresql.url)
    driver = new_driver(tables)
    tables.close()
    service = start(on_postgresql.folder, on_postgresql.settings)
    client = connect(service.url)
    assert driver.send(client, "GET").status == 404

    _alter(on_postgresql, "ALLOW_CONNECTIONS false")
    _end_connections(own_cluster, on_postgresql)
    for method, path in (("GET", "/up"), ("GET", PROFILE_PATH), ("POST", PROFILE_PATH)):
        hold_unavailable(client.send(method, path, driver.signed))
    _alter(on_postgresql, "ALLOW_CONNECTIONS true")

    assert driver.send(client, "POST", FIELDS).status == 200
    assert client.send("GET", "/up").status == 200
    assert "Traceback" not in service.errors, service.errors


def test_postgresql_that_takes_no_writes_goes_on_reading(
    on_postgresql: Place, own_cluster: Cluster, start: Start, connect: Connect
) -> None:
    """As a standby does, or a primary whose operator has stopped them."""
    tables = open_tables(on_postgresql.url)
    driver, other = (new_driver(tables) for _ in range(2))
    tables.close()
    service = start(on_postgresql.folder, on_postgresql.settings)
    client = connect(service.url)
    assert driver.send(client, "POST", FIELDS).status == 200

    _set(on_postgresql, "default_transaction_read_only", "on")
    _end_connections(own_cluster, on_postgresql)
    wait_until(lambda: driver.send(client, "GET").status == 200, lambda: service.errors)
    hold_unavailable(client.send("GET", "/up"))
    hold_unavailable(other.send(client, "POST", FIELDS))
    assert driver.send(client, "GET").status == 200
    hold_unavailable(client.send("GET", "/up"))
    started_on_it = start(on_postgresql.folder, on_postgresql.settings)
    hold_unavailable(connect(started_on_it.url).send("GET", "/up"))

    _set(on_postgresql, "default_transaction_read_only", "off")
    _end_connections(own_cluster, on_postgresql)
    wait_until(lambda: client.send("GET", "/up").status == 200, lambda: service.errors)
    wait_until(lambda: other.send(client, "POST", FIELDS).status == 200, lambda: service.errors)


def test_postgresql_whose_tables_are_locked(
    on_postgresql: Place, start: Start, connect: Connect
) -> None:
    """Longer than its operator lets anybody wait."""
    tables = open_tables(on_postgresql.url)
    driver, other = (new_driver(tables) for _ in range(2))
    _set(on_postgresql, "lock_timeout", "'200ms'")
    service = start(on_postgresql.folder, on_postgresql.settings)
    client = connect(service.url)
    assert driver.send(client, "POST", FIELDS).status == 200

    def held(connection: Connection) -> None:
        connection.execute(text("LOCK TABLE profiles IN ACCESS EXCLUSIVE MODE"))
        hold_unavailable(driver.send(client, "GET"))
        hold_unavailable(other.send(client, "POST", FIELDS))

    tables.inspect(held)
    tables.close()
    assert driver.send(client, "GET").status == 200
    assert other.send(client, "POST", FIELDS).status == 200
    assert "Traceback" not in service.errors, service.errors


def test_a_table_that_stays_locked_keeps_nobody_for_long(
    on_postgresql: Place, start: Start, connect: Connect
) -> None:
    """Nor those who have given up, and whom nobody answers."""
    tables = open_tables(on_postgresql.url)
    drivers = [with_profile(tables, new_driver(tables)) for _ in range(24)]
    service = start(on_postgresql.folder, on_postgresql.settings)
    url = f"{service.url}{PROFILE_PATH}"

    async def held(connection: asyncpg.Connection) -> None:
        await connection.execute("LOCK TABLE profiles IN ACCESS EXCLUSIVE MODE")
        async with httpx.AsyncClient(timeout=60) as impatient, httpx.AsyncClient(timeout=60) as one:
            asked = [impatient.get(url, headers=driver.signed) for driver in drivers]
            changed = [impatient.patch(url, headers=driver.signed) for driver in drivers]
            waiting = [asyncio.ensure_future(each) for each in asked + changed]
            await asyncio.sleep(0.5)
            up = await one.get(f"{service.url}/up")
            assert up.status_code == 503
            answers = await asyncio.wait_for(asyncio.gather(*waiting), 20)
            assert {answer.status_code for answer in answers} == {503}
            assert (await one.get(f"{service.url}/up")).status_code == 200

    async def run() -> None:
        connection = await asyncpg.connect(on_postgresql.url)
        try:
            async with connection.transaction():
                await held(connection)
        finally:
            await connection.close()

    tables.close()
    asyncio.run(run())
    assert drivers[0].send(connect(service.url), "GET").status == 200
    assert "Traceback" not in service.errors, service.errors


def _set(place: Place, name: str, value: str) -> None:
    """For whoever connects from now on."""
    _alter(place, f"SET {name} = {value}")


def _alter(place: Place, how: str) -> None:
    server, _, database = place.url.rpartition("/")
    tables = open_tables(f"{server}/postgres")
    tables.execute(text(f'ALTER DATABASE "{database}" {how}'))
    tables.close()
