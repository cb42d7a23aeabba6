"""The command line: helpful, one line when something is wrong, orderly when told to stop."""

import json
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from roadworthy import server
from roadworthy.cli import main
from tests.conftest import Place, Running
from tests.support.client import Client
from tests.support.drivers import FIELDS, PROFILE_PATH, new_driver
from tests.support.ports import free_port
from tests.support.service import Service, environment, run
from tests.support.tables import open_tables

COMMANDS = (
    "serve",
    "migrate",
    "maintain",
    "jobs",
    "users",
    "profiles",
    "tokens",
    "backup",
    "restore",
    "tombstones",
    "config",
    "openapi",
    "demo",
)

Start = Callable[..., Service]
Command = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What a command left on the screen."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Runs the entry point in this process, which saves starting another each time."""

    def call(*arguments: str, settings: Mapping[str, str] | None = None) -> Said:
        monkeypatch.setattr(sys, "argv", ["roadworthy", *arguments])
        for name in os.environ:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment(settings or {}).items():
            monkeypatch.setenv(name, value)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Said(status, *capfd.readouterr())

    return call


def test_version() -> None:
    shown = run("--version")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == f"roadworthy {version('roadworthy')}\n"


def test_an_error_of_a_real_process_is_one_line() -> None:
    failed = run("config", settings={"ROADWORTHY_SECRET": "x"})

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "roadworthy: ROADWORTHY_SECRET is no setting of ours; did you mean ROADWORTHY_SECRET_KEY?\n"
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_names_every_command_and_what_it_does(
    command: Command, arguments: tuple[str, ...]
) -> None:
    shown = command(*arguments)
    text = shown.stdout + shown.stderr

    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z]\w+", text, re.MULTILINE), f"no {name} in\n{text}"
    assert "--version" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(command: Command, name: str, option: str) -> None:
    shown = command(name, option)

    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Usage: roadworthy {name}")


def test_serve_says_its_defaults(command: Command) -> None:
    text = " ".join(command("serve", "--help").stdout.split())

    for option, default in (("--host", "127.0.0.1"), ("--port", "8000"), ("--workers", "1")):
        assert re.search(rf"{option} .*?\[default: {default}[;\]]", text), text


def test_config_shows_values_and_sources_and_masks_secrets(command: Command) -> None:
    shown = command(
        "config",
        settings={
            "ROADWORTHY_DATA_DIR": "/data",
            "ROADWORTHY_SECRET_KEY": "swordfish",
            "ROADWORTHY_DATABASE_URL": "postgresql://me:sardine@db.example.com/roadworthy",
            "ROADWORTHY_MIGRATION_DATABASE_URL": "postgresql://db/r?user=me&password=pilchard",
        },
    )
    text = " ".join(shown.stdout.split())

    assert (shown.status, shown.stderr) == (0, "")
    for secret in ("swordfish", "sardine", "pilchard"):
        assert secret not in text
    assert "ROADWORTHY_DATA_DIR /data (environment)" in text
    assert "ROADWORTHY_SECRET_KEY ******** (environment)" in text
    assert "postgresql://me:********@db.example.com/roadworthy (environment)" in text
    assert "postgresql://db/r?user=me&password=******** (environment)" in text
    assert "ROADWORTHY_CORS_ORIGINS (empty) (default)" in text


