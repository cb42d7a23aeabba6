"""The order of judgement: route, 401, 404 of the record, 413 and 400, 422."""

import json

from tests.support.drivers import FIELDS, PROFILE_PATH
from tests.support.scenario import Scenario, Who, error, refused

JSON = {"content-type": "application/json"}
NOT_JSON = '{"profile":'
NOT_SIGNED_IN = {"error": "You need to sign in or sign up before continuing."}
MOST = 256 * 1024

TOO_LARGE = json.dumps({"profile": {**FIELDS, "bio": "x" * 2 * MOST}})
AT_THE_LIMIT = json.dumps({"profile": FIELDS}).ljust(MOST)

_NO_PROFILE = [
    (method, what, body)
    for method in ("PATCH", "PUT")
    for what, body in (
        ("a good body", json.dumps({"profile": {"postcode": "AB1"}})),
        ("refused values", json.dumps({"profile": {"postcode": ""}})),
        ("what is no JSON", NOT_JSON),
        ("an empty profile", '{"profile":{}}'),
        ("no body", None),
    )
]

SCENARIOS = [
    Scenario(
        name="an unknown route is 404 to those who are not signed in",
        who=Who.NOBODY,
        path="/api/v1/users/nothing",
        headers=JSON,
        body=NOT_JSON,
        status=404,
        answer=error(404),
    ),
    Scenario(
        name="a method that a route has not is 405 to those who are not signed in",
        who=Who.NOBODY,
        method="OPTIONS",
        status=405,
        answer=error(405),
    ),
    *(
        Scenario(
            name=f"an unsigned {method} learns nothing about {what}",
            who=Who.NOBODY,
            method=method,
            headers=JSON,
            body=body,
            status=401,
            answer=NOT_SIGNED_IN,
        )
        for method in ("POST", "PATCH", "PUT", "DELETE")
        for what, body in (
            ("a body that is no JSON", NOT_JSON),
            ("refused values", '{"profile":{"first_name":""}}'),
            ("a missing body", None),
        )
    ),
    *(
        Scenario(
            name=f"{where} of 40 KB is 431, before anything else is looked at",
            who=Who.NOBODY,
            method="GET",
            path=path,
            headers={"x-long": header},
            status=431,
            answer=error(431),
        )
        for where, path, header in (
            ("a header", PROFILE_PATH, "a" * 40_000),
            ("a query", f"{PROFILE_PATH}?{'a' * 40_000}", ""),
        )
    ),
    Scenario(
        name="an unsigned request learns nothing about a body that is too large",
        who=Who.NOBODY,
        headers=JSON,
        body=TOO_LARGE,
        status=401,
        answer=NOT_SIGNED_IN,
    ),
    *(
        Scenario(
            name=f"{method} before there is a profile is 404, with {what}",
            method=method,
            headers=JSON,
            body=body,
            status=404,
            answer=error(404),
        )
        for method, what, body in _NO_PROFILE
    ),
    *(
        Scenario(
            name=f"{method} before there is a profile is 404",
            method=method,
            status=404,
            answer=error(404),
        )
        for method in ("GET", "DELETE")
    ),
    Scenario(
        name="a body over the limit is 413",
        headers=JSON,
        body=TOO_LARGE,
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="a body over the limit is 413, though it is no JSON",
        headers=JSON,
        body="{" * 2 * MOST,
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="a body over the limit is 413 to PATCH",
        who=Who.REGISTERED,
        method="PATCH",
        headers=JSON,
        body=TOO_LARGE,
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="a body over the limit is 413 to a sign-up",
        who=Who.NOBODY,
        path="/api/v1/users",
        headers=JSON,
        body=TOO_LARGE,
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="a body at the limit is read",
        headers=JSON,
        body=AT_THE_LIMIT,
        changes={"profiles": 1},
    ),
    Scenario(
        name="one byte more is not",
        headers=JSON,
        body=AT_THE_LIMIT + " ",
        status=413,
        answer=error(413),
    ),
    Scenario(
        name="400 comes before 422",
        who=Who.REGISTERED,
        headers=JSON,
        body=NOT_JSON,
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="every refused field is listed at once, in the documented order",
        json={
            "profile": {
                "english_level": "perfect",
                "bio": "x" * 20_001,
                "contact_phone_number": True,
                "start_date": "tomorrow",
                "birth_date": None,
                "postcode": "x" * 256,
                "last_name": " ",
            }
        },
        status=422,
        answer=refused(
            first_name="can't be blank",
            last_name="can't be blank",
            postcode="is too long (maximum is 255 characters)",
            birth_date="can't be blank",
            start_date="is not a valid date",
            contact_phone_number="is invalid",
            bio="is too long (maximum is 20000 characters)",
            english_level="is not included in the list",
        ),
    ),
    Scenario(
        name="a token in the query string is not looked at",
        who=Who.NOBODY,
        method="GET",
        path=lambda stage: (
            f"{PROFILE_PATH}?token={stage.driver.token}&Authorization=Bearer+{stage.driver.token}"
        ),
        status=401,
        answer=NOT_SIGNED_IN,
    ),
]
