"""Digests that moved in from Devise: verified as it did, and renewed at the next sign-in."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from roadworthy.accounts import KindsInUse
from roadworthy.accounts.digests import TODAY, kind_of, nobodys_digest
from roadworthy.accounts.kind_queries import find_kinds_of_accounts
from roadworthy.database import Unavailable, open_database
from tests.conftest import Place
from tests.support.client import Answer, Client
from tests.support.drivers import PASSWORD, new_driver
from tests.support.processes import descendants
from tests.support.service import Service, run
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_until

SIGN_IN = "/api/v1/users/sign_in"
PEPPER = "a pepper with\nnew lines and ümläute"

LONG = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""72 bytes."""


def devises(password: str, pepper: str = "", *, prefix: str = "2a", cost: int = 4) -> str:
    """As Devise makes them: Ruby's bcrypt hashes the first 72 bytes of password and pepper."""
    secret = f"{password}{pepper}".encode()[:72]
    digest = bcrypt.hashpw(secret, bcrypt.gensalt(cost, b"2a")).decode()
    return f"${prefix}${digest[4:]}"


# digest, pepper, right passwords, wrong passwords
CASES = {
    "of crypt_blowfish's own tests": (
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "",
        ["U*U"],
        ["U*U*", "", "u*u"],
    ),
    "of its test of the cut": (
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
        "",
        [f"{LONG}chars after 72 are ignored", LONG],
        [LONG[:-1], f"x{LONG[1:]}"],
    ),
    "of $2b$": (devises(PASSWORD, prefix="2b"), "", [PASSWORD], ["x"]),
    "of $2y$": (devises(PASSWORD, prefix="2y"), "", [PASSWORD], ["x"]),
    "with a pepper": (devises(PASSWORD, PEPPER), PEPPER, [PASSWORD], [PASSWORD + PEPPER, PEPPER]),
    "with a pepper, but none is set": (devises(PASSWORD, PEPPER), "", [], [PASSWORD]),
    "without a pepper, but one is set": (devises(PASSWORD), PEPPER, [], [PASSWORD]),
    "with a pepper that is cut": (
        devises(LONG[:70], PEPPER),
        PEPPER,
        [LONG[:70], LONG[:70] + PEPPER[:2]],
        [LONG[:70] + "xx"],
    ),
    "with a pepper that is cut off": (devises(LONG, PEPPER), PEPPER, [LONG, LONG + "x"], ["x"]),
    "of a password in other letters": (
        devises("pässwörd 🚌 Łuettgen", PEPPER),
        PEPPER,
        ["pässwörd 🚌 Łuettgen"],
        ["password 🚌 Łuettgen"],
    ),
    "cut within a letter": (
        devises("🚌" * 17 + "abcü" + "x"),
        "",
        ["🚌" * 17 + "abcü"],
        ["🚌" * 17 + "abcd"],
    ),
}


@pytest.fixture
def tables(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


@pytest.fixture
def serve(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client]
) -> Callable[[str], Client]:
    """Starts a service that knows a pepper."""

    def begin(pepper: str) -> Client:
        settings = {**place.settings, "ROADWORTHY_DEVISE_PEPPER": pepper}
        return connect(start(place.folder, settings).url)

    return begin


def sign_in(client: Client, email: str, password: str) -> Answer:
    body = json.dumps({"user": {"email": email, "password": password}})
    return client.send("POST", SIGN_IN, {"content-type": "application/json"}, body)


def digest_of(tables: Tables, user_id: int) -> str:
    (user,) = tables.rows("users", id=user_id)
    return str(user["password_digest"])


def renewed_of(tables: Tables, user_id: int, name: str = "its digest") -> str:
    wait_until(lambda: digest_of(tables, user_id).startswith(f"{TODAY}$"), f"{name}, renewed,")
    return digest_of(tables, user_id)


