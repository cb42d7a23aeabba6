"""A profile is created once, shown, changed and deleted."""

from tests.scenarios.scenario import PLAIN, Scenario
from tests.support.service import PROFILE, VALID

TAKEN = {"user": ["has already been taken"]}
EMPTY = {"id": None, "signed_id": None, "byte_size": None, "filename": "", "url": None}

SCENARIOS = [
    Scenario(
        "created",
        200,
        "POST",
        json={"profile": VALID},
        stored={**VALID, "version": 1},
        shows={
            **VALID,
            "bio": None,
            "english_level": None,
            "activities": [],
            "experiences": [],
            "licenses": [],
            "interviews": [],
            "reviews": [],
            "documents": [],
            "driving_license": [],
            "cv": EMPTY,
            "enchanced_dbs": EMPTY,
            "phone_number": None,
        },
    ),
    Scenario(
        "a second one",
        422,
        "POST",
        json={"profile": {**VALID, "first_name": "Other"}},
        profile=VALID,
        errors=TAKEN,
        stored={**VALID, "version": 1},
    ),
    Scenario(
        "a second one that is invalid",
        422,
        "POST",
        json={"profile": {"zz": 1}},
        profile=VALID,
        stored={**VALID, "version": 1},
    ),
    Scenario("a second one without parameters", 400, "POST", profile=VALID, stored=VALID),
    Scenario("shown", 200, profile=VALID, shows=VALID),
    Scenario("not there", 404, answer=PLAIN[404]),
    Scenario(
        "HEAD",
        200,
        "HEAD",
        profile=VALID,
        sends={"content-type": "application/json; charset=utf-8"},
    ),
    Scenario("HEAD, not there", 404, "HEAD"),
    *(
        row
        for method in ("PATCH", "PUT")
        for row in (
            Scenario(
                f"{method} one field",
                200,
                method,
                json={"profile": {"postcode": "AB1 2CD"}},
                profile=VALID,
                shows={**VALID, "postcode": "AB1 2CD"},
                stored={**VALID, "postcode": "AB1 2CD", "version": 2},
            ),
            Scenario(
                f"{method} un-nested",
                200,
                method,
                json={"bio": "x"},
                profile=VALID,
                shows={**VALID, "bio": "x"},
            ),
            Scenario(
                f"{method} what is so already",
                200,
                method,
                json={"profile": VALID},
                profile=VALID,
                stored={**VALID, "version": 1},
            ),
            Scenario(
                f"{method} nothing we know",
                200,
                method,
                json={"profile": {"zz": 1}},
                profile=VALID,
                stored={**VALID, "version": 1},
            ),
            Scenario(
                f"{method} a required field away",
                422,
                method,
                json={"profile": {"first_name": None, "bio": "new"}},
                profile=VALID,
                errors={"first_name": ["can't be blank"]},
                stored={**VALID, "version": 1},
            ),
            Scenario(
                f"{method} bio and English away",
                200,
                method,
                json={"profile": {"bio": None, "english_level": None}},
                profile={**VALID, "bio": "x", "english_level": "fluent"},
                shows={"bio": None, "english_level": None},
            ),
            Scenario(f"{method} without parameters", 400, method, profile=VALID, answer=PLAIN[400]),
            Scenario(
                f"{method} an empty profile", 400, method, json={"profile": {}}, profile=VALID
            ),
            Scenario(
                f"{method} before there is one",
                404,
                method,
                body="{",
                type="application/json",
                answer=PLAIN[404],
                stored={},
            ),
            Scenario(
                f"{method} by query",
                200,
                method,
                path=f"{PROFILE}?profile[bio]=q",
                profile=VALID,
                shows={"bio": "q"},
            ),
        )
    ),
    Scenario(
        "deleted",
        204,
        "DELETE",
        profile=VALID,
        stored={},
        sends={"cache-control": "no-cache", "etag": None, "content-type": None},
    ),
    Scenario("deleted before there is one", 404, "DELETE", answer=PLAIN[404]),
]
