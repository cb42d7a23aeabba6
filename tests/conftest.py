"""Every test that takes `service` runs twice: on SQLite and on PostgreSQL."""

import itertools
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright

from roadworthy.migrations import migrate
from tests.support.buckets import Server, signing_server, versioning_server
from tests.support.clamd import Clamd
from tests.support.client import Client
from tests.support.disk import Disk, build
from tests.support.drivers import Driver, new_driver, with_profile
from tests.support.postgres import Cluster
from tests.support.service import OLD_SECRET, ORIGIN, OTHER_ORIGIN, SECRET, Service
from tests.support.tables import Tables, open_tables

SOAK = bool(os.environ.get("SOAK"))
"""Whether full counts are asked for, which take hours."""

DATABASES = ("sqlite", "postgresql")
STORAGES = ("local", "s3")

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]

SETTINGS = {
    "ROADWORTHY_SECRET_KEY": f"{SECRET},{OLD_SECRET}",
    "ROADWORTHY_CORS_ORIGINS": f"{ORIGIN},{OTHER_ORIGIN}",
    **dict.fromkeys(
        ("ROADWORTHY_SIGN_IN_LIMIT", "ROADWORTHY_SIGN_UP_LIMIT", "ROADWORTHY_MAIL_LIMIT"),
        "100000/1m,100000/1m",  # all tests are one address: counted, and never too often
    ),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the soak what only repeats a test that takes seconds."""
    repeated = set() if SOAK else {item for item in items if _only_repeats(item)}
    config.hook.pytest_deselected(items=list(repeated))
    items[:] = [item for item in items if item not in repeated]


def _only_repeats(item: pytest.Item) -> bool:
    """A page looks the same on PostgreSQL. Who starts a service of its own that keeps files in
    either storage does so on SQLite in a folder, and on PostgreSQL in a bucket; those who share one
    meet all four.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    values = item.callspec.params if hasattr(item, "callspec") else {}
    if "browser" in fixtures:
        return values.get("kind") == "postgresql"
    in_either = all(mark.args[0] != "storage_kind" for mark in item.iter_markers("parametrize"))
    where = values.get("kind"), values.get("storage_kind")
    crossed = {("sqlite", "s3"), ("postgresql", "local")}
    return "filing_settings" in fixtures and in_either and where in crossed


@dataclass(frozen=True)
class Place:
    """Where a service keeps its data: a database of its own, already migrated, and a folder."""

    folder: Path
    url: str

    @property
    def settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "ROADWORTHY_DATA_DIR": str(self.folder),
            "ROADWORTHY_DATABASE_URL": self.url,
        }


@dataclass(frozen=True)
class Running:
    """A running service and the tables it serves from."""

    place: Place
    process: Service
    tables: Tables

    @property
    def url(self) -> str:
        return self.process.url


@dataclass(frozen=True)
class Filing:
    """A running service whose files are looked at."""

    running: Running
    server: Server | None
    """Where they are; else in its folder."""

    @property
    def tables(self) -> Tables:
        return self.running.tables

    def keys(self) -> set[str]:
        """Of every file in its storage."""
        folder = self.running.place.folder
        if self.server is not None:
            return {name.rpartition("/")[2] for name in self.server.names(folder.name)}
        return {path.name for path in (folder / "files").glob("??/??/*")}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Place]:
    """Makes a database of a kind: empty, or with what is in one that nobody uses."""
    numbers = itertools.count(1)

    def make(kind: str, like: Place | None = None) -> Place:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "sqlite":
            if like:
                shutil.copy(like.folder / "roadworthy.db", folder)
            return Place(folder, f"sqlite:///{folder}/roadworthy.db")
        cluster: Cluster = request.getfixturevalue("cluster")
        template = [urlsplit(like.url).path.removeprefix("/")] if like else []
        return Place(folder, cluster.create(f"test_{next(numbers)}", *template))

    return make


@pytest.fixture(scope="session")
def new_place(new_database: Callable[..., Place]) -> Callable[[str], Place]:
    """Makes a migrated database of a kind: a copy of one, as migrating takes a while."""

    @cache
    def migrated(kind: str) -> Place:
        place = new_database(kind)
        migrate(place.url)
        return place

    return lambda kind: new_database(kind, migrated(kind))


