"""Days are taken as they are written, never shifted; what is no day is refused, never guessed."""

from datetime import date
from typing import Any

from tests.support.dates import REFUSED_DATES, TAKEN_DATES
from tests.support.drivers import FIELDS
from tests.support.scenario import Scenario, as_shown, refused


def _but(field: str, value: Any) -> dict[str, Any]:
    return {"profile": {**FIELDS, field: value}}


SCENARIOS = [
    *(
        Scenario(
            name=f"{field}: {text!r} is {day}",
            json=_but(field, text),
            answer=as_shown(**{field: day}),
            changes={"profiles": 1},
            stored={field: date.fromisoformat(day)},
        )
        for field in ("birth_date", "start_date")
        for text, day in TAKEN_DATES
    ),
    *(
        Scenario(
            name=f"{field}: {value!r} is no day",
            json=_but(field, value),
            status=422,
            answer=refused(**{field: "is not a valid date"}),
        )
        for field in ("birth_date", "start_date")
        for value in REFUSED_DATES
    ),
]
