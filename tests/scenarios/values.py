"""Values of text fields: what is taken as it is, and what is refused with which words."""

import json
from typing import Any

from tests.support.drivers import FIELDS
from tests.support.scenario import Scenario, as_shown, error, refused

BLANK = "can't be blank"
INVALID = "is invalid"
TEXTS = ("first_name", "last_name", "postcode", "contact_phone_number")
DATES = ("birth_date", "start_date")

_KEPT = [
    "Zoë",
    "Ωμέγα 東京 Владимир",
    "نور الدين",
    "\U0001f68c\U0001f3fd 👩‍👧",
    "e\u0301 is not é",
    " spaces around ",
    "a\ttab and a\nnew line\r\n",
    "<b>&amp; \"quoted\" 'single' \\ / \u2028 \u2029",
    "\x01\x1f\x7f\x80\ufeff\ufffd\uffff",
    "null",
    "true",
    "%41+%zz",
    "'; DROP TABLE profiles; --",
    "{}",
    "x" * 255,
    "\U0001f68c" * 255,
]
_NUMBERS = ["123", "0", "-7", "1.50", "1e5", "1E+2", "-0", "0.10", "1" * 40, "1e400"]

_BLANK: list[tuple[str, Any]] = [
    ("null", None),
    ("an empty text", ""),
    ("spaces", "   "),
    ("tabs and new lines", "\t\r\n "),
    ("a list", ["x"]),
    ("an empty list", []),
    ("an object", {"a": "b"}),
    ("an empty object", {}),
]
_INVALID: list[tuple[str, Any]] = [
    ("true", True),
    ("false", False),
    ("a NUL", "a\0b"),
    ("only a NUL", "\0"),
    ("a lone surrogate", "\ud83d"),
    ("a surrogate among letters", "a\udc00b"),
    ("surrogates the wrong way round", "\ude8c\ud83d"),
]


def _but(field: str, value: Any) -> dict[str, Any]:
    return {"profile": {**FIELDS, field: value}}


def _with_postcode(number: str) -> str:
    """JSON with the number as it is written here."""
    return json.dumps(_but("postcode", "NUMBER")).replace('"NUMBER"', number)


SCENARIOS = [
    *(
        Scenario(
            name=f"text is kept as it is: {text[:40]!a}",
            json=_but("first_name", text),
            answer=as_shown(first_name=text),
            changes={"profiles": 1},
            stored={"first_name": text},
        )
        for text in _KEPT
    ),
    *(
        Scenario(
            name=f"the number {number} becomes text as it was written",
            headers={"content-type": "application/json"},
            body=_with_postcode(number),
            answer=as_shown(postcode=number),
            changes={"profiles": 1},
            stored={"postcode": number},
        )
        for number in _NUMBERS
    ),
    *(
        Scenario(
            name=f"{field} of {what} is blank",
            json=_but(field, value),
            status=422,
            answer=refused(**{field: BLANK}),
        )
        for field in (*TEXTS, *DATES)
        for what, value in _BLANK
    ),
    *(
        Scenario(
            name=f"{field} that is not given is blank",
            json={"profile": {name: value for name, value in FIELDS.items() if name != field}},
            status=422,
            answer=refused(**{field: BLANK}),
        )
        for field in FIELDS
    ),
    *(
        Scenario(
            name=f"{field} of {what} is invalid",
            json=_but(field, value),
            status=422,
            answer=refused(**{field: INVALID}),
        )
        for field in (*TEXTS, "bio")
        for what, value in _INVALID
    ),
    *(
        Scenario(
            name=f"{field} of {most + 1} characters is too long",
            json=_but(field, "\U0001f68c" * (most + 1)),
            status=422,
            answer=refused(**{field: f"is too long (maximum is {most} characters)"}),
        )
        for field, most in (*((name, 255) for name in TEXTS), ("bio", 20_000))
    ),
    Scenario(
        name="a name of 100,000 characters is too long",
        json=_but("last_name", "x" * 100_000),
        status=422,
        answer=refused(last_name="is too long (maximum is 255 characters)"),
    ),
    Scenario(
        name="a number of 256 digits is too long",
        headers={"content-type": "application/json"},
        body=_with_postcode("1" * 256),
        status=422,
        answer=refused(postcode="is too long (maximum is 255 characters)"),
    ),
    Scenario(
        name="bio takes 20,000 characters",
        json=_but("bio", "\U0001f68c" * 20_000),
        answer=as_shown(bio="\U0001f68c" * 20_000),
        changes={"profiles": 1},
    ),
    *(
        Scenario(
            name=f"bio of {what} is as if it were not given",
            json=_but("bio", value),
            answer=as_shown(),
            changes={"profiles": 1},
            stored={"bio": None},
        )
        for what, value in (("null", None), ("a list", ["x"]), ("an object", {"a": "b"}))
    ),
    Scenario(
        name="bio of spaces keeps them: nothing asks for a bio",
        json=_but("bio", "  "),
        answer=as_shown(bio="  "),
        changes={"profiles": 1},
    ),
    *(
        Scenario(
            name=f"english_level of {value!r} is not on the list",
            json=_but("english_level", value),
            status=422,
            answer=refused(english_level="is not included in the list"),
        )
        for value in ("perfect", "Basic", " basic", "basic ", "null", "0", 1)
    ),
    *(
        Scenario(
            name=f"a JSON number {number} is no JSON",
            headers={"content-type": "application/json"},
            body=_with_postcode(number),
            status=400,
            answer=error(400),
        )
        for number in ("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1")
    ),
]
