"""What an operator sees of the service: counts of ours, and a log that tells on nobody."""

import json
import mmap
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from roadworthy.telemetry import shared
from tests.conftest import Place, Running
from tests.support.client import Answer, Client
from tests.support.drivers import (
    FIELDS,
    PROFILE_PATH,
    Driver,
    new_driver,
)
from tests.support.multipart import BOUNDARY
from tests.support.processes import children
from tests.support.scenario import error, hold_to_conventions
from tests.support.service import Service
from tests.support.tables import open_tables
from tests.support.waiting import wait_for_first_jobs, wait_until

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


@pytest.mark.parametrize(("workers", "how"), [("1", signal.SIGINT), ("2", signal.SIGTERM)])
def test_each_request_is_in_the_log_of_a_service_that_was_stopped(
    new_place: Callable[[str], Place],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    workers: str,
    how: signal.Signals,
) -> None:
    place = new_place("sqlite")
    service = start(place.folder, place.settings, "--workers", workers)
    for number in range(12):
        answer = connect(service.url).send("GET", "/up", {"x-request-id": f"number-{number}"})
        assert answer.status == 200
    service.process.send_signal(how)
    assert service.process.wait(30) == 0

    said = [json.loads(line) for line in service.log.splitlines()]
    numbers = {line["request_id"] for line in said if line.get("request_id", "").startswith("nu")}
    assert numbers == {f"number-{number}" for number in range(12)}


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


def test_counts_outlive_who_counted_and_lie_in_no_file(
    new_place: Callable[[str], Place],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
) -> None:
    """To write to a mapped file whose disk is full would end a process, and the next one."""
    place = new_place("sqlite")
    service = start(place.folder, place.settings, "--workers", "2")

    def ask_eight_times() -> None:
        for _ in range(8):
            assert connect(service.url).send("GET", "/up").status == 200

    def counted() -> int:
        return requests_counted(connect(service.url))["/up", "GET", "200"]

    ask_eight_times()
    once_equal(counted, 8)
    killed, other = children(service.process.pid)
    assert _mapped_to_be_written(killed) <= {"/dev/zero", f"{place.folder}/roadworthy.db-shm"}

    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len({*children(service.process.pid)} - {killed, other}) == 1)
    ask_eight_times()
    once_equal(counted, 16)


def _mapped_to_be_written(pid: int) -> set[str]:
    """The files that others see it write in its memory; what is of none is called /dev/zero."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"^\S+ rw-s .*? (/.*?)(?: \(deleted\))?$", maps, re.MULTILINE))


def test_what_has_no_room_is_not_counted_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_pieces", {"histogram_0.db": mmap.mmap(-1, 4096)})
    piece: Any = shared._Piece("histogram_0.db")  # noqa: SLF001
    for number in range(1000):
        piece.write_value(f"{number}", number, 0)

    read = list(shared._Piece.read_all_values_from_file("histogram_0.db"))  # noqa: SLF001
    assert 50 < len(read) < 1000
    assert [(name, value) for name, value, _, _ in read] == [(f"{n}", n) for n in range(len(read))]


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

    wait_for_first_jobs(tables)
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
