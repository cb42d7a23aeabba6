"""Which values are taken, and how they are kept."""

from typing import Any

from tests.scenarios.scenario import Scenario, each
from tests.support.service import VALID

NO_DATE = ["is not a valid date"]


def _post(name: str, value: Any) -> dict[str, Any]:
    return {"json": {"profile": {**VALID, name: value}}, "method": "POST"}


def _raw(name: str, text: str) -> dict[str, Any]:
    body = f'{{"profile":{{"{name}":{text}}}}}'
    return {"body": body, "type": "application/json", "method": "PATCH", "profile": VALID}


SCENARIOS = [
    # Text
    *(
        Scenario(
            f"text {sent!r}",
            200,
            **_post("first_name", sent),
            shows={"first_name": sent},
            stored={"first_name": sent},
        )
        for sent in each(
            "Zoë",
            "  spaced  ",
            "& < > \" ' \\",
            "日本語",
            "👩🏽‍🚒",
            "a\nb\tc",
            "x" * 255,
            "a\u2028b",
        )
    ),
    *(
        Scenario(
            f"a number {text} becomes text as it was written",
            200,
            **_raw("postcode", text),
            shows={"postcode": text},
        )
        for text in ("123", "1.50", "-0", "1e5", "1E+400", "123456789012345678901234567890")
    ),
    *(
        Scenario(
            f"blank: {sent!r}",
            422,
            **_post("last_name", sent),
            errors={"last_name": ["can't be blank"]},
            stored={},
        )
        for sent in each("", " ", "\t\n", "\u3000", None, [], ["x"], {}, {"a": "b"})
    ),
    *(
        Scenario(
            f"invalid: {sent!r}",
            422,
            **_post("last_name", sent),
            errors={"last_name": ["is invalid"]},
            stored={},
        )
        for sent in each(True, False, "a\0b")
    ),
    Scenario(
        "a lone surrogate",
        422,
        **_raw("first_name", '"\\ud800"'),
        errors={"first_name": ["is invalid"]},
    ),
    Scenario(
        "a pair of surrogates is a character",
        200,
        **_raw("first_name", '"\\ud83d\\ude00"'),
        shows={"first_name": "😀"},
    ),
    Scenario(
        "too long",
        422,
        **_post("first_name", "x" * 256),
        errors={"first_name": ["is too long (maximum is 255 characters)"]},
        stored={},
    ),
    Scenario(
        "100,000 characters",
        422,
        **_post("first_name", "x" * 100_000),
        errors={"first_name": ["is too long (maximum is 255 characters)"]},
    ),
    Scenario("a long bio", 200, **_post("bio", "é" * 20_000), shows={"bio": "é" * 20_000}),
    Scenario(
        "too long a bio",
        422,
        **_post("bio", "x" * 20_001),
        errors={"bio": ["is too long (maximum is 20000 characters)"]},
    ),
    Scenario("no bio", 200, **_post("bio", None), shows={"bio": None}),
    Scenario("an empty bio", 200, **_post("bio", ""), shows={"bio": ""}),
    Scenario(
        "every refused field at once, in the documented order",
        422,
        "POST",
        json={
            "profile": {
                "english_level": "x",
                "bio": True,
                "start_date": "x",
                "birth_date": 1,
                "first_name": "a\0",
                "postcode": " ",
            }
        },
        errors={
            "first_name": ["is invalid"],
            "last_name": ["can't be blank"],
            "postcode": ["can't be blank"],
            "birth_date": NO_DATE,
            "start_date": NO_DATE,
            "contact_phone_number": ["can't be blank"],
            "bio": ["is invalid"],
            "english_level": ["is not included in the list"],
        },
        stored={},
    ),
    # English level
    *(
        Scenario(
            f"English {sent!r}", 200, **_post("english_level", sent), shows={"english_level": kept}
        )
        for sent, kept in (
            ("basic", "basic"),
            ("conversational", "conversational"),
            ("fluent", "fluent"),
            ("native", "native"),
            (None, None),
            ("", None),
        )
    ),
    *(
        Scenario(
            f"no such English {sent!r}",
            422,
            **_post("english_level", sent),
            errors={"english_level": ["is not included in the list"]},
        )
        for sent in each("Fluent", "good", 1, True, " ")
    ),
    # Dates
    *(
        Scenario(
            f"the date {sent!r}",
            200,
            **_post("birth_date", sent),
            shows={"birth_date": "2000-03-20"},
        )
        for sent in each(
            "2000-03-20",
            "2000-03-20T23:30:00-05:00",
            "2000-03-20 10:02:34",
            "20/03/2000",
            "2000-03-20T10:02:34.340Z",
            "2000-03-20T00:30:00+14:00",
            "2000-03-20T10:02",
            "2000-03-20T10:02:34+0100",
            "2000-03-20 10:02:34 UTC",
            "2000-03-20t10:02:34z",
        )
    ),
    Scenario(
        "the first day taken",
        200,
        **_post("birth_date", "1900-01-01"),
        shows={"birth_date": "1900-01-01"},
    ),
    Scenario(
        "the last day taken",
        200,
        **_post("birth_date", "2200-12-31"),
        shows={"birth_date": "2200-12-31"},
    ),
    Scenario(
        "a leap day", 200, **_post("birth_date", "29/02/2000"), shows={"birth_date": "2000-02-29"}
    ),
    *(
        Scenario(
            f"no date: {sent!r}", 422, **_post("birth_date", sent), errors={"birth_date": NO_DATE}
        )
        for sent in each(
            20000320,
            0,
            True,
            "03/20/2000",
            "2000-02-30",
            "2001-02-29",
            "born 2000-03-20",
            "2000-03-20 or so",
            "1899-12-31",
            "2201-01-01",
            "0000-01-01",
            "2000-13-01",
            "2000-3-2",
            "20-03-2000",
            "20000320",
            "2000-03-20T25:00:00",
            "2000-03-20T10:61",
            "2000-03-20T",
            "2000-03-20T10:02:34+99:00",
            "٢٠٠٠-٠٣-٢٠",
            "2000-03-20\0",
            "\ud7ff",
            " 2000-03-20",
            "2000-03-20\n",
            "next week",
            "20.03.2000",
        )
    ),
    *(
        Scenario(
            f"a blank date: {sent!r}",
            422,
            **_post("birth_date", sent),
            errors={"birth_date": ["can't be blank"]},
        )
        for sent in each("", "  ", None, [], {"a": 1})
    ),
]
