"""What an operator sees of the service: counts of ours, and a log that tells on nobody."""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from tests.conftest import Place, Running
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
from tests.support.scenario import error, hold_to_conventions
from tests.support.service import Service
from tests.support.tables import open_tables

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
SIGN_UP = "/api/v1/users"
SIGN_IN = "/api/v1/users/sign_in"
SIGN_OUT = "/api/v1/users/sign_out"
SESSIONS = "/api/v1/users/sessions"

Labels = tuple[str, str, str]
"""Route, method and status."""

TOKEN = "only the watcher knows"


@dataclass(frozen=True)
class Sample:
    labels: Mapping[str, str]
    value: float


def read_metrics(client: Client, **headers: str) -> dict[str, list[Sample]]:
    """Every sample by its name."""
    answer = client.send("GET", "/metrics", headers)
    assert answer.status == 200, answer
    assert (answer.header("content-type") or "").startswith("text/plain; version=0.0.4"), answer
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, f"{family.name} does not say what it is"
        for sample in family.samples:
            found.setdefault(sample.name, []).append(Sample(sample.labels, sample.value))
    return found


def requests_counted(client: Client) -> dict[Labels, int]:
    """All but those to /metrics, which are ours."""
    samples = read_metrics(client)["roadworthy_request_seconds_count"]
    return {
        (each.labels["route"], each.labels["method"], each.labels["status"]): int(each.value)
        for each in samples
        if each.labels["route"] != "/metrics"
    }


def once_equal(found: Callable[[], Any], expected: object) -> None:
    """A request is counted as soon as it is answered, which is after its answer is sent."""
    until = time.monotonic() + 20
    while (now := found()) != expected and time.monotonic() < until:
        time.sleep(0.02)
    assert now == expected


