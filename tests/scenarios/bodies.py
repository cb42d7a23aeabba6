"""How parameters are read, from whichever encoding."""

import json

from tests.scenarios.scenario import PLAIN, Scenario, each, form, multipart
from tests.support.service import PROFILE, VALID

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=AaB03x"
BLANK = ["can't be blank"]
NESTED = json.dumps({"profile": VALID})
ALL_BLANK = dict.fromkeys(
    ["first_name", "last_name", "postcode", "birth_date", "start_date", "contact_phone_number"],
    BLANK,
)
PARTS = tuple((f'name="profile[{name}]"', value) for name, value in VALID.items())

SCENARIOS = [
    # JSON
    *(
        Scenario(f"JSON as {kind}", 200, "POST", body=NESTED, type=kind, shows=VALID)
        for kind in (
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=iso-8859-1",
            "APPLICATION/JSON",
            "text/x-json",
            "application/jsonrequest",
        )
    ),
    Scenario("JSON un-nested", 200, "POST", json=VALID, shows=VALID),
    Scenario("JSON un-nested, one field of ours", 422, "POST", json={"bio": "x"}, errors=ALL_BLANK),
    Scenario("JSON without a field of ours", 400, "POST", json={"foo": 1}, answer=PLAIN[400]),
    Scenario("JSON with a flat form key", 400, "POST", json={"profile[first_name]": "x"}),
    Scenario("JSON, nothing we know", 422, "POST", json={"profile": {"zz": 1}}, errors=ALL_BLANK),
    Scenario(
        "JSON, keys we do not know",
        200,
        "POST",
        json={"profile": {**VALID, "id": 1, "user_id": 1, "version": 9, "email": "x@y"}, "zz": 1},
        shows=VALID,
    ),
    *(
        Scenario(f"profile is {value!r}", 400, "POST", json={"profile": value}, answer=PLAIN[400])
        for value in each(None, "", "x", 7, True, [], [VALID], {})
    ),
    *(
        Scenario(f"a body that is {body!r}", 400, "POST", body=body, type="application/json")
        for body in ("", "{", "[]", "7", '"x"', "null", "NaN", '{"profile":{"first_name":NaN}}')
    ),
    Scenario(
        "JSON nested 200 deep",
        422,
        "POST",
        body='{"profile":{"first_name":' + "[" * 200 + "]" * 200 + "}}",
        type="application/json",
        errors=ALL_BLANK,
    ),
    Scenario(
        "JSON nested 100,000 deep",
        400,
        "POST",
        body='{"profile":' + "[" * 100_000 + "]" * 100_000 + "}",
        type="application/json",
    ),
    Scenario(
        "JSON that is not UTF-8",
        400,
        "POST",
        body=b'{"profile":{"first_name":"\xff"}}',
        type="application/json",
    ),
    Scenario(
        "a repeated JSON key: the last wins",
        200,
        "PATCH",
        profile=VALID,
        body='{"profile":{"bio":"a","bio":"b"}}',
        type="application/json",
        shows={"bio": "b"},
    ),
    # Forms
    Scenario("a form", 200, "POST", body=form(), type=FORM, shows=VALID),
    Scenario(
        "a form with accents and pluses",
        200,
        "PATCH",
        profile=VALID,
        body="profile[bio]=caf%C3%A9+au+lait%2B&profile%5Bpostcode%5D=AB1",
        type=FORM,
        shows={"bio": "café au lait+", "postcode": "AB1"},
    ),
    Scenario(
        "a repeated form key: the last wins",
        200,
        "PATCH",
        profile=VALID,
        body="profile[bio]=a&profile[bio]=b",
        type=FORM,
        shows={"bio": "b"},
    ),
    Scenario(
        "a semicolon separates nothing",
        200,
        "PATCH",
        profile=VALID,
        body="profile[bio]=a;profile[postcode]=b",
        type=FORM,
        shows={"bio": "a;profile[postcode]=b", "postcode": "123"},
    ),
    Scenario(
        "a list where text is expected",
        200,
        "PATCH",
        profile=VALID,
        body="profile[first_name][]=1&profile[first_name][]=2&profile[bio]=x",
        type=FORM,
        shows={"first_name": "Virgie", "bio": "x"},
    ),
    *(
        Scenario(f"a bad form: {body!r}", 400, "POST", body=body, type=FORM)
        for body in (
            "profile[first_name]=%",
            "profile[first_name]=%zz",
            "profile[first_name]=%ff",
            "profile=x",
            "profile[]=x",
            "other=x",
            "profile[a]=1&profile=x&profile[b]=1",
            "profile" + "[a]" * 100 + "=1",
        )
    ),
    # Multipart
    Scenario("multipart", 200, "POST", body=multipart(*PARTS), type=MULTIPART, shows=VALID),
    Scenario(
        "multipart with a file nobody chose",
        200,
        "POST",
        body=multipart(*PARTS, ('name="profile[cv]"; filename=""', "")),
        type=MULTIPART,
        shows=VALID,
    ),
    Scenario(
        "multipart with a file where text is expected",
        422,
        "POST",
        body=multipart(*PARTS[1:], ('name="profile[first_name]"; filename="a.txt"', "x")),
        type=MULTIPART,
        errors={"first_name": BLANK},
    ),
    Scenario(
        "multipart cut short",
        400,
        "POST",
        body=multipart(*PARTS)[:-20],
        type=MULTIPART,
        answer=PLAIN[400],
    ),
    Scenario(
        "multipart without boundary",
        400,
        "POST",
        body=multipart(*PARTS),
        type="multipart/form-data",
    ),
    Scenario(
        "multipart that is not UTF-8",
        400,
        "POST",
        type=MULTIPART,
        body=multipart(('name="profile[first_name]"', "x")).replace(b"x\r\n--", b"\xff\r\n--"),
    ),
    # The query string
    Scenario("the query alone", 200, "POST", path=f"{PROFILE}?{form()}", shows=VALID),
    Scenario(
        "the query takes the body's place whole",
        422,
        "POST",
        path=f"{PROFILE}?profile[first_name]=Q",
        json={"profile": VALID},
        errors={name: BLANK for name in ALL_BLANK if name != "first_name"},
    ),
    Scenario(
        "a query without profile leaves the body",
        200,
        "POST",
        path=f"{PROFILE}?utm=1",
        json={"profile": VALID},
        shows=VALID,
    ),
    Scenario(
        "a bad escape in the query",
        400,
        "POST",
        path=f"{PROFILE}?profile[bio]=%zz",
        json={"profile": VALID},
    ),
    Scenario(
        "a broken body is refused though the query has all",
        400,
        "POST",
        path=f"{PROFILE}?{form()}",
        body="{",
        type="application/json",
    ),
    # Other types
    *(
        Scenario(f"a body of type {kind}", 400, "POST", body=NESTED, type=kind, answer=PLAIN[400])
        for kind in (None, "text/plain", "application/xml", "application/octet-stream", "x")
    ),
    Scenario("no body at all", 400, "POST", answer=PLAIN[400]),
    Scenario(
        "a body over the limit",
        413,
        "POST",
        body=b" " * (1024 * 1024 + 1),
        type="application/json",
        answer=PLAIN[413],
    ),
    Scenario(
        "a GET's body is not looked at",
        200,
        "GET",
        profile=VALID,
        body="{",
        type="application/json",
    ),
]
