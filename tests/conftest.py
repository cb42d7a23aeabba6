"""Fixtures: a real PostgreSQL, and the real service on both databases."""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgresql import Cluster
from tests.support.service import ORIGIN, SECRET, Service, data_folder, environment, roadworthy

SOAK = bool(os.environ.get("SOAK"))

settings.register_profile(
    "roadworthy",
    max_examples=2000 if SOAK else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("roadworthy")

_databases = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `soak` runs only when asked for."""
    for item in items:
        if item.get_closest_marker("soak") and not SOAK:
            item.add_marker(pytest.mark.skip(reason="full counts: run `make soak`"))


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether full counts are asked for."""
    return SOAK


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server."""
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"], scope="session")
def database(request: pytest.FixtureRequest) -> str:
    """Everything that asks for it runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def service(database: str, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A running service that tests share: each brings its own drivers."""
    with data_folder() as folder:
        settings = fresh_settings(database, str(folder), request)
        with Service(settings) as service:
            yield service


@pytest.fixture
def own_settings(database: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings for a service that a test starts, kills and changes as it likes."""
    with data_folder() as folder:
        yield fresh_settings(database, str(folder), request)


@pytest.fixture
def sqlite_settings() -> Iterator[dict[str, str]]:
    """The same, on SQLite only."""
    with data_folder() as folder:
        yield {
            "data_dir": str(folder),
            "secret_key": f"{SECRET},an older secret",
            "cors_origins": ORIGIN,
        }


def fresh_settings(database: str, folder: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of a service on an empty, migrated database of its own."""
    settings = {
        "data_dir": folder,
        "secret_key": f"{SECRET},an older secret",
        "cors_origins": ORIGIN,
    }
    if database == "postgresql":
        cluster: Any = request.getfixturevalue("cluster")
        settings["database_url"] = cluster.create_database(f"test{next(_databases)}")
        migrated = roadworthy("migrate", env=environment(**settings))
        assert migrated.returncode == 0, migrated.stderr
    return settings
