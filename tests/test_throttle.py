"""Who tries too often waits, wherever they ask; whose account it is does not wait for them."""

import asyncio
import json
import time
from collections import Counter as Count
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.accounts import Link, Purpose, Throttle, keep_link
from roadworthy.accounts.counter import Counter
from roadworthy.accounts.throttle_queries import leave_no_trace, remember_address
from roadworthy.database import Database, open_database
from roadworthy.settings import Limit, load_settings
from roadworthy.turns import Turns
from roadworthy.wire import TooManyRequests, network_of, site_of
from tests.conftest import Place
from tests.support.client import Answer, Client
from tests.support.drivers import PASSWORD, Driver, new_driver
from tests.support.mail import link_to
from tests.support.purging import purge_now
from tests.support.scenario import error, hold_to_conventions
from tests.support.service import Service
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_until

Start = Callable[..., Service]
Connect = Callable[[str], Client]

SIGN_IN = "/api/v1/users/sign_in"
SIGN_UP = "/api/v1/users"

HOME, ELSEWHERE, THIRD = "192.0.2.1", "192.0.2.2", "198.51.100.3"
NEVER = "100000/1m"

DAY = timedelta(days=1)


@pytest.fixture
def tables(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


@pytest.fixture
def driver(tables: Tables) -> Driver:
    return new_driver(tables)


class Asking:
    """Asks one service as somebody at an address, by way of a proxy that it trusts."""

    def __init__(self, client: Client):
        self._client = client

    def sign_in(self, email: str, password: str = PASSWORD, at: str = HOME) -> Answer:
        return self._post(SIGN_IN, email, password, at)

    def fail(self, email: str, at: str = HOME) -> Answer:
        return self._post(SIGN_IN, email, "not the password", at)

    def sign_up(self, email: str, password: str = PASSWORD, at: str = HOME) -> Answer:
        return self._post(SIGN_UP, email, password, at)

    def change(self, driver: Driver, proof: str | None, **fields: str) -> Answer:
        headers = {**driver.signed, "content-type": "application/json", "x-forwarded-for": HOME}
        user = {"current_password": proof, **fields}
        return self._client.send("PATCH", SIGN_UP, headers, json.dumps({"user": user}))

    def reset(self, token: str) -> Answer:
        headers = {"content-type": "application/json", "x-forwarded-for": HOME}
        user = {"reset_password_token": token, "password": PASSWORD}
        return self._client.send("PUT", f"{SIGN_UP}/password", headers, json.dumps({"user": user}))

    def _post(self, path: str, email: str, password: str, at: str) -> Answer:
        headers = {"content-type": "application/json", "x-forwarded-for": at}
        body = json.dumps({"user": {"email": email, "password": password}})
        return self._client.send("POST", path, headers, body)


@pytest.fixture
def serve(place: Place, start: Start, connect: Connect) -> Callable[..., Asking]:
    """Starts a service with limits; `sign_in="3/1h,off"` and so on."""

    def begin(*arguments: str, **limits: str) -> Asking:
        settings = {
            **place.settings,
            "ROADWORTHY_TRUSTED_PROXIES": "127.0.0.1",
            **{f"ROADWORTHY_{name.upper()}_LIMIT": limit for name, limit in limits.items()},
        }
        return Asking(connect(start(place.folder, settings, *arguments).url))

    return begin


def hold_refused(answer: Answer, at_most: int) -> None:
    assert (answer.status, answer.json) == (429, error(429)), answer
    hold_to_conventions(answer, "POST")
    assert 0 < int(answer.header("retry-after") or 0) <= at_most, answer


# Sign-in


@pytest.mark.parametrize("exists", [True, False], ids=["an account", "nobody's address"])
def test_wrong_passwords_for_one_address(
    serve: Callable[..., Asking], driver: Driver, *, exists: bool
) -> None:
    """From anywhere, written anyhow, whether there is such an account or not."""
    asking = serve(sign_in=f"3/1h,{NEVER}")
    email = driver.email if exists else "nobody@example.com"
    tries = [
        asking.fail(email, HOME),
        asking.fail(f" {email.upper()}\t", ELSEWHERE),
        asking.fail(email, THIRD),
    ]

    assert [answer.status for answer in tries] == [401, 401, 401]
    for at in (HOME, ELSEWHERE, THIRD, "203.0.113.4"):
        hold_refused(asking.sign_in(email, at=at), at_most=20 * 60)
    assert asking.fail("another@example.com", HOME).status == 401


def test_wrong_passwords_from_one_address(serve: Callable[..., Asking], driver: Driver) -> None:
    asking = serve(sign_in=f"{NEVER},3/1h")

    for number in range(3):
        assert asking.fail(f"nobody{number}@example.com").status == 401
    hold_refused(asking.sign_in(driver.email), at_most=20 * 60)
    assert asking.sign_in(driver.email, at=ELSEWHERE).status == 201


def test_an_ipv6_network_is_one_address(serve: Callable[..., Asking]) -> None:
    asking = serve(sign_in=f"{NEVER},2/1h")

    assert asking.fail("a@example.com", "2001:db8:1:2::1").status == 401
    assert asking.fail("b@example.com", "2001:db8:1:2:ffff::2").status == 401
    hold_refused(asking.fail("c@example.com", "2001:db8:1:2::3"), at_most=30 * 60)
    assert asking.fail("d@example.com", "2001:db8:1:3::1").status == 401


def test_after_the_time_that_is_said_a_try_is_taken(
    serve: Callable[..., Asking], driver: Driver
) -> None:
    """By the stricter of the two limits, and never counting tries that were refused."""
    asking = serve(sign_in="2/6s,3/6s")
    tries = (asking.fail(driver.email) for _ in range(30))
    refused = next(answer for answer in tries if answer.status == 429)
    hold_refused(refused, at_most=3)
    time.sleep(int(refused.header("retry-after") or 0))

    assert asking.fail(driver.email).status == 401


def test_right_passwords_are_not_counted(serve: Callable[..., Asking], tables: Tables) -> None:
    """However many drivers share an address, and however often one signs in anew."""
    asking = serve(sign_in="2/1h,2/1h")
    drivers = [new_driver(tables) for _ in range(6)]

    for driver in drivers:
        assert asking.sign_in(driver.email).status == 201
    for number in range(6):
        assert asking.sign_in(drivers[0].email, at=f"203.0.113.{number}").status == 201
    for _ in range(6):
        assert asking.sign_in(drivers[0].email).status == 201


def test_who_signed_in_there_before_is_never_locked_out_by_strangers(
    serve: Callable[..., Asking], driver: Driver
) -> None:
    asking = serve(sign_in="3/1h,3/1h")
    assert asking.sign_in(driver.email, at=HOME).status == 201

    for _ in range(3):
        assert asking.fail(driver.email, ELSEWHERE).status == 401
    for number in range(3):
        assert asking.fail(f"nobody{number}@example.com", HOME).status == 401
    hold_refused(asking.sign_in(driver.email, at=ELSEWHERE), at_most=20 * 60)
    hold_refused(asking.sign_in(driver.email, at=THIRD), at_most=20 * 60)
    hold_refused(asking.fail("nobody@example.com", HOME), at_most=20 * 60)

    assert asking.sign_in(driver.email, at=HOME).status == 201


def test_who_signed_up_there_is_known_there(serve: Callable[..., Asking]) -> None:
    asking = serve(sign_in="1/1h,1/1h")
    assert asking.sign_up("new@example.com", at=HOME).status == 201
    assert asking.fail("new@example.com", ELSEWHERE).status == 401
    assert asking.fail("nobody@example.com", HOME).status == 401

    assert asking.sign_in("new@example.com", at=HOME).status == 201


def test_wrong_passwords_where_it_is_known(serve: Callable[..., Asking], driver: Driver) -> None:
    """Have a limit too: as many again, of which nobody is told."""
    asking = serve(sign_in="3/1h,off")
    assert asking.sign_in(driver.email, at=HOME).status == 201

    for _ in range(3):
        assert asking.fail(driver.email, HOME).status == 401
    for _ in range(2):
        hold_refused(asking.fail(driver.email, HOME), at_most=20 * 60)
    assert asking.sign_in(driver.email, at=HOME).status == 201
    hold_refused(asking.fail(driver.email, HOME), at_most=20 * 60)
    hold_refused(asking.sign_in(driver.email, at=HOME), at_most=20 * 60)


@pytest.mark.parametrize(
    ("limit", "emptied"),
    [
        (f"3/1h,{NEVER}", "the account's"),
        (f"{NEVER},3/1h", "the address's"),
    ],
)
def test_nobody_learns_where_an_account_signs_in(
    serve: Callable[..., Asking], tables: Tables, limit: str, emptied: str
) -> None:
    """Who shares an address with drivers is answered alike, whoever signed in there before."""
    asking, known, unknown = serve(sign_in=limit), new_driver(tables), new_driver(tables)
    assert asking.sign_in(known.email, at=HOME).status == 201
    seen = []
    for email in (known.email, unknown.email, "nobody@example.com"):
        for number in range(3):
            if emptied == "the account's":
                asking.fail(email, ELSEWHERE)
            else:
                asking.fail(f"nobody{number}@example.com", HOME)
        refused = [asking.fail(email, HOME) for _ in range(2)]
        for answer in refused:
            hold_refused(answer, at_most=20 * 60)
        seen.append({tuple(name for name, _ in answer.headers) for answer in refused})
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("limit", [f"3/1h,{NEVER}", f"{NEVER},3/1h"], ids=["account", "address"])
def test_tries_where_it_is_known_count_elsewhere_too(
    serve: Callable[..., Asking], driver: Driver, limit: str
) -> None:
    """Else they would tell that it is known there."""
    asking = serve(sign_in=limit)
    assert asking.sign_in(driver.email, at=HOME).status == 201

    for _ in range(3):
        assert asking.fail(driver.email, HOME).status == 401
    if limit.startswith(NEVER):
        hold_refused(asking.fail("nobody@example.com", HOME), at_most=20 * 60)
    else:
        hold_refused(asking.fail(driver.email, ELSEWHERE), at_most=20 * 60)


def test_nonsense_is_not_counted(serve: Callable[..., Asking], driver: Driver) -> None:
    asking = serve(sign_in="1/1h,1/1h")

    for _ in range(3):
        assert asking.sign_in("\0").status == 401
    assert asking.sign_in(driver.email).status == 201


def test_limits_hold_over_processes_and_a_restart(
    place: Place, start: Start, driver: Driver
) -> None:
    """Fifty at once, to two services of two processes each."""
    settings = {**place.settings, "ROADWORTHY_SIGN_IN_LIMIT": f"10/10h,{NEVER}"}
    services = [start(place.folder, settings, "--workers", "2") for _ in range(2)]

    def fail(number: int) -> int:
        client = Client(services[number % 2].url)
        try:
            return Asking(client).fail(driver.email).status
        finally:
            client.close()

    with ThreadPoolExecutor(50) as threads:
        assert Count(threads.map(fail, range(50))) == {401: 10, 429: 40}

    for service in services:
        assert service.stop() == 0
    services[:] = [start(place.folder, settings)] * 2
    assert fail(0) == 429


def test_who_holds_a_token_guesses_no_more_often(
    serve: Callable[..., Asking], driver: Driver
) -> None:
    asking = serve(sign_in="3/1h,off")
    for _ in range(3):
        assert asking.change(driver, "not the password", bio="x").status == 422
    hold_refused(asking.change(driver, "not the password"), 1200)


def test_who_holds_a_token_learns_of_no_address(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    """By a change of address that is never made."""
    asking, taken = serve(sign_in="3/1h,off"), new_driver(tables)
    for proof in (None, "", "not the password"):
        others = [asking.change(driver, proof, email=e) for e in (taken.email, "nobody@b.c")]
        assert others[0].json == others[1].json
        assert list(others[0].json["errors"]) == ["current_password"]


def test_who_knows_the_password_asks_after_few_addresses(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    """By a change that is refused for something else."""
    asking, taken = serve(sign_up="off,3/1h"), new_driver(tables)
    for email in (taken.email, "nobody@b.c", taken.email):
        refused = asking.change(driver, PASSWORD, email=email, password="short")
        assert ("email" in refused.json["errors"]) == (email == taken.email)
    hold_refused(asking.change(driver, PASSWORD, email="nobody@b.c", password="short"), 1200)


def test_what_is_written_for_its_time_leaves_no_trace(tables: Tables) -> None:
    tables.inspect(lambda connection: leave_no_trace(connection, b"0" * 16, datetime.now(UTC)))
    assert tables.rows("throttles") == []


def test_who_chose_a_password_by_mail_signs_in_at_once(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    asking = serve(sign_in="3/1h,off")
    for _ in range(3):
        asking.fail(driver.email, ELSEWHERE)
    hold_refused(asking.sign_in(driver.email), 1200)

    assert asking.reset(link_to(tables, driver.id, "reset")).status == 204
    for _ in range(4):
        asking.fail(driver.email, ELSEWHERE)
    assert asking.sign_in(driver.email).status == 201, "a stranger went on"


def test_who_chose_a_password_by_mail_signs_in_where_they_are_known_too(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    asking = serve(sign_in="3/1h,3/1h")
    assert asking.sign_in(driver.email, at=HOME).status == 201
    for _ in range(6):
        assert asking.fail(driver.email, at=HOME).status in (401, 429)
    hold_refused(asking.sign_in(driver.email, at=HOME), 1200)

    assert asking.reset(link_to(tables, driver.id, "reset")).status == 204
    assert asking.sign_in(driver.email, at=HOME).status == 201


def test_who_chooses_a_password_by_mail_has_no_more_tries_at_others(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    asking, victim = serve(sign_in="off,3/1h"), new_driver(tables)
    for _ in range(3):
        assert asking.fail(victim.email).status == 401

    assert asking.reset(link_to(tables, driver.id, "reset")).status == 204
    hold_refused(asking.fail(victim.email), 1200)


def test_limits_that_are_off(serve: Callable[..., Asking], driver: Driver, tables: Tables) -> None:
    asking = serve(sign_in="off", sign_up="off")

    for number in range(12):
        assert asking.fail(driver.email).status == 401
        assert asking.sign_up(f"off{number}@example.com").status == 201
    assert tables.rows("throttles") == []


# Sign-up and mail


def test_sign_ups_of_one_address(serve: Callable[..., Asking], driver: Driver) -> None:
    """Whether it is taken is told only so often."""
    asking = serve(sign_up=f"2/1h,{NEVER}")

    for at in (HOME, ELSEWHERE):
        assert asking.sign_up(driver.email, at=at).status == 422
    hold_refused(asking.sign_up(driver.email, at=THIRD), at_most=30 * 60)


def test_sign_ups_from_one_address(serve: Callable[..., Asking], tables: Tables) -> None:
    asking = serve(sign_up=f"{NEVER},3/1h")

    assert asking.sign_up("one@example.com").status == 201
    assert asking.sign_up("one@example.com").status == 422
    assert asking.sign_up("two@example.com", password="short").status == 422
    hold_refused(asking.sign_up("three@example.com"), at_most=20 * 60)
    assert asking.sign_up("four@example.com", at=ELSEWHERE).status == 201
    assert tables.rows("users", email="three@example.com") == []


def test_a_sign_up_that_asks_nothing_of_us_is_not_counted(serve: Callable[..., Asking]) -> None:
    asking = serve(sign_up="1/1h,1/1h")

    for _ in range(3):
        assert asking.sign_up("no address").status == 422
    assert asking.sign_up("address@example.com").status == 201


Mailing = Callable[[Throttle, Database], Awaitable[None]]


@pytest.fixture
def with_throttle(place: Place) -> Callable[[Mailing], None]:
    """Runs something with a throttle that lets two mails go to an address, three for a client."""

    async def run(mailing: Mailing) -> None:
        settings = load_settings({**place.settings, "ROADWORTHY_MAIL_LIMIT": "2/1h,3/1h"})
        database = open_database(place.url)
        await database.open()
        try:
            await mailing(
                Throttle(database, settings, "secret", lambda: datetime.now(UTC)), database
            )
        finally:
            await database.close()

    return lambda mailing: asyncio.run(run(mailing))


async def ask_for_mail(throttle: Throttle, email: str, client: str) -> tuple[list[bool], int]:
    """To whom it is sent, `True`: to anybody, and how many seconds to wait are answered."""
    sent = []

    async def send(only_from: bytes | None) -> None:
        assert only_from in (None, throttle.place(client))
        sent.append(only_from is None)

    try:
        await throttle.mailing("reset", email, client, send)
    except TooManyRequests as refused:
        return sent, int(refused.headers["retry-after"])
    return sent, 0


def test_mails(with_throttle: Callable[[Mailing], None]) -> None:
    """To one address, and from one; what is too often goes only to who is known there."""

    async def ask(throttle: Throttle, _: Database) -> None:
        for email, client, sent, at_most in (
            ("a@b", HOME, [True], 0),
            ("a@b", ELSEWHERE, [True], 0),
            ("a@b", THIRD, [False], 30 * 60),  # the third to one address
            ("a@b", THIRD, [False], 30 * 60),
            ("a@b", THIRD, [], 30 * 60),
            ("c@d", HOME, [True], 0),
            ("e@f", HOME, [True], 0),
            ("g@h", HOME, [], 20 * 60),  # the fourth from one address
            ("g@h", ELSEWHERE, [True], 0),
        ):
            got, wait = await ask_for_mail(throttle, email, client)
            assert got == sent, (email, client)
            assert at_most - 60 < wait <= at_most, (email, client)

    with_throttle(ask)


def test_strangers_keep_no_driver_from_a_new_password(
    tables: Tables, driver: Driver, with_throttle: Callable[[Mailing], None]
) -> None:
    """Where they have signed in before, a mail that was one too many goes out all the same."""

    async def ask(throttle: Throttle, database: Database) -> None:
        now, home = datetime.now(UTC), throttle.place(HOME)
        await database.write(remember_address, driver.id, home, now)
        link = Link("digest", Purpose.RESET, driver.email, now + DAY)
        assert not await database.write(keep_link, link, now, throttle.place(ELSEWHERE))
        assert await database.write(keep_link, link, now, home)
        assert await database.write(keep_link, link, now)

    with_throttle(ask)
    assert len(tables.rows("mailed_links", user_id=driver.id)) == 1


# What is kept


def test_what_is_kept_names_nobody(
    serve: Callable[..., Asking], driver: Driver, tables: Tables
) -> None:
    asking = serve(sign_in="10/15m,100/15m")
    asking.fail("nobody@example.com", ELSEWHERE)
    asking.sign_in(driver.email, at=ELSEWHERE)

    wait_until(lambda: tables.rows("known_addresses"), "an address that is known")
    counted, known = tables.rows("throttles"), tables.rows("known_addresses")
    assert (len(counted), len(known)) == (3, 1)
    for row in counted:
        assert len(row["key"]) == 16
    assert len(known[0]["place"]) == 16
    assert known[0]["user_id"] == driver.id


def test_what_is_not_needed_is_forgotten(place: Place, driver: Driver, tables: Tables) -> None:
    now = datetime.now(UTC)

    def clear(after: timedelta) -> int:
        return int((now + after).timestamp() * 1_000_000)

    throttles, known = tables["throttles"], tables["known_addresses"]
    old = [
        {"key": number.to_bytes(16), "clear_at": clear(-timedelta(hours=2, seconds=number))}
        for number in range(1, 2501)
    ]
    tables.execute(throttles.insert().values(old))
    tables.execute(throttles.insert().values(key=b"later", clear_at=clear(timedelta(hours=1))))
    for place_of_sign_in, seen_at in ((b"old", now - 91 * DAY), (b"lately", now - 89 * DAY)):
        tables.execute(
            known.insert().values(user_id=driver.id, place=place_of_sign_in, seen_at=seen_at)
        )

    purge_now(place.settings, tables)

    assert [row["key"] for row in tables.rows("throttles")] == [b"later"]
    assert [row["place"] for row in tables.rows("known_addresses")] == [b"lately"]


# Turns


def test_who_waits_for_much_lets_others_pass() -> None:
    """Place by place, and at one place in order; who gives up is passed over."""

    async def day() -> None:
        turns, had = Turns(1), list[str]()

        async def take(who: str) -> None:
            async with turns.turn(who[0]):
                had.append(who)
                await asyncio.sleep(0)

        tasks = {
            who: asyncio.create_task(take(who)) for who in ("a1", "a2", "a3", "a4", "b1", "c1")
        }
        tasks["c2"] = asyncio.create_task(take("c2"))
        await asyncio.sleep(0)
        tasks["a3"].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert had == ["a1", "a2", "b1", "c1", "a4", "c2"]
        await take("d1")
        assert had[-1] == "d1", "a turn was lost"

    asyncio.run(day())


def test_one_place_leaves_room_for_another() -> None:
    """What is free stays free for who comes next."""

    async def day() -> None:
        turns, had = Turns(2, most_of_one=1), list[str]()

        async def take(place: str) -> None:
            async with turns.turn(place):
                had.append(place)

        async with turns.turn("a"):
            waiting = asyncio.create_task(take("a"))
            await asyncio.sleep(0)
            await take("b")
        await waiting
        assert had == ["b", "a"]

    asyncio.run(day())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30),
    st.integers(1, 2),
)
def test_no_turn_is_lost(come: list[tuple[str, int]], most_of_one: int) -> None:
    """Whoever gives up, whenever: as they wait, as they are let in, or while it is their turn."""

    async def day() -> None:
        turns, inside = Turns(2, most_of_one), Count[str]()

        async def take(place: str) -> None:
            async with turns.turn(place):
                inside[place] += 1
                assert inside.total() <= 2
                assert inside[place] <= most_of_one
                try:
                    await asyncio.sleep(0)
                finally:
                    inside[place] -= 1

        tasks = [asyncio.create_task(take(place)) for place, _ in come]
        for step in range(3):
            await asyncio.sleep(0)
            for task, (_, gives_up) in zip(tasks, come, strict=True):
                if gives_up == step + 1:
                    task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        async with asyncio.timeout(5), turns.turn("d"), turns.turn("e"):
            pass

    asyncio.run(day())


# Rules


LIMITS = st.builds(
    Limit, st.integers(1, 1000), st.integers(1, 10**6).map(lambda s: timedelta(seconds=s))
)


@given(limit=LIMITS, pauses=st.lists(st.integers(0, 10**12), max_size=50))
def test_tries_come_back_one_by_one(limit: Limit, pauses: list[int]) -> None:
    """In no stretch of time are more taken than all at once and those that came back in it."""
    counter = Counter(b"", limit)
    clear_at, now = None, 0
    taken: list[int] = []
    for pause in pauses:
        now += pause
        wait = counter.wait(clear_at, now)
        assert wait <= counter.step, "more than one try is waited for"
        if wait == 0:
            clear_at = max(clear_at or 0, now) + counter.step
            taken.append(now)
        else:
            assert counter.wait(clear_at, now + wait) == 0, "not true"
            assert counter.wait(clear_at, now + wait - 1) > 0, "too long"

    for first, began in enumerate(taken):
        for last, ended in enumerate(taken[first:], first):
            assert last - first + 1 <= limit.tries + (ended - began) // counter.step


@given(limit=LIMITS, ahead=st.integers(1, 10**15))
def test_a_clock_that_was_wrong_locks_nobody_out_for_longer(limit: Limit, ahead: int) -> None:
    counter = Counter(b"", limit)
    assert counter.wait(ahead, 0) <= counter.period + counter.step


@pytest.mark.parametrize(
    ("client", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_places(client: str, place: str) -> None:
    assert network_of(client) == place


@pytest.mark.parametrize(
    ("client", "site"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"), ("unix:", "unix:")],
)
def test_sites(client: str, site: str) -> None:
    assert site_of(client) == site