@pytest.fixture(scope="session", params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    """Each database in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def service(kind: str, new_place: Callable[[str], Place]) -> Iterator[Running]:
    """A service for the whole run: tests bring their own drivers and leave their rows."""
    yield from _running(new_place(kind))


@pytest.fixture
def fresh_service(kind: str, new_place: Callable[[str], Place]) -> Iterator[Running]:
    """A service where nothing has happened yet."""
    yield from _running(new_place(kind))


@pytest.fixture
def place(kind: str, new_place: Callable[[str], Place]) -> Place:
    """A migrated database for services that the test starts itself."""
    return new_place(kind)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk, and a clock, that do what the test asks; on it a migrated database."""
    control, folder = tmp_path / "control", tmp_path / "data"
    control.mkdir()
    folder.mkdir()
    migrate(f"sqlite:///{folder}/roadworthy.db")
    return Disk(build(control), folder, control)


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts services as `Service` does and stops those that still run when the test is over."""
    started: list[Service] = []

    def begin(folder: Path, settings: dict[str, str], *arguments: str) -> Service:
        output = folder / f"service-{len(started) + 1}"
        service = Service(output, settings, arguments)
        started.append(service)
        return service

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """For one test: while it is open, no event loop can run in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    """Opens connections and closes them when the test is over."""
    opened: list[Client] = []

    def open_one(url: str) -> Client:
        opened.append(Client(url))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def dial() -> Iterator[Callable[[str], socket.socket]]:
    """Opens connections and closes them when the test is over."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    opened: list[socket.socket] = []

    def connect(url: str) -> socket.socket:
        address = urlsplit(url)
        opened.append(socket.create_connection((address.hostname, address.port), timeout=60))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.fixture
def client(service: Running, connect: Callable[[str], Client]) -> Client:
    return connect(service.url)


@pytest.fixture
def tables(service: Running) -> Tables:
    return service.tables


@pytest.fixture
def driver(tables: Tables) -> Driver:
    """Signed in, without a profile."""
    return new_driver(tables)


@pytest.fixture
def registered(tables: Tables) -> Driver:
    """Signed in, with the documented profile."""
    return with_profile(tables, new_driver(tables))


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    """A scanner."""
    clamd = Clamd()
    yield clamd
    clamd.stop()


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3-compatible server that checks signatures."""
    with signing_server(tmp_path_factory.mktemp("bucket")) as server:
        yield server


@pytest.fixture(scope="session")
def versions_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3-compatible server that keeps versions."""
    with versioning_server(tmp_path_factory.mktemp("versions")) as server:
        yield server


@pytest.fixture(scope="session", params=STORAGES)
def storage_kind(request: pytest.FixtureRequest) -> str:
    """Each storage in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def filing(
    kind: str,
    storage_kind: str,
    new_place: Callable[[str], Place],
    request: pytest.FixtureRequest,
) -> Iterator[Filing]:
    """A service for the whole run that keeps files in each storage."""
    place = new_place(kind)
    server: Server | None = None
    settings: dict[str, str] = {}
    if storage_kind == "s3":
        server = request.getfixturevalue("bucket_server")
        settings["ROADWORTHY_STORAGE_URL"] = server.url(place.folder.name)
    for running in _running(place, settings):
        yield Filing(running, server)


@pytest.fixture
def filing_settings(
    place: Place, storage_kind: str, request: pytest.FixtureRequest
) -> dict[str, str]:
    """Of a service with files of its own."""
    if storage_kind == "local":
        return place.settings
    server: Server = request.getfixturevalue("bucket_server")
    return {**place.settings, "ROADWORTHY_STORAGE_URL": server.url(place.folder.name)}


@pytest.fixture
def new_filing(
    place: Place, storage_kind: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[Service], Filing]]:
    """Makes one of a service with `filing_settings` and more."""
    tables = open_tables(place.url)
    server = request.getfixturevalue("bucket_server") if storage_kind == "s3" else None
    yield lambda service: Filing(Running(place, service, tables), server)
    tables.close()


@pytest.fixture
def own_filing(
    place: Place,
    filing_settings: dict[str, str],
    new_filing: Callable[[Service], Filing],
    start: Callable[..., Service],
) -> Filing:
    """A service of the test's own, which keeps files where no other does."""
    return new_filing(start(place.folder, filing_settings))


def _running(place: Place, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    tables = open_tables(place.url)
    process = Service(place.folder / "service", {**place.settings, **(settings or {})})
    yield Running(place, process, tables)
    tables.close()
    status = process.stop()
    assert status == 0, f"the service stopped with {status}:\n{process.errors}"
    assert "Traceback" not in process.errors, f"the service has a fault:\n{process.errors}"
