"""The wire, row by row, on both databases. Adding a case is adding a row to `scenarios/`."""

import pytest

from tests.scenarios import SCENARIOS
from tests.support.client import Client
from tests.support.scenario import Scenario, play
from tests.support.tables import Tables


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(scenario: Scenario, client: Client, tables: Tables) -> None:
    play(scenario, client, tables)


def test_names_are_told_apart() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}
