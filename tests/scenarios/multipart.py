"""Bodies of `multipart/form-data`."""

from tests.scenarios.bodies import ALL_BLANK, AS_PAIRS, CREATED
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.scenario import Scenario, Who, as_shown, error, refused

TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PARTS = [Part(name, value) for name, value in AS_PAIRS.items()]
BODY = multipart(PARTS)

_FILE = Part("profile[first_name]", "%PDF-1.7", filename="cv.pdf", content_type="application/pdf")
_NO_FILE = Part("profile[first_name]", "", filename="", content_type="application/octet-stream")

_BROKEN: list[tuple[str, str, bytes]] = [
    ("no boundary is named", "multipart/form-data", BODY),
    ("an empty boundary is named", "multipart/form-data; boundary=", BODY),
    ("another boundary is named", "multipart/form-data; boundary=other", BODY),
    ("it ends within a part", TYPE, BODY[: len(BODY) // 2]),
    ("its last boundary is cut", TYPE, BODY[:-6]),
    ("it ends within a part's headers", TYPE, BODY[: len(BOUNDARY) + 20]),
    ("a part has no headers", TYPE, f"--{BOUNDARY}\r\n\r\na\r\n--{BOUNDARY}--\r\n".encode()),
    ("a part is no UTF-8", TYPE, multipart([Part("profile[first_name]", b"\xff"), *PARTS])),
    ("it is JSON", TYPE, b'{"profile":{"first_name":"Virgie"}}'),
    ("a name is a value and an object", TYPE, multipart([Part("profile", "a"), *PARTS])),
]
_OVER_LIMITS: list[tuple[str, str | bytes]] = [
    ("more parts than a profile could have", multipart([Part("a", "1")] * 2000)),
    ("a part of a thousand headers", f"--{BOUNDARY}\r\n" + "a: b\r\n" * 3000),
    ("a part with a very long header", f"--{BOUNDARY}\r\na: {'b' * 100_000}\r\n\r\n"),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"multipart: {what}",
            headers={"content-type": content_type},
            body=body,
            answer=as_shown(),
            changes=CREATED,
        )
        for what, content_type, body in (
            ("the same names", TYPE, BODY),
            ("a boundary in quotes", f'multipart/form-data; boundary="{BOUNDARY}"', BODY),
            ("a charset beside it", f"{TYPE}; charset=utf-8", BODY),
            ("its type in another case", TYPE.replace("multipart", "Multipart"), BODY),
            (
                "parts that say their type",
                TYPE,
                multipart([Part(p.name, p.content, content_type="text/plain") for p in PARTS]),
            ),
            ("unknown names", TYPE, multipart([*PARTS, Part("zz", "1"), Part("a[]", "1")])),
            ("a part without a name", TYPE, multipart([Part(None, "a"), *PARTS])),
            ("a file of an unknown name", TYPE, multipart([*PARTS, Part("zz", "1", filename="z")])),
        )
    ),
    Scenario(
        name="multipart: text is UTF-8 and kept as it is",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, Part("profile[first_name]", "Zoë \U0001f68c+%41\r\n--x")]),
        answer=as_shown(first_name="Zoë \U0001f68c+%41\r\n--x"),
        changes=CREATED,
    ),
    Scenario(
        name="multipart: of a repeated name the last wins",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, Part("profile[postcode]", "last")]),
        answer=as_shown(postcode="last"),
        changes=CREATED,
    ),
    Scenario(
        name="multipart: no file chosen is nothing, not an empty value",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, _NO_FILE]),
        answer=as_shown(),
        changes=CREATED,
    ),
    Scenario(
        name="multipart: a file where text is expected counts as not given",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, _FILE]),
        status=422,
        answer=refused(first_name="can't be blank"),
    ),
    Scenario(
        name="multipart: a file that is damaged is refused, and nothing of it stays",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, Part("profile[cv]", "%PDF-1.7", filename="cv.pdf")]),
        status=422,
        answer=refused(cv="is damaged"),
    ),
    Scenario(
        name="multipart: no file chosen for a place of its own is nothing",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, Part("profile[cv]", "", filename="")]),
        answer=as_shown(),
        changes=CREATED,
    ),
    *(
        Scenario(
            name=f"multipart: {what} is 400",
            headers={"content-type": TYPE},
            body=body,
            status=400,
            answer=error(400),
        )
        for what, body in _OVER_LIMITS
    ),
    Scenario(
        name="multipart: only no file chosen is no profile",
        headers={"content-type": TYPE},
        body=multipart([_NO_FILE]),
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="multipart: a list where text is expected counts as not given",
        headers={"content-type": TYPE},
        body=multipart([Part("profile[first_name][]", "a"), Part("profile[first_name][]", "b")]),
        status=422,
        answer=ALL_BLANK,
    ),
    Scenario(
        name="multipart: text with a NUL is invalid",
        headers={"content-type": TYPE},
        body=multipart([*PARTS, Part("profile[postcode]", "a\0")]),
        status=422,
        answer=refused(postcode="is invalid"),
    ),
    Scenario(
        name="multipart: changes a profile",
        who=Who.REGISTERED,
        method="PUT",
        headers={"content-type": TYPE},
        body=multipart([Part("profile[bio]", "Coaches.")]),
        answer=as_shown(bio="Coaches."),
        changes={"profile_versions": 1},
    ),
    *(
        Scenario(
            name=f"multipart: {what}",
            headers={"content-type": content_type},
            body=body,
            status=400,
            answer=error(400),
        )
        for what, content_type, body in _BROKEN
    ),
    Scenario(
        name="multipart: no parts at all",
        headers={"content-type": TYPE},
        body=f"--{BOUNDARY}--\r\n",
        status=400,
        answer=error(400),
    ),
]
