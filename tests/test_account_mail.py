"""Accounts by mail: what is sent when, what the links do, and who learns nothing."""

import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roadworthy.accounts.links import LIFETIMES, Purpose
from tests.conftest import SOAK, Running
from tests.support.client import Answer, Client
from tests.support.drivers import (
    FIELDS,
    PASSWORD,
    PROFILE_PATH,
    Driver,
    add_session,
    new_driver,
    with_profile,
)
from tests.support.mail import Box, Mail, link_to, wait_until_sent
from tests.support.tables import Tables
from tests.support.timing import told_apart_twice
from tests.support.tokens import payload_of

JSON = {"content-type": "application/json"}
USERS = "/api/v1/users"
FORGOTTEN = f"{USERS}/password"
CONFIRMATION = f"{USERS}/confirmation"

TRIES = 500 if SOAK else 150
NEW_PASSWORD = "another correct horse"
INVALID = {"errors": {"reset_password_token": ["is invalid"]}}


@pytest.fixture
def box(service: Running) -> Box:
    return Box(service.place.folder)


def send(client: Client, method: str, path: str, headers: Any = None, **user: Any) -> Answer:
    return client.send(method, path, {**JSON, **(headers or {})}, json.dumps({"user": user}))


def sign_in(client: Client, email: str, password: str) -> Answer:
    return send(client, "POST", f"{USERS}/sign_in", email=email, password=password)


def look(client: Client, token: str) -> int:
    return client.send("GET", USERS, {"authorization": f"Bearer {token}"}).status


def change(client: Client, driver: Driver, **fields: Any) -> Answer:
    answer = send(client, "PATCH", USERS, driver.signed, current_password=PASSWORD, **fields)
    assert answer.status == 204, answer
    return answer


def reset(client: Client, token: str, password: str = NEW_PASSWORD) -> Answer:
    return send(client, "PUT", FORGOTTEN, reset_password_token=token, password=password)


def confirm(client: Client, token: str) -> Answer:
    return client.send("GET", f"{CONFIRMATION}?confirmation_token={token}")


def of_subject(mails: list[Mail], word: str) -> Mail:
    (found,) = (mail for mail in mails if word in mail.subject)
    return found


# What is sent.


def test_who_signs_up_confirms_the_address(client: Client, tables: Tables, box: Box) -> None:
    email = ".+confirms@example.com"
    assert send(client, "POST", USERS, email=email, password=PASSWORD).status == 201
    (mail,) = box.wait_for(email)

    assert "onfirm" in mail.subject
    assert confirm(client, mail.token).json == {}
    (user,) = tables.rows("users", email=email)
    assert user["confirmed_at"] is not None
    again = confirm(client, mail.token)
    assert (again.status, again.json) == (422, {"errors": {"confirmation_token": ["is invalid"]}})


def test_links_lead_to_the_announced_address_whatever_the_request_says(
    client: Client, service: Running, driver: Driver, box: Box
) -> None:
    headers = {"host": "evil.example.com", "x-forwarded-host": "evil.example.com"}
    assert send(client, "POST", FORGOTTEN, headers, email=driver.email).status == 200
    (mail,) = box.wait_for(driver.email)

    assert mail.link.startswith(f"{service.url}/account/password?reset_password_token=")
    assert "evil" not in mail.message.as_string()


@pytest.mark.parametrize(
    ("purpose", "path"), [("reset", FORGOTTEN), ("confirmation", CONFIRMATION)]
)
def test_a_newer_link_takes_the_place_of_the_older(
    client: Client, tables: Tables, driver: Driver, box: Box, purpose: str, path: str
) -> None:
    before = datetime.now(UTC)
    for count in (1, 2):
        assert send(client, "POST", path, email=driver.email.upper()).json == {}
        box.wait_for(driver.email, count)
        wait_until_sent(tables)
    older, newer = box.to(driver.email)

    (row,) = tables.rows("mailed_links", user_id=driver.id, purpose=purpose)
    assert before < row["expires_at"] - LIFETIMES[Purpose(purpose)] < datetime.now(UTC)
    use = reset if purpose == "reset" else confirm
    assert use(client, older.token).status == 422
    assert use(client, newer.token).status in {200, 204}