@pytest.mark.parametrize("pepper", ["", PEPPER], ids=["without a pepper", "with a pepper"])
def test_digests_of_devise(serve: Callable[[str], Client], tables: Tables, pepper: str) -> None:
    """Each verifies until it is renewed; then its password, whole, still opens."""
    cases = {name: case for name, case in CASES.items() if case[1] == pepper}
    client = serve(pepper)

    for name, (digest, _, right, wrong) in cases.items():
        for password in wrong:
            driver = new_driver(tables, password_digest=digest)
            assert sign_in(client, driver.email, password).status == 401, f"{name}: {password}"
            assert digest_of(tables, driver.id) == digest, f"{name}: {password}"
        for password in right:
            driver = new_driver(tables, password_digest=digest)
            first = sign_in(client, driver.email, password)
            assert first.status == 201, f"{name}: {password}\n{first}"
            renewed = renewed_of(tables, driver.id, f"{name}: {password}")
            again = sign_in(client, driver.email, password)
            assert again.json == first.json, f"{name}: {password}\n{again}"
            assert digest_of(tables, driver.id) == renewed, "renewed for nothing"
    assert len(cases) > 3


def test_what_devise_ignored_counts_once_it_is_renewed(
    serve: Callable[[str], Client], tables: Tables
) -> None:
    driver = new_driver(tables, password_digest=devises(f"{LONG}and more"))
    client = serve("")

    assert sign_in(client, driver.email, f"{LONG}and more").status == 201
    assert sign_in(client, driver.email, f"{LONG}and less").status == 401


def test_digests_of_other_parameters_are_renewed(
    serve: Callable[[str], Client], tables: Tables
) -> None:
    older = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    driver = new_driver(tables, password_digest=older)
    client = serve("")

    assert sign_in(client, driver.email, PASSWORD).status == 201
    renewed_of(tables, driver.id)
    assert sign_in(client, driver.email, PASSWORD).status == 201


def test_who_signs_in_twice_at_once_is_let_in_twice(
    serve: Callable[[str], Client],
    tables: Tables,
    start: Callable[..., Service],
    place: Place,
) -> None:
    """Of two who renew a digest one is late, and finds another in its place."""
    serve("")
    url = start(place.folder, place.settings, "--workers", "2").url

    def ask(email: str) -> int:
        client = Client(url)
        try:
            return sign_in(client, email, PASSWORD).status
        finally:
            client.close()

    for _ in range(5):
        driver = new_driver(tables, password_digest=devises(PASSWORD))
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(ask, [driver.email] * 4)) == [201] * 4
        assert len(tables.rows("sessions", user_id=driver.id)) == 4


NO_DIGESTS = [
    "",
    "x",
    "$2a$10$short",
    "$2a$10$" + "!" * 53,
    "$2a$31$" + "." * 53,
    "$2x$05$" + "." * 53,
    "$2a$05$CCCCCCCCCCCCCCCCCCCCC/E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$argon2id$v=19$m=19456,t=2,p=1$AAAA",
    "$argon2id$v=19$m=99999999,t=2,p=1$" + "A" * 22 + "$" + "A" * 43,
    "$argon2id$v=19$m=8,t=1,p=1$A$A",
    "$argon2id$v=19$m=0,t=0,p=1$" + "A" * 22 + "$" + "A" * 43,
    "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
    "correct horse battery",
]


def test_what_is_no_digest_opens_for_nobody(serve: Callable[[str], Client], tables: Tables) -> None:
    client = serve("")

    for digest in NO_DIGESTS:
        driver = new_driver(tables, password_digest=digest)
        for password in (PASSWORD, digest, ""):
            assert sign_in(client, driver.email, password).status == 401, digest
        assert digest_of(tables, driver.id) == digest


@pytest.mark.parametrize(
    ("digest", "kind"),
    [
        (devises("x", cost=5), "$2b$05"),
        (devises("x", prefix="2y"), "$2b$04"),
        (PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash("x"), TODAY),
        (nobodys_digest(TODAY), TODAY),
        (nobodys_digest("$2b$12"), "$2b$12"),
        ("$2a$16$" + "." * 53, None),
        ("$2a$03$" + "." * 53, None),
        ("$2a$04$" + "." * 21 + "P" + "." * 31, None),
    ],
    ids=[
        "$2a$",
        "$2y$",
        "ours",
        "nobody's",
        "nobody's of Devise",
        "too dear",
        "too cheap",
        "no salt",
    ],
)
def test_kinds(digest: str, kind: str | None) -> None:
    assert kind_of(digest) == kind


