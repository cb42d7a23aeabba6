"""A create is done once, however often it is sent: the key's first answer comes again."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from roadworthy.uploads.upload import MOST_UNFINISHED
from tests.conftest import Place, Running
from tests.support.blobs import png
from tests.support.client import Answer, Client
from tests.support.drivers import (
    FIELDS,
    PASSWORD,
    PROFILE_PATH,
    Driver,
    compact,
    new_driver,
    with_profile,
)
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.scenario import refused
from tests.support.service import Service
from tests.support.tables import Row, Tables, open_tables

CONNECTIONS = 50

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BODY = compact({"profile": FIELDS})
MOST = 256 * 1024
UPLOADS = "/api/v1/uploads"

OTHER_REQUEST = refused(idempotency_key="has already been used for another request")
HAS_ONE = refused(user="has already been taken")

FORM_FIELDS = {f"profile[{name}]": value for name, value in FIELDS.items()}


@dataclass(frozen=True)
class Post:
    """A create, as it is sent."""

    body: str | bytes = BODY
    content_type: str = JSON
    path: str = PROFILE_PATH
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: Client, driver: Driver, key: str | bytes | None) -> Answer:
        headers: list[tuple[str, str | bytes]] = [*driver.signed.items(), *self.headers.items()]
        if self.content_type:
            headers.append(("content-type", self.content_type))
        if key is not None:
            headers.append(("idempotency-key", key))
        return client.send("POST", self.path, headers, self.body)


CREATE = Post()


def kept_for(tables: Tables, driver: Driver) -> list[Row]:
    return tables.rows("idempotency_keys", user_id=driver.id)


def profiles_of(tables: Tables, driver: Driver) -> int:
    return len(tables.rows("profiles", user_id=driver.id))


def assert_same(first: Answer, again: Answer) -> None:
    assert (again.status, again.body) == (first.status, first.body), f"{first}\n\n{again}"
    assert again.header("etag") == first.header("etag"), f"{first}\n\n{again}"


_SAME_REQUESTS: list[tuple[str, Post, int]] = [
    ("JSON", CREATE, 200),
    ("a form", Post(urlencode(FORM_FIELDS), FORM), 200),
    (
        "multipart",
        Post(
            multipart(Part(name, value) for name, value in FORM_FIELDS.items()),
            f"multipart/form-data; boundary={BOUNDARY}",
        ),
        200,
    ),
    ("the query string", Post("", JSON, f"{PROFILE_PATH}?{urlencode(FORM_FIELDS)}"), 200),
    ("refused values", Post('{"profile":{"first_name":"","bio":true}}'), 422),
]


@pytest.mark.parametrize(
    ("post", "status"),
    [case[1:] for case in _SAME_REQUESTS],
    ids=[case[0] for case in _SAME_REQUESTS],
)
def test_the_same_again_gets_the_first_answer_again(
    client: Client, tables: Tables, driver: Driver, post: Post, status: int
) -> None:
    first = post.send(client, driver, "one")
    for _ in range(3):
        assert_same(first, post.send(client, driver, "one"))

    assert first.status == status, first
    assert profiles_of(tables, driver) == (1 if status == 200 else 0)
    (kept,) = kept_for(tables, driver)
    assert (kept["method"], kept["path"], kept["key"]) == ("POST", PROFILE_PATH, "one")
    assert (kept["status"], kept["body"]) == (status, first.body)


_OTHER_REQUESTS: list[tuple[str, Post]] = [
    ("another value", Post(compact({"profile": {**FIELDS, "postcode": "AB1"}}))),
    ("one more space", Post(BODY + " ")),
    ("refused values", Post('{"profile":{"first_name":""}}')),
    ("what is no JSON", Post('{"profile":')),
    ("no body", Post("")),
    ("no content type of ours", Post(BODY, "text/plain")),
    ("a query", Post(path=f"{PROFILE_PATH}?x=1")),
    ("the fields in the query", Post(path=f"{PROFILE_PATH}?{urlencode(FORM_FIELDS)}")),
]


@pytest.mark.parametrize(
    "other", [case[1] for case in _OTHER_REQUESTS], ids=[case[0] for case in _OTHER_REQUESTS]
)
def test_a_key_names_one_request(
    client: Client, tables: Tables, driver: Driver, other: Post
) -> None:
    first = CREATE.send(client, driver, "one")
    answer = other.send(client, driver, "one")

    assert first.status == 200, first
    assert (answer.status, answer.json) == (422, OTHER_REQUEST), answer
    assert_same(first, CREATE.send(client, driver, "one"))
    assert len(kept_for(tables, driver)) == 1
    assert profiles_of(tables, driver) == 1


def test_a_refused_request_keeps_its_key_from_the_corrected_one(
    client: Client, tables: Tables, driver: Driver
) -> None:
    wrong = Post('{"profile":{"first_name":""}}')
    assert wrong.send(client, driver, "one").status == 422

    corrected = CREATE.send(client, driver, "one")
    assert (corrected.status, corrected.json) == (422, OTHER_REQUEST)
    assert profiles_of(tables, driver) == 0
    assert CREATE.send(client, driver, "another").status == 200


def test_a_key_belongs_to_an_account(client: Client, tables: Tables) -> None:
    drivers = [new_driver(tables) for _ in range(3)]
    answers = [CREATE.send(client, driver, "shared") for driver in drivers]

    assert [answer.status for answer in answers] == [200] * 3, answers
    shown = [answer.json["profile"]["email"] for answer in answers]
    assert shown == [driver.email for driver in drivers]


@pytest.mark.parametrize(
    "elsewhere", [{"method": "PATCH"}, {"path": "/api/v1/users/profile/experiences"}], ids=str
)
def test_a_key_belongs_to_a_method_and_a_path(
    client: Client, tables: Tables, driver: Driver, elsewhere: Mapping[str, str]
) -> None:
    there: dict[str, Any] = {"method": "POST", "path": PROFILE_PATH, **elsewhere}
    keep(tables, driver, "one", **there)

    assert CREATE.send(client, driver, "one").status == 200
    assert len(kept_for(tables, driver)) == 2


def test_a_change_has_no_need_of_a_key(client: Client, tables: Tables, registered: Driver) -> None:
    """PATCH does the same each time by itself: nothing is kept, and a key forbids nothing."""
    for postcode in ("AB1", "AB2"):
        headers = {"idempotency-key": "one"}
        changed = registered.send(client, "PATCH", {"postcode": postcode}, headers)
        assert (changed.status, changed.json["profile"]["postcode"]) == (200, postcode)

    assert kept_for(tables, registered) == []


_NOT_KEPT: list[tuple[str, Post, int]] = [
    ("what is no JSON", Post('{"profile":'), 400),
    ("no profile", Post("{}"), 400),
    ("a broken form", Post("profile[first_name]=%", FORM), 400),
    ("an unknown path", Post(path="/api/v1/users/nothing"), 404),
    ("a method that is not there", Post(path="/api/v1/users/sign_out"), 405),
    ("a body over the limit", Post(" " * (MOST + 1)), 413),
]


@pytest.mark.parametrize(
    ("post", "status"), [case[1:] for case in _NOT_KEPT], ids=[case[0] for case in _NOT_KEPT]
)
def test_what_was_not_understood_leaves_the_key_free(
    service: Running, connect: Callable[[str], Client], driver: Driver, post: Post, status: int
) -> None:
    answer = post.send(connect(service.url), driver, "one")

    assert answer.status == status, answer
    assert kept_for(service.tables, driver) == []
    # A body that was not read to its end has closed the first connection.
    assert CREATE.send(connect(service.url), driver, "one").status == 200


def test_who_was_not_signed_in_may_use_the_key_after(
    client: Client, tables: Tables, driver: Driver
) -> None:
    stranger = Driver(driver.id, driver.email, "no token")

    assert CREATE.send(client, stranger, "one").status == 401
    assert kept_for(tables, driver) == []
    assert CREATE.send(client, driver, "one").status == 200


def test_who_is_not_signed_in_gets_no_kept_answer(client: Client, driver: Driver) -> None:
    assert CREATE.send(client, driver, "one").status == 200
    assert client.send("DELETE", "/api/v1/users/sign_out", driver.signed).status == 204

    again = CREATE.send(client, driver, "one")
    assert (again.status, again.json) == (401, {"error": "revoked token"})


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/users/sign_in"])
def test_sign_up_and_sign_in_keep_nothing(
    client: Client, tables: Tables, driver: Driver, path: str
) -> None:
    """Their answers carry tokens."""
    email = driver.email if path.endswith("sign_in") else f"new.{driver.email}"
    user = json.dumps({"user": {"email": email, "password": PASSWORD}})
    before = tables.count(["idempotency_keys"])
    headers = {**driver.signed, "content-type": JSON, "idempotency-key": "one"}
    first, again = (client.send("POST", path, headers, user) for _ in range(2))

    assert first.status == 201, first
    assert again.status == (201 if path.endswith("sign_in") else 422), again
    assert again.header("authorization") != first.header("authorization")
    assert tables.count(["idempotency_keys"]) == before


_AGES = [
    ("a moment", timedelta(0), True),
    ("23 hours", timedelta(hours=23), True),
    ("23 hours 55 minutes", timedelta(hours=23, minutes=55), True),
    ("24 hours", timedelta(hours=24), False),
    ("a year", timedelta(days=365), False),
]


@pytest.mark.parametrize(
    ("age", "is_kept"), [case[1:] for case in _AGES], ids=[case[0] for case in _AGES]
)
def test_an_answer_is_kept_for_24_hours(
    client: Client, tables: Tables, driver: Driver, age: timedelta, *, is_kept: bool
) -> None:
    first = CREATE.send(client, driver, "one")
    assert driver.send(client, "DELETE").status == 204
    _make_older(tables, driver, age)
    again = CREATE.send(client, driver, "one")

    assert again.status == 200, again
    assert (again.body == first.body) is is_kept, f"{first}\n\n{again}"
    assert profiles_of(tables, driver) == (0 if is_kept else 1)
    (kept,) = kept_for(tables, driver)
    assert kept["body"] == again.body
    assert_same(again, CREATE.send(client, driver, "one"))


def test_after_24_hours_the_key_may_name_another_request(
    client: Client, tables: Tables, driver: Driver
) -> None:
    wrong = Post('{"profile":{"first_name":""}}')
    assert wrong.send(client, driver, "one").status == 422
    _make_older(tables, driver, timedelta(hours=24))

    assert CREATE.send(client, driver, "one").status == 200
    assert wrong.send(client, driver, "one").json == OTHER_REQUEST


@pytest.mark.parametrize("key", [None, "", "   "], ids=["no header", "empty", "spaces"])
def test_without_a_key_nothing_is_kept(
    client: Client, tables: Tables, driver: Driver, key: str | None
) -> None:
    assert CREATE.send(client, driver, key).status == 200
    again = CREATE.send(client, driver, key)
    assert (again.status, again.json) == (422, HAS_ONE)
    assert kept_for(tables, driver) == []


@pytest.mark.parametrize("length", [256, 1000, 10_000])
def test_a_key_that_is_too_long(
    client: Client, tables: Tables, driver: Driver, length: int
) -> None:
    answer = CREATE.send(client, driver, "k" * length)

    assert answer.status == 422, answer
    assert answer.json == refused(idempotency_key="is too long (maximum is 255 characters)")
    assert profiles_of(tables, driver) == 0
    assert kept_for(tables, driver) == []


_KEYS: list[tuple[str, bytes]] = [
    ("a letter", b"k"),
    ("a UUID", b"5f0c9f0e-4d50-4a53-8a6e-0d3b1a4ac7f3"),
    ("255 letters", b"k" * 255),
    ("255 letters beyond ASCII", b"\xff" * 255),
    ("quotes", b"'\"`"),
    ("SQL", b"'; DROP TABLE idempotency_keys; --"),
    ("placeholders", b"%s :key $1 ? {0}"),
    ("a comma, a semicolon", b"a, b; c=d"),
    ("spaces inside", b"two  words"),
    ("a tab inside", b"two\twords"),
    ("an escaped NUL", rb"%00\u0000\0"),
    ("latin letters", "clé".encode("latin-1")),
    ("UTF-8", "ключ \U0001f511".encode()),
    ("every byte a header may have", bytes([*range(33, 127), *range(128, 256)])),
    ("brackets", b"profile[first_name]"),
]


@pytest.mark.parametrize("key", [case[1] for case in _KEYS], ids=[case[0] for case in _KEYS])
def test_a_key_is_any_text(client: Client, tables: Tables, driver: Driver, key: bytes) -> None:
    first = CREATE.send(client, driver, key)
    assert first.status == 200, first
    assert_same(first, CREATE.send(client, driver, key))

    (kept,) = kept_for(tables, driver)
    assert kept["key"] in {key.decode("latin-1"), key.decode("utf-8", "replace")}
    other = CREATE.send(client, driver, key[:-1] + b"~")
    assert (other.status, other.json) == (422, HAS_ONE), "another key got the same answer"


def test_a_key_may_have_as_many_characters_of_several_bytes(client: Client, driver: Driver) -> None:
    assert CREATE.send(client, driver, ("é" * 255).encode()).status == 200
    too_long = CREATE.send(client, driver, ("é" * 256).encode())
    assert too_long.json == refused(idempotency_key="is too long (maximum is 255 characters)")


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_body_is_the_same_however_its_type_is_written(
    client: Client, driver: Driver, declared: str
) -> None:
    first = CREATE.send(client, driver, "one")
    assert first.status == 200, first
    assert_same(first, Post(BODY, declared).send(client, driver, "one"))


def test_a_client_that_begins_anew_sends_the_same_request(client: Client, driver: Driver) -> None:
    """Libraries make up another boundary each time; the format may be asked for otherwise."""

    def retry(boundary: str, path: str) -> Answer:
        body = multipart((Part(n, v) for n, v in FORM_FIELDS.items()), boundary=boundary)
        return Post(body, f"multipart/form-data; boundary={boundary}", path).send(
            client, driver, "same"
        )

    first = retry("one", PROFILE_PATH)
    assert first.status == 200, first
    assert_same(first, retry("two", f"{PROFILE_PATH}?format=json"))


def test_keys_are_told_apart_by_case(client: Client, driver: Driver) -> None:
    assert CREATE.send(client, driver, "key").status == 200
    assert CREATE.send(client, driver, "KEY").json == HAS_ONE


def test_a_retry_gets_the_first_answer_though_the_profile_is_gone(
    client: Client, tables: Tables, driver: Driver
) -> None:
    first = CREATE.send(client, driver, "one")
    assert driver.send(client, "DELETE").status == 204
    assert_same(first, CREATE.send(client, driver, "one"))
    assert profiles_of(tables, driver) == 0, "the retry created a profile"

    assert CREATE.send(client, driver, "two").status == 200
    assert_same(first, CREATE.send(client, driver, "one"))


def test_a_retry_gets_the_first_answer_though_the_profile_was_changed(
    client: Client, driver: Driver
) -> None:
    first = CREATE.send(client, driver, "one")
    changed = driver.send(client, "PATCH", {"postcode": "AB1"})
    assert_same(first, CREATE.send(client, driver, "one"))
    assert driver.send(client, "GET").body == changed.body


def test_a_refusal_comes_again_though_it_would_now_succeed(client: Client, tables: Tables) -> None:
    driver = with_profile(tables, new_driver(tables))
    first = CREATE.send(client, driver, "one")
    assert (first.status, first.json) == (422, HAS_ONE)
    assert driver.send(client, "DELETE").status == 204

    assert_same(first, CREATE.send(client, driver, "one"))
    assert CREATE.send(client, driver, "two").status == 200


def test_refusals_are_kept_until_there_are_a_thousand(
    client: Client, tables: Tables, driver: Driver
) -> None:
    """What is refused costs its sender nothing, and us a row."""
    for number in range(999):
        keep(tables, driver, f"key {number}", method="POST", path=PROFILE_PATH)
    refused_values = Post('{"profile":{"first_name":""}}')
    assert refused_values.send(client, driver, "the last").status == 422

    for key in ("one more", "the last"):
        assert refused_values.send(client, driver, key).status == 422
    assert refused_values.send(client, driver, None).status == 422
    assert CREATE.send(client, driver, "another").status == 200
    assert len(kept_for(tables, driver)) == 1001


@dataclass(frozen=True)
class Served:
    """A service of one or two server processes, and a driver there."""

    url: str
    tables: Tables
    driver: Driver


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def served(
    request: pytest.FixtureRequest, place: Place, start: Callable[..., Service]
) -> Iterator[Served]:
    service = start(place.folder, place.settings, "--workers", request.param)
    tables = open_tables(place.url)
    yield Served(service.url, tables, new_driver(tables))
    tables.close()


def at_once(
    served: Served, clients: list[Client], posts: list[Post], key: str | None
) -> list[Answer]:
    """Each post over a connection of its own, none before all are ready."""
    barrier = Barrier(len(posts))

    def send(pair: tuple[Client, Post]) -> Answer:
        client, post = pair
        assert client.send("GET", "/up").status == 200  # connected
        barrier.wait()
        return post.send(client, served.driver, key)

    with ThreadPoolExecutor(len(posts)) as threads:
        return list(threads.map(send, zip(clients, posts, strict=True)))


def test_one_key_from_many_connections_at_once(
    served: Served, connect: Callable[[str], Client]
) -> None:
    clients = [connect(served.url) for _ in range(CONNECTIONS)]
    answers = at_once(served, clients, [CREATE] * CONNECTIONS, "one")

    assert answers[0].status == 200, answers[0]
    for answer in answers:
        assert_same(answers[0], answer)
    assert profiles_of(served.tables, served.driver) == 1
    assert len(kept_for(served.tables, served.driver)) == 1


def test_one_key_from_many_connections_where_a_limit_is_near(
    served: Served, connect: Callable[[str], Client]
) -> None:
    """One is within the limit, and so all are answered what it is."""
    clients = [connect(served.url) for _ in range(CONNECTIONS)]
    tus = {"tus-resumable": "1.0.0", "upload-length": "1"}
    for _ in range(MOST_UNFINISHED - 1):
        headers = {**served.driver.signed, **tus}
        assert clients[0].send("POST", UPLOADS, headers, "").status == 201
    photograph = Part("profile[driving_license][]", png(), "licence.png", "image/png")
    fields = [Part(name, value) for name, value in FORM_FIELDS.items()]
    for post in (
        Post("", "", "/api/v1/users/export"),
        Post("", "", UPLOADS, tus),
        Post(multipart([*fields, photograph]), f"multipart/form-data; boundary={BOUNDARY}"),
    ):
        answers = at_once(served, clients, [post] * CONNECTIONS, "one")
        assert answers[0].status in (200, 201), answers[0]
        for answer in answers:
            assert_same(answers[0], answer)

    assert profiles_of(served.tables, served.driver) == 1
    assert len(kept_for(served.tables, served.driver)) == 3
    assert len(served.tables.rows("data_exports", user_id=served.driver.id)) == 1
    assert len(served.tables.rows("uploads", user_id=served.driver.id)) == MOST_UNFINISHED


def test_one_export_counts_once(served: Served, connect: Callable[[str], Client]) -> None:
    """Of however many that are asked for together: five mails may go to an account."""
    clients = [connect(served.url) for _ in range(CONNECTIONS)]
    export = Post("", "", "/api/v1/users/export")
    for answer in at_once(served, clients, [export] * CONNECTIONS, None):
        assert answer.status == 200, answer
    assert len(served.tables.rows("throttles")) == 2, "one of the account, one of the address"
    step = {row["clear_at"] for row in served.tables.rows("throttles")}
    soonest = min(step) / 1_000_000 - time.time()
    assert soonest < 13 * 60, "one try comes back within twelve minutes"


def test_one_key_for_many_requests_at_once(
    served: Served, connect: Callable[[str], Client]
) -> None:
    """One of them is the key's; which one, good or refused, is chance."""
    good = [
        Post(compact({"profile": {**FIELDS, "postcode": str(number)}}))
        for number in range(CONNECTIONS // 2)
    ]
    bad = [
        Post(compact({"profile": {**FIELDS, "first_name": " " * number}}))
        for number in range(CONNECTIONS // 2)
    ]
    posts = [post for pair in zip(good, bad, strict=True) for post in pair]
    clients = [connect(served.url) for _ in posts]
    answers = at_once(served, clients, posts, "one")

    first = [answer for answer in answers if answer.text != compact(OTHER_REQUEST)]
    assert len(first) == 1, [answer.text for answer in first]
    (kept,) = kept_for(served.tables, served.driver)
    assert (kept["status"], kept["body"]) == (first[0].status, first[0].body)
    assert profiles_of(served.tables, served.driver) == (1 if first[0].status == 200 else 0)


def test_many_connections_at_once_without_a_key(
    served: Served, connect: Callable[[str], Client]
) -> None:
    clients = [connect(served.url) for _ in range(CONNECTIONS)]
    answers = at_once(served, clients, [CREATE] * CONNECTIONS, None)

    assert sorted(answer.status for answer in answers) == [200, *[422] * (CONNECTIONS - 1)]
    for answer in answers:
        if answer.status == 422:
            assert answer.json == HAS_ONE, answer
    assert profiles_of(served.tables, served.driver) == 1


def keep(tables: Tables, driver: Driver, key: str, **values: Any) -> None:
    """An answer to some other request, written directly."""
    keys = tables["idempotency_keys"]
    tables.execute(
        keys.insert().values(
            user_id=driver.id,
            key=key,
            request_digest="of another request",
            status=200,
            body=b"{}",
            created_at=datetime.now(UTC),
            **values,
        )
    )


def _make_older(tables: Tables, driver: Driver, age: timedelta) -> None:
    keys = tables["idempotency_keys"]
    (kept,) = kept_for(tables, driver)
    tables.execute(
        update(keys).where(keys.c.user_id == driver.id).values(created_at=kept["created_at"] - age)
    )