def test_config_makes_nothing(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert command("config", settings={"ROADWORTHY_DATA_DIR": str(folder)}).status == 0

    assert not folder.exists()


_UNUSABLE: list[tuple[str, tuple[str, ...], dict[str, str], str]] = [
    (
        "an unknown setting to serve with",
        ("serve", "--port", "0"),
        {"ROADWORTHY_PORT": "9000"},
        r"roadworthy: ROADWORTHY_PORT is no setting of ours; did you mean ROADWORTHY_\w+\?",
    ),
    (
        "a database of another kind",
        ("migrate",),
        {"ROADWORTHY_DATABASE_URL": "mysql://me@localhost/db"},
        "roadworthy: ROADWORTHY_DATABASE_URL: must be postgresql://.+ or sqlite:///.+",
    ),
    (
        "a database that is not there, to migrate",
        ("migrate",),
        {"ROADWORTHY_DATABASE_URL": "postgresql://me@127.0.0.1:{closed}/db"},
        "roadworthy: cannot use the database: .+",
    ),
    (
        "a database that is not there, to serve",
        ("serve", "--port", "0"),
        {"ROADWORTHY_DATABASE_URL": "postgresql://me@127.0.0.1:{closed}/db"},
        "roadworthy: cannot use the database: .+",
    ),
    (
        "a file where the data folder should be",
        ("serve", "--port", "0"),
        {"ROADWORTHY_DATA_DIR": "{file}"},
        "roadworthy: .*{file}.*",
    ),
    (
        "a file where the data folder should be, to migrate",
        ("migrate",),
        {"ROADWORTHY_DATA_DIR": "{file}"},
        "roadworthy: .*{file}.*",
    ),
    (
        "a database file that is none",
        ("serve", "--port", "0"),
        {"ROADWORTHY_DATABASE_URL": "sqlite:///{file}"},
        "roadworthy: cannot use the database: file is not a database: put a backup in its place",
    ),
    (
        "an address of another machine",
        ("serve", "--port", "0", "--host", "192.0.2.1"),
        {},
        r"roadworthy: cannot listen on 192\.0\.2\.1:0: .+: choose an address .+ with --host",
    ),
    (
        "a host that is none",
        ("serve", "--port", "0", "--host", "nowhere.invalid"),
        {},
        r"roadworthy: cannot listen on nowhere\.invalid:0: .+",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [case[1:] for case in _UNUSABLE],
    ids=[case[0] for case in _UNUSABLE],
)
def test_what_cannot_be_done_is_one_line(
    command: Command,
    tmp_path: Path,
    arguments: tuple[str, ...],
    settings: dict[str, str],
    said: str,
) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder, nor a database: " * 100)
    places = {"{file}": str(file), "{closed}": str(free_port())}
    for name, place in places.items():
        settings = {key: value.replace(name, place) for key, value in settings.items()}
        said = said.replace(name, re.escape(place))
    failed = command(
        *arguments, settings={"ROADWORTHY_DATA_DIR": str(tmp_path / "data"), **settings}
    )

    assert failed.status == 1, failed
    assert failed.stdout == ""
    assert re.fullmatch(said + r"\n", failed.stderr), failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("--fly",),
        ("serve", "--fly"),
        ("serve", "--port", "http"),
        ("serve", "--port", "65536"),
        ("serve", "--workers", "0"),
        ("migrate", "now"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_says_how_to_ask(
    command: Command, arguments: tuple[str, ...]
) -> None:
    failed = command(*arguments)

    assert failed.status == 2, failed
    assert failed.stdout == ""
    asked = "roadworthy " + arguments[0] if arguments[0] in COMMANDS else "roadworthy"
    assert re.fullmatch(rf"roadworthy: .+: see `{asked} --help`\n", failed.stderr), failed.stderr


def test_a_port_that_is_in_use(command: Command, service: Running, tmp_path: Path) -> None:
    port = urlsplit(service.url).port
    failed = command(
        "serve", "--port", str(port), settings={"ROADWORTHY_DATA_DIR": str(tmp_path / "data")}
    )

    assert failed.status == 1, failed
    assert failed.stdout == ""
    assert failed.stderr == f"roadworthy: port {port} is in use: choose another with --port\n"


def test_serve_says_one_line_and_answers_at_that_url(service: Running, client: Client) -> None:
    assert service.process.output == f"Roadworthy is ready at {service.url}\n"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", service.url)
    answer = client.send("GET", "/up")
    assert (answer.status, answer.text) == (200, '{"status":"up"}')


def test_serve_on_a_port_of_ones_choice(
    start: Start, connect: Callable[[str], Client], tmp_path: Path
) -> None:
    port = free_port()
    settings = {"ROADWORTHY_DATA_DIR": str(tmp_path / "data")}
    service = start(tmp_path, settings, "--port", str(port), "--host", "localhost")

    assert service.url == f"http://localhost:{port}"
    assert connect(service.url).send("GET", "/up").status == 200


_ROOM: list[tuple[float, int, int, list[str]]] = [
    # gigabytes of memory, open files, server processes: what is told at the start
    (64, 20_000, 1, []),
    (64, resource.RLIM_INFINITY, 2, []),
    (6, 20_000, 1, []),
    (4, 20_000, 1, ["room for 6990 connections at once, for want of memory"]),
    (4, 20_000, 4, ["room for 6988 connections at once, for want of memory"]),
    (64, 1024, 2, ["room for 1536 connections at once, for want of files"]),
    (64, 100, 2, ["room for 2 connections at once, for want of files"]),
    (1, 1024, 1, ["for want of memory", "for want of files"]),
]


@pytest.mark.parametrize(("gigabytes", "files", "workers", "told"), _ROOM)
def test_serve_tells_when_there_is_room_for_few_connections(
    gigabytes: float, files: int, workers: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine could open them all."""
    monkeypatch.setattr(server, "_memory_bytes", lambda: int(gigabytes * 1024**3))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    found = server.connection_warnings(workers)

    assert len(found) == len(told)
    for warning, words in zip(found, told, strict=True):
        assert words in warning


class HalfSent:
    """A request whose last half is yet to come."""

    def __init__(self, url: str, head: str, body: bytes):
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._rest = body[len(body) // 2 :]
        head += f"Host: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body[: len(body) // 2])

    def finish(self) -> bytes:
        """Send the rest and read all that is answered."""
        self._socket.sendall(self._rest)
        answer = b""
        while not answer.endswith(b"}"):
            received = self._socket.recv(65536)
            if not received:
                break
            answer += received
        return answer

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def half_sent() -> Iterator[Callable[[str, str, bytes], HalfSent]]:
    opened: list[HalfSent] = []

    def send(url: str, head: str, body: bytes) -> HalfSent:
        opened.append(HalfSent(url, head, body))
        return opened[-1]

    yield send
    for request in opened:
        request.close()


@pytest.mark.parametrize(
    ("how", "workers"),
    [(signal.SIGTERM, "1"), (signal.SIGTERM, "2"), (signal.SIGINT, "1")],
    ids=["SIGTERM", "SIGTERM to two workers", "SIGINT"],
)
def test_when_told_to_stop_it_answers_what_is_in_flight(
    place: Place,
    start: Start,
    half_sent: Callable[[str, str, bytes], HalfSent],
    how: signal.Signals,
    workers: str,
) -> None:
    service = start(place.folder, place.settings, "--workers", workers)
    tables = open_tables(place.url)
    driver = new_driver(tables)
    head = (
        f"POST {PROFILE_PATH} HTTP/1.1\r\nAuthorization: Bearer {driver.token}\r\n"
        "Content-Type: application/json\r\n"
    )
    request = half_sent(service.url, head, json.dumps({"profile": FIELDS}).encode())
    time.sleep(0.2)  # until the server has begun to read it

    service.process.send_signal(how)
    _wait_until_closed(service.url)
    assert service.process.poll() is None, "it did not wait for the request in flight"
    answer = request.finish()

    assert answer.startswith(b"HTTP/1.1 200 "), answer or service.errors
    assert b'"first_name":"Virgie"' in answer
    assert service.process.wait(30) == 0, service.errors
    assert service.errors == ""
    (profile,) = tables.rows("profiles", user_id=driver.id)
    assert profile["first_name"] == "Virgie"
    tables.close()


def _wait_until_closed(url: str) -> None:
    """Until nobody new is let in."""
    address = urlsplit(url)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection((address.hostname, address.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("it still takes connections")


def test_it_stops_though_an_idle_connection_is_open(
    start: Start, connect: Callable[[str], Client], tmp_path: Path
) -> None:
    service = start(tmp_path, {"ROADWORTHY_DATA_DIR": str(tmp_path / "data")})
    client = connect(service.url)
    assert client.send("GET", "/up").status == 200

    assert service.stop() == 0
    assert service.errors == ""
