"""Whoever answers requests comes first: what only computes gets what they leave."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Place
from tests.support.blobs import attach, upload
from tests.support.client import Client
from tests.support.drivers import PASSWORD, new_driver, with_profile
from tests.support.processes import descendants
from tests.support.service import Service
from tests.support.tables import open_tables


@pytest.mark.parametrize("script", ["hashing.py", "parsing.py"])
def test_what_computes_steps_back(
    new_place: Callable[[str], Place],
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    script: str,
) -> None:
    """Within its session and, where sessions weigh, with its session."""
    place = new_place("sqlite")
    service = start(place.folder, place.settings, "--workers", "1")
    client, tables = connect(service.url), open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    user = json.dumps({"user": {"email": "new@example.com", "password": PASSWORD}})
    headers = {"content-type": "application/json"}
    assert client.send("POST", "/api/v1/users", headers, user).status == 201
    attach(client, driver, cv=upload(client, driver))
    tables.close()

    (process,) = descendants(service.process.pid, script.encode())

    assert _niceness(process) == 10
    if (process / "autogroup").exists():
        assert (process / "autogroup").read_text().endswith(" nice 10\n")


def _niceness(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[16])