def test_links_last_three_days_and_six_hours() -> None:
    assert {
        Purpose.CONFIRMATION: timedelta(days=3),
        Purpose.RESET: timedelta(hours=6),
    } == LIFETIMES


def test_nobody_is_written_to_who_need_not_be(
    client: Client, tables: Tables, driver: Driver, box: Box
) -> None:
    """Nobody's address, a confirmed one, and a closed account's."""
    closed = new_driver(tables)
    assert client.send("DELETE", USERS, closed.signed).status == 204
    users = tables["users"]
    mine = users.update().where(users.c.id == driver.id)
    tables.execute(mine.values(confirmed_at=datetime.now(UTC)))
    for email in ("nobody.at.all@example.com", closed.email):
        for path in (FORGOTTEN, CONFIRMATION):
            assert send(client, "POST", path, email=email).json == {}
    assert send(client, "POST", CONFIRMATION, email=driver.email).json == {}

    wait_until_sent(tables)
    for email in ("nobody.at.all@example.com", closed.email, driver.email):
        assert box.to(email) == []


def test_a_changed_address_is_told_to_the_old_one_and_confirmed_by_the_new(
    client: Client, tables: Tables, box: Box
) -> None:
    driver = new_driver(tables)
    stale = link_to(tables, driver.id, "reset")
    new = f"moved.{driver.email}"
    change(client, driver, email=new)

    (told,) = box.wait_for(driver.email)
    (asked,) = box.wait_for(new)
    assert "address was changed" in told.subject
    assert new not in told.message.as_string(), "the old mailbox may be somebody else's"
    assert reset(client, stale).json == INVALID
    assert confirm(client, asked.token).status == 200
    assert sign_in(client, driver.email, PASSWORD).status == 401
    assert sign_in(client, new, PASSWORD).status == 201


def test_a_changed_password_is_told(client: Client, tables: Tables, box: Box) -> None:
    by_hand, by_mail, both = (new_driver(tables) for _ in range(3))
    change(client, by_hand, password=NEW_PASSWORD)
    assert reset(client, link_to(tables, by_mail.id, "reset")).status == 204
    change(client, both, password=NEW_PASSWORD, email=f"new.{both.email}")

    for driver in (by_hand, by_mail):
        (mail,) = box.wait_for(driver.email)
        assert "password was changed" in mail.subject
    told = box.wait_for(both.email, 2)  # who took the account over has the new address
    assert of_subject(told, "password was changed")
    assert of_subject(told, "address was changed")


# What a new password and a closed account leave.


def test_a_new_password_leaves_this_token_and_no_other(
    client: Client, tables: Tables, driver: Driver
) -> None:
    """Those of sign-ins here, and those that came with us from elsewhere and have no session."""
    elsewhere = (sign_in(client, driver.email, PASSWORD).header("authorization") or "")[7:]
    moved_in = new_driver(tables)
    change(client, driver, password=NEW_PASSWORD)
    change(client, moved_in, phone_number="1")

    assert look(client, driver.token) == 200
    assert look(client, elsewhere) == 401
    assert look(client, moved_in.token) == 200
    assert sign_in(client, driver.email, PASSWORD).status == 401
    assert sign_in(client, driver.email, NEW_PASSWORD).status == 201
    assert look(client, driver.token) == 200


def test_a_password_by_mail_leaves_no_token(client: Client, tables: Tables, driver: Driver) -> None:
    elsewhere = (sign_in(client, driver.email, PASSWORD).header("authorization") or "")[7:]
    assert reset(client, link_to(tables, driver.id, "reset")).status == 204

    assert [look(client, token) for token in (driver.token, elsewhere)] == [401, 401]
    assert sign_in(client, driver.email, NEW_PASSWORD).status == 201


