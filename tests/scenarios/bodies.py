"""The parameters of a request: JSON, wrapped or not, and the query string."""

import json
from urllib.parse import urlencode

from tests.support.drivers import FIELDS, PROFILE_PATH
from tests.support.scenario import Scenario, Who, as_shown, error, refused

NESTED = json.dumps({"profile": FIELDS})
AS_PAIRS = {f"profile[{name}]": value for name, value in FIELDS.items()}
QUERY = urlencode(AS_PAIRS)
CREATED = {"profiles": 1}

ALL_BLANK = refused(
    **dict.fromkeys(
        ("first_name", "last_name", "postcode", "birth_date", "start_date", "contact_phone_number"),
        "can't be blank",
    )
)

_JSON_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=iso-8859-1",
    "Application/JSON",
    "application/json ; odd",
    "text/x-json",
    "application/jsonrequest",
]
_OTHER_TYPES = [
    None,
    "",
    "text/plain",
    "application/xml",
    "application/octet-stream",
    "application/jsonp",
    "json",
    "*/*",
    "nonsense; charset",
]
_NOT_JSON: list[str | bytes] = [
    "{",
    '{"profile":',
    '{"profile":{"first_name":"a"}}}',
    "{'profile': {}}",
    '{"profile":{"first_name":"a",}}',
    '{"profile":{"first_name":"a\nb"}}',
    '{"profile":{"first_name":"\\x"}}',
    "profile[first_name]=a",
    "[" * 90_000,
    '{"profile":' * 20_000,
    b'{"profile":{"first_name":"\xff"}}',
    b'{"profile":{"first_name":"\xed\xa0\x80"}}',
    json.dumps({"profile": FIELDS}).encode("utf-16"),
    b"\0",
]
_NO_PROFILE: list[tuple[str, str]] = [
    ("an empty object", "{}"),
    ("no profile", '{"foo":1}'),
    ("the name of a form's field", '{"profile[first_name]":"Virgie"}'),
    ("another case", '{"Profile":{"first_name":"Virgie"}}'),
    ("a profile of null", '{"profile":null}'),
    ("an empty profile", '{"profile":{}}'),
    ("a profile of text", '{"profile":"Virgie"}'),
    ("a profile of a number", '{"profile":1}'),
    ("a profile of true", '{"profile":true}'),
    ("an empty list as profile", '{"profile":[]}'),
    ("a list as profile", '{"profile":[{"first_name":"Virgie"}]}'),
    ("a list", '[{"profile":{"first_name":"Virgie"}}]'),
    ("a text", '"profile"'),
    ("a number", "1"),
    ("null", "null"),
    ("true", "true"),
    ("un-nested keys that no profile has", '{"email":"a@b.c","id":1,"user":{}}'),
]
_DEEP = '{"a":' * 200 + "1" + "}" * 200

SCENARIOS = [
    *(
        Scenario(
            name=f"{content_type} is JSON",
            headers={"content-type": content_type},
            body=NESTED,
            answer=as_shown(),
            changes=CREATED,
        )
        for content_type in _JSON_TYPES
    ),
    *(
        Scenario(
            name=f"a body of type {content_type!r} is ignored",
            headers={} if content_type is None else {"content-type": content_type},
            body=NESTED,
            status=400,
            answer=error(400),
        )
        for content_type in _OTHER_TYPES
    ),
    *(
        Scenario(
            name=f"a body of type {content_type!r} is ignored beside a query",
            path=f"{PROFILE_PATH}?{QUERY}",
            headers={} if content_type is None else {"content-type": content_type},
            body="{",
            answer=as_shown(),
            changes=CREATED,
        )
        for content_type in _OTHER_TYPES
    ),
    *(
        Scenario(
            name=f"{body[:48]!r}, {len(body)} long, is no JSON",
            headers={"content-type": "application/json"},
            body=body,
            status=400,
            answer=error(400),
        )
        for body in _NOT_JSON
    ),
    *(
        Scenario(
            name=f"JSON with {what} has no profile",
            headers={"content-type": "application/json"},
            body=body,
            status=400,
            answer=error(400),
        )
        for what, body in _NO_PROFILE
    ),
    *(
        Scenario(
            name=f"{what} has no profile",
            headers={"content-type": "application/json"},
            body=body,
            status=400,
            answer=error(400),
        )
        for what, body in (("an empty body", ""), ("no body", None))
    ),
    Scenario(
        name="un-nested JSON is wrapped",
        json=FIELDS,
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="un-nested JSON is wrapped, whatever stands beside it",
        json={**FIELDS, "zz": 1, "user": {"email": "x"}},
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="one field of a profile is enough to be wrapped",
        json={"bio": "Coaches."},
        status=422,
        answer=ALL_BLANK,
    ),
    Scenario(
        name="what stands beside a profile is not wrapped into it",
        json={**FIELDS, "profile": {"first_name": "Virgie"}},
        status=422,
        lacks=("first_name",),
    ),
    Scenario(
        name="un-nested JSON changes a profile too",
        who=Who.REGISTERED,
        method="PATCH",
        json={"postcode": "AB1"},
        answer=as_shown(postcode="AB1"),
        changes={"profile_versions": 1},
    ),
    Scenario(
        name="a profile of unknown keys lacks every required field",
        json={"profile": {"zz": 1}},
        status=422,
        answer=ALL_BLANK,
    ),
    Scenario(
        name="spaces around JSON are nothing",
        headers={"content-type": "application/json"},
        body=f" \r\n\t{NESTED}\n ",
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="escapes of JSON are read",
        headers={"content-type": "application/json"},
        body=NESTED.replace("Virgie", "\\u0056\\ud83d\\ude8c\\n"),
        answer=as_shown(first_name="V\U0001f68c\n"),
        changes=CREATED,
    ),
    Scenario(
        name="200 objects in each other where text is expected are as if not given",
        headers={"content-type": "application/json"},
        body=f'{{"profile":{{"first_name":{_DEEP}}}}}',
        status=422,
        answer=ALL_BLANK,
    ),
    Scenario(
        name="parameters in the query string count",
        path=f"{PROFILE_PATH}?{QUERY}",
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="brackets in a query may stand unescaped",
        path=PROFILE_PATH
        + "?"
        + "&".join(f"profile[{k}]={v.replace(' ', '+')}" for k, v in FIELDS.items()),
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="where query and body both carry a profile, the query's whole is taken",
        path=f"{PROFILE_PATH}?profile[first_name]=Ann",
        json={"profile": FIELDS},
        status=422,
        lacks=("first_name",),
        contains=('"last_name":["can\'t be blank"]', '"postcode":["can\'t be blank"]'),
    ),
    Scenario(
        name="a query that carries no profile leaves the body's",
        path=f"{PROFILE_PATH}?first_name=Ann&user[email]=x",
        json={"profile": FIELDS},
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="un-nested fields in a query are not wrapped",
        path=f"{PROFILE_PATH}?{urlencode(FIELDS)}",
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="a profile of text in the query is no profile",
        path=f"{PROFILE_PATH}?profile=Virgie",
        json={"profile": FIELDS},
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="a bad percent escape in the query is 400",
        path=f"{PROFILE_PATH}?profile[first_name]=%zz",
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="a query that is no UTF-8 is 400",
        path=f"{PROFILE_PATH}?profile[first_name]=%ff",
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="a query changes a profile too",
        who=Who.REGISTERED,
        method="PATCH",
        path=f"{PROFILE_PATH}?profile[postcode]=AB1",
        answer=as_shown(postcode="AB1"),
        changes={"profile_versions": 1},
    ),
]
