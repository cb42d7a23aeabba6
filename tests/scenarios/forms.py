"""Bodies of `application/x-www-form-urlencoded`."""

from urllib.parse import urlencode

from tests.scenarios.bodies import ALL_BLANK, AS_PAIRS, CREATED
from tests.support.scenario import Scenario, Who, as_shown, error, refused

FORM = "application/x-www-form-urlencoded"
BODY = urlencode(AS_PAIRS)

_BROKEN: list[str | bytes] = [
    "profile[first_name]=%",
    "profile[first_name]=%4",
    "profile[first_name]=%zz",
    "profile[first_name]=100%",
    "profile[%zz]=a",
    "profile[first_name]=%ff",
    "profile[first_name]=%ed%a0%80",
    b"profile[first_name]=\xff",
    b"profile[\xc3]=a",
    "profile=a&profile[first_name]=b",
    "profile[first_name]=a&profile=b&profile[last_name]=c",
    "profile[first_name][a]=1&profile[first_name]=2",
    "profile[first_name]=1&profile[first_name][a]=2",
    "profile[]=1&profile[first_name]=2",
    "profile" + "[a]" * 200 + "=1",
]
_NO_PROFILE = [
    "",
    "&&&",
    "=",
    "profile",
    "profile=",
    "profile=Virgie",
    "profile[]=Virgie",
    "profile[][first_name]=Virgie",
    "first_name=Virgie",
    "Profile[first_name]=Virgie",
    "profile.first_name=Virgie",
    "[profile][first_name]=Virgie",
    '{"profile":{"first_name":"Virgie"}}',
]
_SENT: list[tuple[str, str, str]] = [
    ("plus is a space", "a+b", "a b"),
    ("%2B is a plus", "a%2Bb", "a+b"),
    ("escapes are UTF-8", "Zo%C3%AB%20%F0%9F%9A%8C", "Zoë \U0001f68c"),
    ("escapes may be in either case", "%c3%ab%C3%AB", "ëë"),
    ("letters may stand unescaped", "Zoë", "Zoë"),
    ("a semicolon separates nothing", "a;profile[last_name]=b", "a;profile[last_name]=b"),
    ("what follows the first = is the value", "a=b==", "a=b=="),
    ("a new line is kept", "a%0D%0Ab", "a\r\nb"),
    ("what looks like a number stays text", "007", "007"),
    ("what looks like null stays text", "null", "null"),
    ("what looks like true stays text", "true", "true"),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"{content_type} is a form",
            headers={"content-type": content_type},
            body=BODY,
            answer=as_shown(),
            changes=CREATED,
        )
        for content_type in (FORM, f"{FORM}; charset=utf-8", FORM.upper())
    ),
    *(
        Scenario(
            name=f"form: {what}",
            headers={"content-type": FORM},
            body=f"{BODY}&profile[first_name]={sent}",
            answer=as_shown(first_name=kept),
            changes=CREATED,
            stored={"first_name": kept},
        )
        for what, sent, kept in _SENT
    ),
    Scenario(
        name="form: of a repeated key the last wins",
        form=[*AS_PAIRS.items(), ("profile[postcode]", "first"), ("profile[postcode]", "last")],
        answer=as_shown(postcode="last"),
        changes=CREATED,
    ),
    Scenario(
        name="form: empty pairs are nothing",
        headers={"content-type": FORM},
        body=f"&&{BODY}&&",
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="form: unknown keys are ignored, lists and objects among them",
        headers={"content-type": FORM},
        body=f"{BODY}&zz=1&a[]=1&a[]=2&b[c][d]=1&profile[zz][]=1&profile[y][][z]=1&profile[]x=1",
        answer=as_shown(),
        changes=CREATED,
    ),
    *(
        Scenario(
            name=f"form: {what} where text is expected counts as not given",
            headers={"content-type": FORM},
            body=pairs,
            status=422,
            answer=ALL_BLANK,
        )
        for what, pairs in (
            ("a list", "profile[first_name][]=a&profile[first_name][]=b"),
            ("an object", "profile[first_name][a]=b"),
            ("a list of objects", "profile[first_name][][a]=b&profile[first_name][][a]=c"),
            ("a list in a list", "profile[first_name][][]=b"),
        )
    ),
    *(
        Scenario(
            name=f"form: {name} is blank",
            form={**AS_PAIRS, f"profile[{name}]": "  "},
            status=422,
            answer=refused(**{name: "can't be blank"}),
        )
        for name in ("first_name", "birth_date")
    ),
    Scenario(
        name="form: a key without a value is blank",
        headers={"content-type": FORM},
        body=f"{BODY}&profile[postcode]",
        status=422,
        answer=refused(postcode="can't be blank"),
    ),
    Scenario(
        name="form: text with a NUL is invalid",
        form={**AS_PAIRS, "profile[postcode]": "a\0"},
        status=422,
        answer=refused(postcode="is invalid"),
    ),
    Scenario(
        name="form: an empty choice is none, as forms cannot send null",
        form={**AS_PAIRS, "profile[english_level]": ""},
        answer=as_shown(english_level=None),
        changes=CREATED,
    ),
    Scenario(
        name="form: changes a profile",
        who=Who.REGISTERED,
        method="PATCH",
        form={"profile[birth_date]": "31/12/1999"},
        answer=as_shown(birth_date="1999-12-31"),
        changes={"profile_versions": 1},
    ),
    Scenario(
        name="form: more parameters than a profile could have are 400",
        headers={"content-type": FORM},
        body="a=&" * 5000 + "profile[first_name]=Virgie",
        status=400,
        answer=error(400),
    ),
    *(
        Scenario(
            name=f"form: {body[:60]!r} is broken",
            headers={"content-type": FORM},
            body=body,
            status=400,
            answer=error(400),
        )
        for body in _BROKEN
    ),
    *(
        Scenario(
            name=f"form: {body!r} has no profile",
            headers={"content-type": FORM},
            body=body,
            status=400,
            answer=error(400),
        )
        for body in _NO_PROFILE
    ),
]