def test_a_closed_account_is_closed_and_its_address_free(
    client: Client, tables: Tables, registered: Driver
) -> None:
    token = (sign_in(client, registered.email, PASSWORD).header("authorization") or "")[7:]
    assert client.send("DELETE", USERS, registered.signed).status == 204

    for each in (registered.token, token):
        headers = {"authorization": f"Bearer {each}"}
        for path in (USERS, PROFILE_PATH, f"{USERS}/sessions"):
            assert client.send("GET", path, headers).json == {"error": "nil user"}
        assert client.send("DELETE", USERS, headers).status == 401
    assert sign_in(client, registered.email, PASSWORD).status == 401
    again = send(client, "POST", USERS, email=registered.email, password=PASSWORD)
    assert again.status == 201
    assert again.json["id"] != registered.id
    assert tables.rows("profiles", user_id=registered.id), "evidence was destroyed"


def test_the_profile_shows_the_account_of_now(client: Client, registered: Driver) -> None:
    """The client's entity tag, and what this process has rendered, are out of date."""
    before = registered.send(client, "GET")
    change(client, registered, phone_number="01632 960001", email=f"now.{registered.email}")
    etag = before.header("etag") or ""
    after = registered.send(client, "GET", headers={"if-none-match": etag})

    assert after.status == 200
    shown = after.json["profile"]
    assert (shown["phone_number"], shown["email"]) == ("01632 960001", f"now.{registered.email}")
    assert {**before.json["profile"], "phone_number": None, "email": None} == {
        **shown,
        "phone_number": None,
        "email": None,
    }


def test_a_session_that_is_ended_opens_nothing(client: Client, driver: Driver) -> None:
    token = (sign_in(client, driver.email, PASSWORD).header("authorization") or "")[7:]
    headers = {"authorization": f"Bearer {token}"}
    (session,) = client.send("GET", f"{USERS}/sessions", headers).json["sessions"]
    assert (session["id"], session["current"]) == (payload_of(token)["jti"], True)
    assert session["address"] == "127.0.0.1"

    ended = client.send("DELETE", f"{USERS}/sessions/{session['id']}", driver.signed)
    assert ended.status == 204
    assert look(client, token) == 401
    assert look(client, driver.token) == 200


# At once.


def test_of_twenty_who_use_a_link_at_once_one_does(
    service: Running, tables: Tables, connect: Callable[[str], Client], driver: Driver
) -> None:
    token = link_to(tables, driver.id, "reset")
    clients = [connect(service.url) for _ in range(20)]
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(20)]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda c, p: reset(c, token, p), clients, passwords))

    assert sorted(answer.status for answer in answers) == [204, *[422] * 19]
    won = next(n for n, answer in enumerate(answers) if answer.status == 204)
    for answer in answers[:won] + answers[won + 1 :]:
        assert answer.json == INVALID
    assert sign_in(clients[0], driver.email, passwords[won]).status == 201


def test_of_twenty_who_confirm_at_once_one_does(
    service: Running, tables: Tables, connect: Callable[[str], Client], driver: Driver
) -> None:
    token = link_to(tables, driver.id, "confirmation")
    clients = [connect(service.url) for _ in range(20)]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda c: confirm(c, token), clients))

    assert sorted(answer.status for answer in answers) == [200, *[422] * 19]


