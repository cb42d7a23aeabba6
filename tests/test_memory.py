"""Many requests of every kind end with the memory they began with."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable

from tests.conftest import SOAK, Place
from tests.support.client import Client
from tests.support.drivers import FIELDS, PASSWORD, PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.processes import megabytes
from tests.support.service import Service
from tests.support.tables import open_tables

REQUESTS = 1_000_000 if SOAK else 3_000
CONNECTIONS = 4
MOST_GROWTH = 36 if SOAK else 8
"""Megabytes: what renderings and database pages may be kept, once there are that many."""

Kind = Callable[[Client, Driver, random.Random], int]


def show(client: Client, driver: Driver, _: random.Random) -> int:
    return driver.send(client, "GET").status


def show_again(client: Client, driver: Driver, _: random.Random) -> int:
    return driver.send(client, "GET", headers={"if-none-match": "*"}).status


def change(client: Client, driver: Driver, chance: random.Random) -> int:
    return driver.send(client, "PATCH", {"bio": "x" * chance.randrange(200)}).status


def begin_anew(client: Client, driver: Driver, chance: random.Random) -> int:
    driver.send(client, "DELETE")
    key = {"idempotency-key": str(chance.random())}
    return driver.send(client, "POST", FIELDS, key).status


def be_refused(client: Client, driver: Driver, chance: random.Random) -> int:
    return driver.send(client, "PATCH", {"birth_date": "x" * chance.randrange(20_000)}).status


def be_unsigned(client: Client, _: Driver, chance: random.Random) -> int:
    token = {"authorization": f"Bearer {chance.random()}"}
    return client.send("GET", PROFILE_PATH, token).status


def send_noise(client: Client, driver: Driver, chance: random.Random) -> int:
    json_type = {**driver.signed, "content-type": "application/json"}
    return client.send("PATCH", PROFILE_PATH, json_type, chance.randbytes(1000)).status


def sign_in_and_out(client: Client, driver: Driver, _: random.Random) -> int:
    body = json.dumps({"user": {"email": driver.email, "password": PASSWORD}})
    json_type = {"content-type": "application/json"}
    signed_in = client.send("POST", "/api/v1/users/sign_in", json_type, body)
    token = {"authorization": signed_in.header("authorization") or ""}
    return client.send("DELETE", "/api/v1/users/sign_out", token).status


def get_lost(client: Client, _: Driver, chance: random.Random) -> int:
    return client.send("GET", f"/{chance.random()}").status


ANSWERS: dict[Kind, int] = {
    show: 200,
    show_again: 304,
    change: 200,
    begin_anew: 200,
    be_refused: 422,
    be_unsigned: 401,
    send_noise: 400,
    sign_in_and_out: 204,
    get_lost: 404,
}
RARE = 20
"""Every how many rounds somebody signs in: seldom, and each time hashes a password."""


def test_memory_stays_where_it_was(place: Place, start: Callable[..., Service]) -> None:
    tables = open_tables(place.url)
    drivers = [with_profile(tables, new_driver(tables)) for _ in range(40 * CONNECTIONS)]
    tables.close()
    service = start(place.folder, place.settings)

    _ask(service, drivers, REQUESTS // 4)
    before = megabytes(service)
    _ask(service, drivers, REQUESTS)
    assert megabytes(service) - before < MOST_GROWTH, f"it was {before:.0f} MB"
    assert service.errors == ""


def _ask(service: Service, drivers: list[Driver], requests: int) -> None:
    """`requests` of every kind in turn, over some connections, each with drivers of its own."""
    unexpected: Counter[tuple[str, int]] = Counter()

    def ask(some: int) -> None:
        client = Client(service.url)
        chance = random.Random(f"{some} of {requests}")  # noqa: S311
        own = drivers[some::CONNECTIONS]
        kinds = list(ANSWERS)
        for number in range(requests // CONNECTIONS):
            turn, place = divmod(number, len(kinds))
            kind = kinds[place]
            if kind is sign_in_and_out and turn % RARE:
                kind = show
            status = kind(client, own[chance.randrange(len(own))], chance)
            if status != ANSWERS[kind]:
                unexpected[kind.__name__, status] += 1
        client.close()

    threads = [threading.Thread(target=ask, args=(some,)) for some in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not unexpected
