"""What happens to a profile over time: earlier values are kept, and nothing is done twice."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from tests.conftest import Running
from tests.support.client import Client
from tests.support.drivers import (
    FIELDS,
    PROFILE_PATH,
    Driver,
    new_driver,
    shown,
    with_profile,
)
from tests.support.service import Service
from tests.support.tables import Row, Tables

VALUES = (*FIELDS, "bio", "english_level")


def versions_of(tables: Tables, driver: Driver) -> list[Row]:
    return tables.rows("profile_versions", user_id=driver.id)


def test_earlier_values_are_kept_with_the_time_they_held(
    client: Client, tables: Tables, driver: Driver
) -> None:
    """Clearance will ask what was known on a past day: every moment has one set of values."""
    began = datetime.now(UTC)
    assert driver.send(client, "POST", FIELDS).status == 200
    for change in ({"postcode": "AB1"}, {"birth_date": "1999-12-31", "bio": "Coaches."}):
        assert driver.send(client, "PATCH", change).status == 200
    (profile,) = tables.rows("profiles", user_id=driver.id)
    first, second = versions_of(tables, driver)

    assert [first["version"], second["version"], profile["version"]] == [1, 2, 3]
    assert {row["profile_id"] for row in (first, second)} == {profile["id"]}
    assert [row["postcode"] for row in (first, second, profile)] == ["123", "AB1", "AB1"]
    assert [row["bio"] for row in (first, second, profile)] == [None, None, "Coaches."]
    assert [row["birth_date"] for row in (first, second)] == [date(2000, 3, 20)] * 2
    assert began <= first["recorded_at"] == profile["created_at"]
    assert first["recorded_at"] < first["superseded_at"] == second["recorded_at"]
    assert second["recorded_at"] < second["superseded_at"] == profile["updated_at"]
    assert profile["updated_at"] <= datetime.now(UTC)


def test_a_deleted_profile_leaves_its_values_and_makes_room_for_another(
    client: Client, tables: Tables, driver: Driver
) -> None:
    first = driver.send(client, "POST", FIELDS).json["profile"]["id"]
    assert driver.send(client, "DELETE").status == 204
    assert driver.send(client, "GET").status == 404
    assert driver.send(client, "DELETE").status == 404
    again = driver.send(client, "POST", {**FIELDS, "first_name": "Ann"})

    assert again.status == 200, again
    assert again.json["profile"]["id"] > first, "an id was given twice"
    assert driver.send(client, "GET").body == again.body
    (kept,) = versions_of(tables, driver)
    assert (kept["profile_id"], kept["first_name"]) == (first, "Virgie")


def test_of_profiles_sent_at_once_one_is_created(
    service: Running, connect: Callable[[str], Client], driver: Driver
) -> None:
    clients = [connect(service.url) for _ in range(8)]
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(threads.map(lambda client: driver.send(client, "POST", FIELDS), clients))

    assert sorted(answer.status for answer in answers) == [200, *[422] * 7]
    for answer in answers:
        if answer.status == 422:
            assert answer.json == {"errors": {"user": ["has already been taken"]}}
    assert len(service.tables.rows("profiles", user_id=driver.id)) == 1


def test_changes_made_at_once_all_leave_a_version(
    service: Running, connect: Callable[[str], Client], registered: Driver
) -> None:
    clients = [connect(service.url) for _ in range(8)]

    def change(number: int) -> int:
        fields = {"postcode": f"at once {number}"}
        return registered.send(clients[number], "PATCH", fields).status

    with ThreadPoolExecutor(len(clients)) as threads:
        assert list(threads.map(change, range(8))) == [200] * 8

    (profile,) = service.tables.rows("profiles", user_id=registered.id)
    kept = versions_of(service.tables, registered)
    assert [row["version"] for row in kept] == [*range(1, 9)]
    assert profile["version"] == 9
    times = [row[name] for row in kept for name in ("recorded_at", "superseded_at")]
    assert times == sorted(times), "history runs backwards"
    assert times[-1] == profile["updated_at"]
    said = {row["postcode"] for row in (*kept, profile)}
    assert said == {"123", *(f"at once {number}" for number in range(8))}


def test_changes_and_deletions_at_once_are_no_fault(
    service: Running, connect: Callable[[str], Client]
) -> None:
    """Each finds a profile, or none any more."""
    clients = [connect(service.url) for _ in range(6)]
    for attempt in range(15):
        driver = with_profile(service.tables, new_driver(service.tables))

        def act(number: int, driver: Driver = driver) -> tuple[str, int]:
            method = "PATCH" if number % 2 else "DELETE"
            fields = {"postcode": f"{number}"} if number % 2 else None
            return method, driver.send(clients[number], method, fields).status

        with ThreadPoolExecutor(len(clients)) as threads:
            answers = list(threads.map(act, range(len(clients))))

        assert set(answers) <= {("PATCH", 200), ("PATCH", 404), ("DELETE", 204), ("DELETE", 404)}
        assert answers.count(("DELETE", 204)) == 1, f"attempt {attempt}: {answers}"
        changed = answers.count(("PATCH", 200))
        kept = versions_of(service.tables, driver)
        assert [row["version"] for row in kept] == [*range(1, changed + 2)]
        assert all(row["recorded_at"] < row["superseded_at"] for row in kept)


def test_who_signs_out_while_a_body_arrives_registers_nobody(
    service: Running, client: Client, driver: Driver
) -> None:
    body = json.dumps({"profile": FIELDS}).encode()
    address = urlsplit(service.url)
    slow = socket.create_connection((address.hostname, address.port), timeout=30)
    head = f"POST {PROFILE_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {driver.token}\r\n\r\n"
    slow.sendall(head.encode() + body[:5])
    time.sleep(1)
    assert client.send("DELETE", "/api/v1/users/sign_out", driver.signed).status == 204
    slow.sendall(body[5:])

    assert slow.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert service.tables.rows("profiles", user_id=driver.id) == []
    slow.close()


def test_the_entity_tag_follows_the_profile(client: Client, registered: Driver) -> None:
    before = registered.send(client, "GET")
    tag = before.header("etag") or ""
    changed = registered.send(client, "PATCH", {"postcode": "AB1"})

    assert changed.header("etag") != tag
    assert registered.send(client, "GET", headers={"if-none-match": tag}).body == changed.body
    assert registered.send(client, "PATCH", {"postcode": "123"}).header("etag") == tag


def test_a_change_at_one_service_is_seen_at_once_at_another(
    service: Running,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    registered: Driver,
) -> None:
    other = start(service.place.folder, service.place.settings)
    here, there = connect(service.url), connect(other.url)
    tag = registered.send(there, "GET").header("etag") or ""
    changed = registered.send(here, "PATCH", {"last_name": "Ley"})

    seen = registered.send(there, "GET", headers={"if-none-match": tag})
    assert (seen.status, seen.body) == (200, changed.body)
    assert registered.send(here, "DELETE").status == 204
    assert registered.send(there, "GET").status == 404


def test_drivers_see_their_own(client: Client, tables: Tables) -> None:
    drivers = [new_driver(tables, phone_number=f"07856 20737{n}") for n in range(3)]
    created = [
        driver.send(client, "POST", {**FIELDS, "first_name": f"Driver {n}"})
        for n, driver in enumerate(drivers)
    ]

    for n, (driver, answer) in enumerate(zip(drivers, created, strict=True)):
        profile_id = answer.json["profile"]["id"]
        own = {"first_name": f"Driver {n}", "phone_number": f"07856 20737{n}"}
        assert answer.json == shown(profile_id, driver.email, **own)
        assert driver.send(client, "GET").body == answer.body