def test_who_signs_in_while_the_password_changes_is_not_left_signed_in(
    service: Running, tables: Tables, connect: Callable[[str], Client]
) -> None:
    """With the old password: however the two meet, afterwards no such token counts."""
    clients = [connect(service.url) for _ in range(9)]
    for round_ in range(6):
        driver = new_driver(tables)
        token = link_to(tables, driver.id, "reset")

        def enter(client: Client, email: str = driver.email) -> str | None:
            time.sleep(random.random() * 0.1)  # noqa: S311 -- no secret
            answer = sign_in(client, email, PASSWORD)
            return (answer.header("authorization") or "")[7:] if answer.status == 201 else None

        with ThreadPoolExecutor(9) as threads:
            entering = [threads.submit(enter, client) for client in clients[1:]]
            if round_ % 2:
                assert reset(clients[0], token).status == 204
            else:
                change(clients[0], driver, password=NEW_PASSWORD)
            entered = [each.result() for each in entering]
        left = [look(clients[0], each) for each in entered if each]
        assert set(left) <= {401}, f"round {round_}: {left}"


def test_changes_of_one_account_at_once_do_not_wait_for_each_other_for_ever(
    service: Running, tables: Tables, connect: Callable[[str], Client]
) -> None:
    """Whatever order they come in: no deadlock, which would be a 503."""
    driver = with_profile(tables, new_driver(tables))
    clients = [connect(service.url) for _ in range(8)]
    for number in range(5):
        add_session(tables, driver, f"{driver.id} at once {number}")
    kept = payload_of(driver.token)["jti"]
    add_session(tables, driver, kept)
    sessions = f"{USERS}/sessions"

    def do(number: int) -> int:
        client = clients[number % 8]
        number //= 8
        if number % 6 == 5:
            return driver.send(client, "PATCH", {"bio": str(number)}).status
        if number % 6 == 4:
            other = {"email": f"{number}.{driver.email}", "current_password": PASSWORD}
            return send(client, "PATCH", USERS, driver.signed, **other).status
        if number % 4 == 0:
            return send(client, "POST", FORGOTTEN, email=driver.email).status
        if number % 4 == 1:
            path = f"{sessions}/{driver.id}%20at%20once%20{number % 5}"
            return client.send("DELETE", path, driver.signed).status
        if number % 4 == 2:
            fields = {"phone_number": str(number), "password": PASSWORD}
            user = {"current_password": PASSWORD, **fields}
            return send(client, "PATCH", USERS, driver.signed, **user).status
        return client.send("GET", sessions, driver.signed).status

    def do_many(turn: int) -> list[int]:
        return [do(number) for number in range(turn, 96, 8)]

    with ThreadPoolExecutor(8) as threads:
        statuses = {status for each in threads.map(do_many, range(8)) for status in each}
    assert statuses <= {200, 204, 404, 422}


def test_a_profile_that_begins_while_the_account_changes_shows_what_it_became(
    service: Running, tables: Tables, connect: Callable[[str], Client]
) -> None:
    clients = [connect(service.url) for _ in range(2)]
    for _ in range(12):
        driver = new_driver(tables)
        with ThreadPoolExecutor(2) as threads:
            changing = threads.submit(change, clients[0], driver, phone_number="01632 960001")
            time.sleep(random.random() * 0.03)  # noqa: S311 -- no secret
            created = driver.send(clients[1], "POST", FIELDS)
            changing.result()
        assert created.status == 200, created
        shown = driver.send(clients[1], "GET").json["profile"]
        assert shown["phone_number"] == "01632 960001", "the account's old number is shown"


# Who asks learns nothing.


@pytest.mark.parametrize("path", [FORGOTTEN, CONFIRMATION])
def test_nobody_can_tell_by_the_time_whether_an_address_is_somebodys(
    client: Client, driver: Driver, path: str
) -> None:
    nobody = f"x{driver.email[1:]}"
    seconds = {email: _asking(client, path, email) for email in (driver.email, nobody)}

    chance = random.Random(3)  # noqa: S311 -- chance, not a secret
    assert not told_apart_twice(seconds, TRIES, chance)


def _asking(client: Client, path: str, email: str) -> Callable[[], float]:
    def ask() -> float:
        began = time.perf_counter()
        answer = send(client, "POST", path, email=email)
        took = time.perf_counter() - began
        assert (answer.status, answer.body) == (200, b"{}"), answer
        return took

    return ask
