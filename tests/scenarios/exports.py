"""Asking for everything that is held; what then comes is in `test_exports`."""

from datetime import UTC, datetime

from tests.scenarios.accounts import NOT_SIGNED_IN
from tests.support.scenario import Scenario, Stage

EXPORT = "/api/v1/users/export"


def _waits(stage: Stage) -> None:
    now = datetime.now(UTC)
    stage.tables.add("data_exports", user_id=stage.driver.id, requested_at=now)


SCENARIOS = [
    Scenario(
        name="who waits for a download asks again: nothing more is made",
        before=_waits,
        path=EXPORT,
        answer={},
    ),
    Scenario(
        name="what is sent with the question is nobody's business",
        before=_waits,
        path=EXPORT,
        json={"user": {"email": "somebody.else@example.com"}},
        answer={},
    ),
    Scenario(
        name="without a token nothing is gathered",
        signed=False,
        path=EXPORT,
        status=401,
        answer=NOT_SIGNED_IN,
    ),
]