def test_the_kinds_in_use_are_found(tables: Tables) -> None:
    """However many digests there are of each, and not those of closed accounts."""
    older = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    for digest in (
        *(older.hash(PASSWORD) for _ in range(3)),
        *(devises(PASSWORD, prefix=prefix) for prefix in ("2a", "2a", "2b", "2y")),
        devises(PASSWORD, cost=5),
        *("", "x", "$2a$", "$2a$04$", "$argon2id$"),
    ):
        new_driver(tables, password_digest=digest)
    new_driver(tables, password_digest=devises(PASSWORD, cost=6), closed_at=datetime.now(UTC))

    found = tables.inspect(find_kinds_of_accounts)

    assert found == {"$argon2id$v=19$m=64,t=1,p=1", "$2b$04", "$2b$05"}


def test_the_first_refusal_after_some_moved_in_takes_as_long_for_everybody(
    place: Place,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    tables: Tables,
    tmp_path: Path,
) -> None:
    """In every server process, as it is asked for the first time."""
    services = [start(place.folder, place.settings) for _ in range(2)]
    clients = [connect(each.url) for each in services]
    wait_until(lambda: [job for job in tables.rows("jobs") if job["run_at"] > datetime.now(UTC)])
    dear = devises(PASSWORD, cost=12)
    dump = tmp_path / "users.csv"
    dump.write_text(
        "id,email,encrypted_password,phone_number,created_at\n"
        f"7,virgie@example.com,{dear},,2020-01-01 00:00:00\n"
    )
    moved = run("users", "import", str(dump), settings=place.settings)
    assert moved.returncode == 0, moved

    at_least = min(seconds(lambda: bcrypt.checkpw(b"x", dear.encode())) for _ in range(3))
    for client in clients:
        # Less would be no verification of such a digest, whatever else this machine does.
        took = seconds(lambda: sign_in(client, "nobody@example.com", PASSWORD))  # noqa: B023
        assert took > at_least / 2


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_a_kind_is_in_use_until_nobody_had_it_for_a_day(place: Place, tables: Tables) -> None:
    """Also when somebody wrote it into the database by hand."""
    began = datetime(2026, 11, 1, tzinfo=UTC)
    by_hand = new_driver(tables, password_digest=devises(PASSWORD, cost=5))

    async def look(hours: int) -> set[str]:
        database = open_database(place.url)
        kinds = KindsInUse(database, lambda: began + timedelta(hours=hours))
        await kinds.look_again()
        found = await kinds.now()
        await database.close()
        return found

    assert asyncio.run(look(0)) == {"$2b$05"}
    renewed = update(tables["users"]).filter_by(id=by_hand.id).values(password_digest="")
    tables.execute(renewed)
    assert asyncio.run(look(23)) == {"$2b$05"}, "somebody may have moved in as it looked"
    assert asyncio.run(look(25)) == set()


def test_a_look_at_too_many_accounts_holds_up_nothing_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> bool:
        database = open_database(place.url)

        async def report(*_: object) -> None:
            raise Unavailable("it took too long")

        monkeypatch.setattr(database, "report", report)
        looked = await KindsInUse(database, lambda: datetime.now(UTC)).look_again()
        await database.close()
        return looked

    assert asyncio.run(look()) is False


def test_the_pepper_is_seen_by_nobody(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client], tables: Tables
) -> None:
    """Neither as the process that hashes is started, nor in what the service prints."""
    settings = {**place.settings, "ROADWORTHY_DEVISE_PEPPER": "paprika"}
    service = start(place.folder, settings, "--workers", "1")
    driver = new_driver(tables, password_digest=devises(PASSWORD, "paprika"))
    assert sign_in(connect(service.url), driver.email, PASSWORD).status == 201

    hashing = descendants(service.process.pid, b"hashing.py")
    assert hashing, "no process hashes"
    for process in hashing:
        for listing in ("cmdline", "environ"):
            assert b"paprika" not in (process / listing).read_bytes()
            assert b"ROADWORTHY" not in (process / listing).read_bytes()
    assert "paprika" not in service.log + service.output
