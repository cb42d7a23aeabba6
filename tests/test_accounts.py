"""What a token is, how long it opens a route, and that sign-out closes it everywhere at once."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roadworthy.accounts import (
    Passwords,
    SigningIn,
    Throttle,
    Tokens,
    hashing,
    passwords,
    signing_in,
)
from roadworthy.accounts.session_queries import Origin
from roadworthy.database import Unavailable, open_database
from roadworthy.settings import load_settings
from roadworthy.wire import ServiceUnavailable, Unauthorized
from tests.conftest import Place, Running
from tests.support.client import Answer, Client
from tests.support.drivers import PASSWORD, PROFILE_PATH, Driver, new_driver
from tests.support.scenario import UUID, error
from tests.support.service import OLD_SECRET, SECRET, Service
from tests.support.tables import Tables, open_tables
from tests.support.tokens import THIRTY_DAYS, claims, forge, is_signed_with, opened, payload_of
from tests.support.waiting import wait_until

JSON = {"content-type": "application/json"}
SIGN_UP = "/api/v1/users"
SIGN_IN = "/api/v1/users/sign_in"
SIGN_OUT = "/api/v1/users/sign_out"

NEW_SECRET = "the secret that these tests come to have"

NO_PROFILE = 404
"""What a driver without a profile is answered: the token was taken."""


def sign_up(client: Client, email: str) -> Answer:
    return client.send("POST", SIGN_UP, JSON, _user(email))


def sign_in(client: Client, email: str) -> Answer:
    return client.send("POST", SIGN_IN, JSON, _user(email))


def sign_out(client: Client, token: str) -> Answer:
    return client.send("DELETE", SIGN_OUT, {"authorization": f"Bearer {token}"})


def look(client: Client, token: str) -> Answer:
    return client.send("GET", PROFILE_PATH, {"authorization": f"Bearer {token}"})


def token_of(answer: Answer) -> str:
    assert answer.status == 201, answer
    return (answer.header("authorization") or "").removeprefix("Bearer ")


def _user(email: str) -> str:
    return json.dumps({"user": {"email": email, "password": PASSWORD}})


def test_a_token_is_the_documented_one_to_the_letter(client: Client) -> None:
    answer = sign_up(client, "exact@example.com")
    token = token_of(answer)
    header, payload = opened(token)
    stated = payload_of(token)

    assert header == '{"alg":"HS256"}'
    assert payload == (
        f'{{"sub":"{answer.json["id"]}","scp":"user","aud":null,"iat":{stated["iat"]},'
        f'"exp":{stated["iat"] + THIRTY_DAYS},"jti":"{stated["jti"]}"}}'
    )
    assert UUID.fullmatch(stated["jti"])
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]{43}", token), "not base64url without padding"
    assert is_signed_with(token, SECRET), "not signed with the first secret"
    assert not is_signed_with(token, OLD_SECRET)


def test_every_sign_in_gives_a_token_of_its_own(client: Client, driver: Driver) -> None:
    first, second = (token_of(sign_in(client, driver.email)) for _ in range(2))

    assert payload_of(first)["jti"] != payload_of(second)["jti"]
    assert sign_out(client, first).status == 204
    assert look(client, first).json == {"error": "revoked token"}
    assert look(client, second).status == NO_PROFILE, "signing out one token closed another"


def test_who_signed_up_signs_in_and_out_and_in_again(client: Client) -> None:
    signed_up = sign_up(client, "comes.back@example.com")
    assert sign_out(client, token_of(signed_up)).status == 204
    back = sign_in(client, "Comes.Back@example.com")

    assert back.json == signed_up.json
    assert look(client, token_of(signed_up)).status == 401
    assert look(client, token_of(back)).status == NO_PROFILE


def test_of_sign_ups_with_one_address_at_once_one_succeeds(
    service: Running, connect: Callable[[str], Client]
) -> None:
    clients = [connect(service.url) for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(threads.map(lambda c: sign_up(c, "at.once@example.com"), clients))

    assert sorted(answer.status for answer in answers) == [201, *[422] * 5], answers
    for answer in answers:
        if answer.status == 422:
            assert answer.json == {"errors": {"email": ["has already been taken"]}}
    assert len(service.tables.rows("users", email="at.once@example.com")) == 1


def test_sign_out_is_seen_at_once_by_another_service(
    service: Running,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    driver: Driver,
) -> None:
    other = start(service.place.folder, service.place.settings)
    here, there = connect(service.url), connect(other.url)
    for client in (here, there):
        assert look(client, driver.token).status == NO_PROFILE

    assert sign_out(here, driver.token).status == 204

    assert look(there, driver.token).json == {"error": "revoked token"}


def test_who_asks_after_a_sign_out_was_answered_is_never_let_through(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client], tmp_path: Path
) -> None:
    """Two server processes, and a dozen connections that never stop asking."""
    service = start(tmp_path, place.settings, "--workers", "2")
    tables = open_tables(place.url)
    tokens = [new_driver(tables).token for _ in range(20)]
    tables.close()
    asked: list[tuple[str, float, int]] = []
    signed_out: dict[str, float] = {}

    def ask() -> None:
        client = connect(service.url)
        for token in tokens:
            answers = 0
            while answers < 5:
                began = time.monotonic()
                asked.append((token, began, look(client, token).status))
                answers += token in signed_out

    with ThreadPoolExecutor(12) as threads:
        asking = [threads.submit(ask) for _ in range(12)]
        client = connect(service.url)
        for token in tokens:
            time.sleep(0.01)
            assert sign_out(client, token).status == 204
            signed_out[token] = time.monotonic()
        for each in asking:
            each.result()

    after = [status for token, began, status in asked if began > signed_out[token]]
    assert len(after) >= 12 * len(tokens)
    assert set(after) == {401}, Counter(after)
    assert NO_PROFILE in {status for _, _, status in asked}, "nobody asked before"


def test_secrets_are_rotated_by_a_list(
    service: Running,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    driver: Driver,
) -> None:
    """The new one signs; those still listed verify; what is no longer listed does not."""
    rotated = {**service.place.settings, "ROADWORTHY_SECRET_KEY": f"{NEW_SECRET}, {SECRET}"}
    client = connect(start(service.place.folder, rotated).url)

    assert look(client, driver.token).status == NO_PROFILE
    new = token_of(sign_in(client, driver.email))
    assert is_signed_with(new, NEW_SECRET)
    assert look(client, new).status == NO_PROFILE
    older = forge(claims(driver.id), secret=OLD_SECRET)
    assert look(client, older).json == {"error": "Signature verification failed"}


def test_a_generated_secret_is_kept(
    start: Callable[..., Service], connect: Callable[[str], Client], tmp_path: Path
) -> None:
    settings = {"ROADWORTHY_DATA_DIR": str(tmp_path / "data")}
    first = start(tmp_path, settings)
    token = token_of(sign_up(connect(first.url), "kept@example.com"))
    assert first.stop() == 0
    second = start(tmp_path, settings)

    assert look(connect(second.url), token).status == NO_PROFILE
    secret = tmp_path / "data" / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert is_signed_with(token, secret.read_text().strip())


async def _fill_and_ask_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    hashing = Passwords(no_others)
    try:
        with hashing.in_line("192.0.2.1") as line:
            await line.digest(PASSWORD)
    finally:
        await hashing.close()


def test_more_password_work_than_can_wait_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ServiceUnavailable) as refused:
        asyncio.run(_fill_and_ask_once_more(monkeypatch))

    assert json.loads(refused.value.body) == error(503)
    assert int(refused.value.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("password", "listed"), [(PASSWORD, [True]), ("not the password", [])], ids=["right", "wrong"]
)
def test_what_follows_a_sign_in_is_made_up_for_when_the_database_was_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, password: str, listed: list[bool]
) -> None:
    """Else a refused try would be shown to the driver as a session of somebody."""
    monkeypatch.setattr(signing_in, "LATE_SECONDS", 0.01)
    tables = open_tables(place.url)
    driver = new_driver(tables)

    async def day() -> None:
        database = open_database(place.url)
        await database.open()
        write = database.write
        failed: list[object] = []

        async def fail_once(work: Callable[..., Any], *arguments: Any) -> Any:
            if work.__name__ == "settle" and not failed:
                failed.append(work)
                raise Unavailable("gone")
            return await write(work, *arguments)

        monkeypatch.setattr(database, "write", fail_once)
        hasher = Passwords(no_others)
        throttle = Throttle(database, load_settings(place.settings), SECRET, now)
        signing = SigningIn(database, Tokens((SECRET,)), hasher, throttle, now)
        with suppress(Unauthorized):
            await signing.sign_in(driver.email, password, None, Origin("192.0.2.1", None))
        await asyncio.to_thread(wait_until, lambda: proven(tables, driver) == listed)
        assert failed, "it was not away"
        await hasher.close()
        await database.close()

    asyncio.run(day())
    tables.close()


async def no_others() -> set[str]:
    """Kinds of digest: today's alone."""
    return set()


def now() -> datetime:
    return datetime.now(UTC)


def proven(tables: Tables, driver: Driver) -> list[bool]:
    return [row["is_proven"] for row in tables.rows("sessions", user_id=driver.id)]


@pytest.mark.parametrize(
    "said",
    [b"", b'"a pep', b'""\n', b'""\n["a pass', b'""\n["a password"]\n'],
    ids=[
        "nothing",
        "half a pepper",
        "no question",
        "half a question",
        "what nobody waits for any more",
    ],
)
def test_the_process_that_hashes_ends_in_silence_when_who_asked_was_killed(said: bytes) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", hashing.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write(said)
        process.stdin.close()

        assert process.stderr.read() == b""
