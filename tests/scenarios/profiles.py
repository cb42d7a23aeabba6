"""The profile: created once, shown, changed field by field, deleted."""

from datetime import date

from tests.support.client import Answer
from tests.support.drivers import FIELDS
from tests.support.scenario import Scenario, Stage, Who, as_shown, error, refused

DAY = date(2000, 3, 20)
STORED = {
    "first_name": "Virgie",
    "last_name": "Luettgen",
    "postcode": "123",
    "birth_date": DAY,
    "start_date": date(2020, 3, 20),
    "contact_phone_number": "07856 207372",
    "bio": None,
    "english_level": None,
    "version": 1,
}

_CHANGES: list[tuple[str, object, object]] = [
    ("first_name", "Ann", "Ann"),
    ("last_name", "Ley", "Ley"),
    ("postcode", "AB1 2CD", "AB1 2CD"),
    ("birth_date", "1999-12-31", "1999-12-31"),
    ("start_date", "31/12/2026", "2026-12-31"),
    ("contact_phone_number", "+44 20 7946 0000", "+44 20 7946 0000"),
    ("bio", "Twenty years of coaches.", "Twenty years of coaches."),
    ("bio", "", ""),
    ("english_level", "basic", "basic"),
    ("english_level", "conversational", "conversational"),
    ("english_level", "fluent", "fluent"),
    ("english_level", "native", "native"),
]
_NO_CHANGES: list[tuple[str, dict[str, object]]] = [
    ("the same values", dict(FIELDS)),
    ("the same day in another form", {"birth_date": "20/03/2000"}),
    ("null where null is", {"bio": None, "english_level": None}),
    ("an empty choice, as forms send null", {"english_level": ""}),
    ("unknown keys", {"zz": 1, "email": "new@example.com", "id": 1, "user_id": 1, "version": 9}),
    ("what staff and the account set", {"phone_number": "1", "compliance_documents": ["dbs"]}),
    ("lists and objects for text", {"first_name": ["x"], "bio": {"a": "b"}, "postcode": []}),
]
_REFUSED: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("a blank name", {"first_name": "  "}, refused(first_name="can't be blank")),
    ("null for a required field", {"postcode": None}, refused(postcode="can't be blank")),
    ("an empty day", {"birth_date": ""}, refused(birth_date="can't be blank")),
    ("no day", {"start_date": "soon"}, refused(start_date="is not a valid date")),
    (
        "another level",
        {"english_level": "Fluent"},
        refused(english_level="is not included in the list"),
    ),
    (
        "one good value among bad ones",
        {"first_name": "Ann", "last_name": "", "bio": True},
        refused(last_name="can't be blank", bio="is invalid"),
    ),
]


def _kept_as_version(stage: Stage, _: Answer) -> None:
    """The values of before stand among the earlier versions."""
    (kept,) = stage.tables.rows("profile_versions", user_id=stage.driver.id)
    assert {name: kept[name] for name in STORED} == STORED
    assert kept["profile_id"] == stage.driver.profile_id
    assert kept["superseded_at"] >= kept["recorded_at"]


SCENARIOS = [
    Scenario(
        name="POST creates the profile",
        json={"profile": FIELDS},
        answer=as_shown(),
        changes={"profiles": 1},
        stored=STORED,
    ),
    Scenario(
        name="POST takes the fields that are not required too",
        json={"profile": {**FIELDS, "bio": "Coaches.", "english_level": "native"}},
        answer=as_shown(bio="Coaches.", english_level="native"),
        changes={"profiles": 1},
        stored={**STORED, "bio": "Coaches.", "english_level": "native"},
    ),
    Scenario(
        name="unknown keys are ignored",
        json={"profile": {**FIELDS, "zz": [1], "id": 1, "user_id": 1, "email": "x@y.z"}, "a": 1},
        answer=as_shown(),
        changes={"profiles": 1},
        stored=STORED,
    ),
    Scenario(
        name="GET shows the profile",
        who=Who.REGISTERED,
        method="GET",
        answer=as_shown(),
    ),
    Scenario(
        name="a GET's body is not looked at",
        who=Who.REGISTERED,
        method="GET",
        headers={"content-type": "application/json"},
        body='{"profile":',
        answer=as_shown(),
    ),
    Scenario(
        name="GET before there is a profile",
        method="GET",
        status=404,
        answer=error(404),
    ),
    Scenario(
        name="a second POST is refused and changes nothing",
        who=Who.REGISTERED,
        json={"profile": {**FIELDS, "first_name": "Other"}},
        status=422,
        answer=refused(user="has already been taken"),
    ),
    Scenario(
        name="so is the same POST again",
        who=Who.REGISTERED,
        json={"profile": FIELDS},
        status=422,
        answer=refused(user="has already been taken"),
    ),
    Scenario(
        name="an invalid second POST changes nothing either",
        who=Who.REGISTERED,
        json={"profile": {"first_name": ""}},
        status=422,
        contains=('"user":["has already been taken"]', '"first_name":["can\'t be blank"]'),
    ),
    *(
        Scenario(
            name=f"{method} of {field} to {sent!r} changes that field only",
            who=Who.REGISTERED,
            method=method,
            json={"profile": {field: sent}},
            answer=as_shown(**{field: shown}),
            changes={"profile_versions": 1},
            stored={"version": 2},
            after=_kept_as_version,
        )
        for method in ("PATCH", "PUT")
        for field, sent, shown in _CHANGES
    ),
    *(
        Scenario(
            name=f"{method} of {what} changes nothing",
            who=Who.REGISTERED,
            method=method,
            json={"profile": fields},
            answer=as_shown(),
        )
        for method in ("PATCH", "PUT")
        for what, fields in _NO_CHANGES
    ),
    *(
        Scenario(
            name=f"{method} of {what} is refused and changes nothing",
            who=Who.REGISTERED,
            method=method,
            json={"profile": fields},
            status=422,
            answer=answer,
        )
        for method in ("PATCH", "PUT")
        for what, fields, answer in _REFUSED
    ),
    *(
        Scenario(
            name=f"{method} without a profile in the body is 400",
            who=Who.REGISTERED,
            method=method,
            json={"profile": {}},
            status=400,
            answer=error(400),
        )
        for method in ("PATCH", "PUT")
    ),
    Scenario(
        name="DELETE deletes the profile and keeps what it said",
        who=Who.REGISTERED,
        method="DELETE",
        status=204,
        changes={"profiles": -1, "profile_versions": 1},
        after=_kept_as_version,
    ),
    Scenario(
        name="DELETE takes no notice of a body",
        who=Who.REGISTERED,
        method="DELETE",
        headers={"content-type": "application/json"},
        body="{",
        status=204,
        changes={"profiles": -1, "profile_versions": 1},
    ),
]