_WATCHERS: list[tuple[str, dict[str, str | bytes], int, int]] = [
    # who asks, with what headers: without and with a token configured
    ("somebody on this machine", {}, 200, 401),
    ("a proxy with X-Forwarded-For", {"X-Forwarded-For": "192.0.2.1"}, 404, 401),
    ("a proxy with Forwarded", {"Forwarded": "for=192.0.2.1"}, 404, 401),
    ("a proxy with X-Real-IP", {"X-Real-IP": "192.0.2.1"}, 404, 401),
    ("a proxy with Via", {"Via": "1.1 proxy"}, 404, 401),
    ("the holder of the token", {"Authorization": f"Bearer {TOKEN}"}, 200, 200),
    (
        "the holder of the token, by a proxy",
        {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.1"},
        404,
        200,
    ),
    ("the holder of the token, otherwise", {"Authorization": f"bearer  {TOKEN}"}, 200, 200),
    ("the holder of half a token", {"Authorization": f"Bearer {TOKEN[:-1]}"}, 200, 401),
    ("the holder of no bearer", {"Authorization": TOKEN}, 200, 401),
    ("the holder of something else", {"Authorization": b"Bearer \xff"}, 200, 401),
]


@pytest.mark.parametrize(
    ("headers", "status"),
    [(case[1], case[2]) for case in _WATCHERS],
    ids=[case[0] for case in _WATCHERS],
)
def test_without_a_token_this_machine_reads_the_metrics(
    client: Client, headers: dict[str, str | bytes], status: int
) -> None:
    _assert_metrics_answer(client.send("GET", "/metrics", headers), status)


def test_with_a_token_its_holder_reads_the_metrics(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    settings = {**place.settings, "ROADWORTHY_METRICS_TOKEN": TOKEN}
    client = connect(start(place.folder, settings).url)

    for _, headers, _, status in _WATCHERS:
        _assert_metrics_answer(client.send("GET", "/metrics", headers), status)


def _assert_metrics_answer(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    if status == 200:
        assert list(text_string_to_metric_families(answer.text))
        return
    hold_to_conventions(answer, "GET")
    if status == 401:
        assert answer.json == {"error": "You need the metrics token."}
        assert answer.header("www-authenticate") == "Bearer"
    else:
        assert answer.json == error(404)


@dataclass(frozen=True)
class Sent:
    """A request, and as what it is counted."""

    method: str
    path: str
    counted: Labels
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    is_signed: bool = True


_COUNTED = [
    Sent("GET", "/up", ("/up", "GET", "200")),
    Sent("HEAD", "/up", ("/up", "HEAD", "200")),
    Sent("GET", PROFILE_PATH, (PROFILE_PATH, "GET", "200")),
    Sent("GET", f"{PROFILE_PATH}.json?who=zed", (PROFILE_PATH, "GET", "200")),
    Sent("GET", f"/{PROFILE_PATH}//", (PROFILE_PATH, "GET", "200")),
    Sent("GET", PROFILE_PATH, (PROFILE_PATH, "GET", "304"), {"if-none-match": "*"}),
    Sent("GET", PROFILE_PATH, (PROFILE_PATH, "GET", "401"), is_signed=False),
    Sent("POST", PROFILE_PATH, (PROFILE_PATH, "POST", "400")),
    Sent("POST", PROFILE_PATH, (PROFILE_PATH, "POST", "422"), JSON, '{"profile":{"bio":1}}'),
    Sent("PATCH", PROFILE_PATH, (PROFILE_PATH, "PATCH", "200"), JSON, '{"profile":{"bio":1}}'),
    Sent("BREW", PROFILE_PATH, (PROFILE_PATH, "other", "405")),
    Sent("get", PROFILE_PATH, (PROFILE_PATH, "other", "405")),
    Sent("GET", SIGN_IN, (SIGN_IN, "GET", "405")),
    Sent("DELETE", f"{SESSIONS}/zed", (f"{SESSIONS}/{{id}}", "DELETE", "404")),
    Sent("DELETE", f"/{SESSIONS}//zed.json", (f"{SESSIONS}/{{id}}", "DELETE", "404")),
    Sent("GET", f"{SESSIONS}/zed", (f"{SESSIONS}/{{id}}", "GET", "405")),
    Sent("GET", "/account/password?reset_password_token=zed", ("/account/password", "GET", "404")),
    Sent("GET", "/api/v1/users/1859", ("unmatched", "GET", "404")),
    Sent("GET", "/api/v1/zed", ("unmatched", "GET", "404")),
    Sent("POST", "/zed.php?zed=1", ("unmatched", "POST", "404")),
    Sent("ZED", "/zed", ("unmatched", "other", "404")),
    Sent("DELETE", PROFILE_PATH, (PROFILE_PATH, "DELETE", "204")),
]


def test_each_request_is_counted_once_by_route_method_and_status(
    client: Client, registered: Driver
) -> None:
    before = requests_counted(client)
    expected = dict(before)
    for sent in _COUNTED:
        headers = {**sent.headers, **(registered.signed if sent.is_signed else {})}
        answer = client.send(sent.method, sent.path, headers, sent.body)
        assert str(answer.status) == sent.counted[2], f"{sent}\n{answer}"
        expected[sent.counted] = expected.get(sent.counted, 0) + 1

    once_equal(lambda: requests_counted(client), expected)
    assert "zed" not in client.send("GET", "/metrics").text.lower()


def test_durations_are_counted_in_buckets(client: Client) -> None:
    assert client.send("GET", "/up").status == 200
    found = read_metrics(client)
    counts = {tuple(s.labels.values()): s for s in found["roadworthy_request_seconds_count"]}
    full = [s for s in found["roadworthy_request_seconds_bucket"] if s.labels["le"] == "+Inf"]

    assert len(full) == len(counts)
    assert sum(sample.value for sample in full) == sum(s.value for s in counts.values())
    assert all(sample.value >= 0 for sample in found["roadworthy_request_seconds_sum"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_counts_of_all_server_processes_add_up(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client], workers: str
) -> None:
    """Which process answers is chance, so many connections ask, and each is told of all."""
    service = start(place.folder, place.settings, "--workers", workers)
    clients = [connect(service.url) for _ in range(24)]
    for client in clients:
        for path in ("/up", "/up", PROFILE_PATH, "/nothing"):
            client.send("GET", path)

    def counted() -> list[dict[Labels, int]]:
        return [
            {key: n for key, n in requests_counted(client).items() if key[1] == "GET"}
            for client in clients
        ]

    expected = {
        ("/up", "GET", "200"): 48,
        (PROFILE_PATH, "GET", "401"): 24,
        ("unmatched", "GET", "404"): 24,
    }
    once_equal(counted, [expected] * len(clients))
    _require_gauges(clients[0], service)


def _require_gauges(client: Client, service: Service) -> None:
    """What says whether the service keeps up."""
    found = read_metrics(client)
    for name in (
        "roadworthy_writer_batch_size_count",
        "roadworthy_writer_batch_size_sum",
        "roadworthy_writer_queue",
        "roadworthy_passwords_waiting",
    ):
        assert len(found.get(name, [])) == 1, f"{name} is not there once:\n{service.errors}"
    states = {sample.labels["state"] for sample in found["roadworthy_jobs"]}
    assert states == {"waiting", "failing", "running", "dead"}


def test_the_gauges_are_there(kind: str, client: Client, service: Running) -> None:
    _require_gauges(client, service.process)
    found = read_metrics(client)
    pools = {
        name: {sample.labels["pool"] for sample in found.get(name, [])}
        for name in ("roadworthy_pool_connections_in_use", "roadworthy_pool_waiting")
    }
    expected = {"read", "write"} if kind == "postgresql" else set()
    assert set(map(frozenset, pools.values())) == {frozenset(expected)}, pools


def test_the_embedded_database_counts_its_writes(
    kind: str, client: Client, service: Running
) -> None:
    def written() -> float:
        return read_metrics(client)["roadworthy_writer_batch_size_sum"][0].value

    before = written()
    for _ in range(5):
        assert new_driver(service.tables).send(client, "POST", FIELDS).status == 200
    if kind == "postgresql":
        assert (before, written()) == (0, 0)
    else:
        # Beside ours, a job may be done meanwhile.
        once_equal(lambda: written() >= before + 5, expected=True)


def test_writes_that_wait_behind_a_lock_are_counted(
    new_place: Callable[[str], Place],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
) -> None:
    place = new_place("sqlite")
    tables = open_tables(place.url)
    drivers = [new_driver(tables) for _ in range(8)]
    tables.close()
    url = start(place.folder, place.settings).url
    watcher = connect(url)

    def waiting() -> float:
        return read_metrics(watcher)["roadworthy_writer_queue"][0].value

    lock = sqlite3.connect(place.folder / "roadworthy.db", isolation_level=None)
    with ThreadPoolExecutor(len(drivers)) as threads:
        lock.execute("BEGIN IMMEDIATE")
        answers = [threads.submit(driver.send, connect(url), "POST", FIELDS) for driver in drivers]
        once_equal(lambda: waiting() > 0, expected=True)
        lock.close()
        assert {answer.result().status for answer in answers} == {200}
    once_equal(waiting, expected=0)


def test_jobs_are_counted_by_state(
    fresh_service: Running, connect: Callable[[str], Client]
) -> None:
    """The purge waits; one that fails, or a dead job, shows at once."""
    client, tables = connect(fresh_service.url), fresh_service.tables

    def counted() -> dict[str, float]:
        samples = read_metrics(client)["roadworthy_jobs"]
        return {sample.labels["state"]: sample.value for sample in samples}

    once_equal(counted, {"waiting": 1, "failing": 0, "running": 0, "dead": 0})
    now = tables.rows("jobs")[0]["run_at"]
    values = {"kind": "purge", "payload": "{}", "attempts": 12, "run_at": now}
    tables.add("jobs", created_at=now, died_at=now, **values)
    tables.execute(
        update(tables["jobs"])
        .where(tables["jobs"].c.died_at.is_(None))
        .values(last_error="OSError")
    )
    once_equal(counted, {"waiting": 0, "failing": 1, "running": 0, "dead": 1})


# The log.

MARK = "zq7"
"""What is sent says this somewhere, where it may be any text."""

PLAIN = ["1987-06-05", "05/06/1987", "2011-12-13", "07700 900461", "correct-horse-zq7"]
"""What is sent and may not be any text."""

MARKED = {
    "first_name": f"First {MARK}",
    "last_name": f"Last {MARK}",
    "postcode": f"{MARK} 1AA",
    "birth_date": "1987-06-05",
    "start_date": "2011-12-13",
    "contact_phone_number": "07700 900461",
    "bio": f"Bio {MARK} \u2603",
    "english_level": "native",
}
REFUSED = {
    **dict.fromkeys(FIELDS, True),
    "postcode": MARK * 100,
    "birth_date": f"05/06/1987 {MARK}",
    "start_date": f"31/02/{MARK}",
    "english_level": f"level {MARK}",
    "bio": f"bio {MARK} \0",
}
HEADERS = {
    "user-agent": f"agent {MARK}",
    "cookie": f"_session={MARK}",
    "referer": f"https://{MARK}.example.com/?{MARK}",
    "origin": f"https://{MARK}.example.com",
    "accept": f"text/{MARK}",
    "accept-language": MARK,
    "if-none-match": f'W/"{MARK}"',
    "x-forwarded-for": MARK,
    f"x-{MARK}": MARK,
}


def _form(fields: Mapping[str, Any], key: str = "profile") -> dict[str, str]:
    return {f"{key}[{name}]": str(value) for name, value in fields.items()}


def _credentials(email: str, password: str = PASSWORD) -> str:
    user = {"email": email, "password": password, "phone_number": f"07700 900461 {MARK}"}
    return compact({"user": user})


FILE = multipart(
    [
        *(Part(name, value) for name, value in _form(MARKED).items()),
        Part("profile[cv]", f"file {MARK}", f"cv {MARK}.pdf", f"text/{MARK}"),
        Part(f"profile[{MARK}]", MARK, MARK),
    ]
)

Request = tuple[str, str, dict[str, str], str | bytes | None, int]
"""Method, path, headers, body and the status it is answered with."""

_BY_A_DRIVER: list[Request] = [
    ("POST", PROFILE_PATH, JSON, compact({"profile": REFUSED}), 422),
    ("POST", PROFILE_PATH, JSON, f'{{"profile":{{"{MARK}', 400),
    ("POST", PROFILE_PATH, JSON, compact({MARK: MARK}), 400),
    ("POST", PROFILE_PATH, JSON, json.dumps({"profile": MARK * 400_000}), 413),
    ("POST", PROFILE_PATH, FORM, urlencode(_form(REFUSED)), 422),
    ("POST", PROFILE_PATH, FORM, f"profile[{MARK}]=%{MARK}", 400),
    ("POST", PROFILE_PATH, MULTIPART, FILE[:-40], 400),
    ("POST", f"{PROFILE_PATH}?{urlencode(_form(REFUSED))}", {}, None, 422),
    ("POST", f"{PROFILE_PATH}?{MARK}=%{MARK}", {}, None, 400),
    (
        "POST",
        PROFILE_PATH,
        {**JSON, "idempotency-key": MARK},
        compact({"profile": MARKED}),
        200,
    ),
    ("POST", PROFILE_PATH, {**JSON, "idempotency-key": MARK}, compact({"profile": FIELDS}), 422),
    ("POST", PROFILE_PATH, {**JSON, "idempotency-key": MARK * 100}, "{}", 422),
    ("POST", PROFILE_PATH, MULTIPART, FILE, 422),
    ("GET", f"{PROFILE_PATH}?{MARK}={MARK}", {}, None, 200),
    ("PATCH", PROFILE_PATH, FORM, urlencode(_form(MARKED)), 200),
    ("PATCH", PROFILE_PATH, MULTIPART, FILE, 422),
    ("PUT", PROFILE_PATH, JSON, compact({"profile": REFUSED}), 422),
    ("GET", f"/api/v1/{MARK}", {}, None, 404),
    ("GET", f"/{MARK}?{MARK}", {}, None, 404),
    (f"BREW{MARK}".upper(), PROFILE_PATH, {}, None, 405),
    ("GET", PROFILE_PATH, {"authorization": f"Bearer {MARK}.{MARK}.{MARK}"}, None, 401),
    ("GET", PROFILE_PATH, {"authorization": f"Basic {MARK}"}, None, 401),
    ("GET", PROFILE_PATH, {"jwt-aud": MARK}, None, 401),
    ("GET", "/metrics", {}, None, 404),
    ("POST", SIGN_UP, JSON, _credentials(f"not an address {MARK}"), 422),
    ("POST", SIGN_UP, JSON, _credentials(f"{MARK}@example.com", f"{MARK}"), 422),
    ("POST", SIGN_UP, JSON, _credentials(f"{MARK}@example.com", PLAIN[-1]), 201),
    ("POST", SIGN_UP, JSON, _credentials(f"{MARK}@example.com", PLAIN[-1]), 422),
    ("POST", SIGN_IN, JSON, _credentials(f"{MARK}@example.com", PLAIN[-1]), 201),
    ("POST", SIGN_IN, {**JSON, "jwt-aud": MARK}, _credentials(f"{MARK}@example.com"), 401),
    ("POST", SIGN_IN, JSON, _credentials(f"nobody{MARK}@example.com"), 401),
    ("DELETE", PROFILE_PATH, {}, None, 204),
    ("DELETE", SIGN_OUT, {}, None, 204),
    ("GET", PROFILE_PATH, {}, None, 401),
]


def test_the_log_has_a_line_for_each_request_and_nothing_that_was_sent(
    fresh_service: Running, connect: Callable[[str], Client]
) -> None:
    driver = new_driver(fresh_service.tables, email=f"driver.{MARK}@example.com")
    secrets = [*PLAIN, *driver.token.split("."), driver.email]
    sent: dict[str, Request] = {}
    for number, request in enumerate(_BY_A_DRIVER):
        method, path, headers, body, status = request
        request_id = f"watched-{number}"
        sent[request_id] = request
        answer = connect(fresh_service.url).send(
            method,
            path,
            {**driver.signed, **HEADERS, **headers, "x-request-id": request_id},
            body,
        )
        assert answer.status == status, f"{method} {path} {headers}\n{answer}"
        secrets += [(answer.header("authorization") or driver.token).removeprefix("Bearer ")]

    process = fresh_service.process
    once_equal(lambda: [name for name in sent if f'"{name}"' not in process.log], [])

    said = process.log + process.output
    assert MARK not in said.lower(), _lines_with(MARK, said)
    for secret in secrets:
        assert secret not in said, _lines_with(secret, said)
    _hold_lines(process.log, sent)


def _lines_with(secret: str, said: str) -> str:
    lines = (line for line in said.splitlines() if secret.lower() in line.lower())
    return "\n".join([f"{secret} is in", *lines])


def _hold_lines(log: str, sent: Mapping[str, Request]) -> None:
    by_id: dict[str, list[dict[str, Any]]] = {}
    for line in log.splitlines():
        told = json.loads(line)
        assert isinstance(told["event"], str), line
        assert told["timestamp"].endswith("Z"), line
        if told["event"] == "request":
            by_id.setdefault(told["request_id"], []).append(told)
    for request_id, (method, _, _, _, status) in sent.items():
        (told,) = by_id[request_id]
        assert told["status"] == status, told
        assert told["method"] == ("other" if method.startswith("BREW") else method), told
        assert told["route"] == "unmatched" or told["route"].startswith("/"), told
        assert told["ms"] >= 0, told


def test_a_request_that_brings_no_id_is_logged_under_the_one_it_is_answered_with(
    client: Client, service: Running, registered: Driver
) -> None:
    answered = [registered.send(client, "GET").header("x-request-id") for _ in range(3)]
    once_equal(lambda: [name for name in answered if f'"{name}"' not in service.process.log], [])


def test_a_fault_is_logged_without_its_words(
    fresh_service: Running, connect: Callable[[str], Client]
) -> None:
    """An exception may quote what was sent: its type and place are enough to find it."""
    tables = fresh_service.tables
    driver = with_profile(tables, new_driver(tables))
    tables.add(
        "experiences",
        profile_id=driver.profile_id,
        company=MARK,
        job_title=MARK,
        started_on=date(2020, 3, 20),
        vehicle_types={MARK: "no list, as only a hand in the database could write it"},
    )
    headers = {"x-request-id": "the-fault"}
    answer = driver.send(connect(fresh_service.url), "GET", headers=headers)
    assert (answer.status, answer.json) == (500, {"status": 500, "error": "Internal Server Error"})

    process = fresh_service.process
    once_equal(lambda: '"fault"' in process.log, expected=True)
    lines = [json.loads(line) for line in process.log.splitlines()]
    (fault,) = [line for line in lines if line["event"] == "fault"]
    assert fault["request_id"] == "the-fault"
    assert fault["error"].endswith("Error"), fault
    assert "profiles/representation.py" in fault["raised"][-1], fault
    assert MARK not in process.log
    assert "Expected" not in process.log, "the words of the exception are logged"
