"""What holds for every input: nothing is a fault of ours, and what is told is told back."""

import base64
import json
import string
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from http.client import HTTPException
from secrets import token_hex
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.conftest import SOAK, Running
from tests.support.client import Answer, Client, Headers
from tests.support.drivers import (
    FIELDS,
    NOTHING_ATTACHED,
    PROFILE_PATH,
    Driver,
    compact,
    new_driver,
    shown,
    with_profile,
)
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.scenario import hold_to_conventions
from tests.support.tables import Row, Tables
from tests.support.tokens import claims, encoded, forge

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def examples(count: int) -> settings:
    """`count` inputs, many more in a soak; the service is the same for all, as it is in life."""
    return settings(
        max_examples=count * 100 if SOAK else count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# Inputs of every sort. First: nothing is a fault of ours.

CREATE = ("POST", PROFILE_PATH)
CHANGE = ("PATCH", PROFILE_PATH)
SIGN_UP = ("POST", "/api/v1/users")
SIGN_IN = ("POST", "/api/v1/users/sign_in")
SIGN_OUT = ("DELETE", "/api/v1/users/sign_out")
TAKES_A_BODY = st.sampled_from([CREATE, CHANGE, SIGN_UP, SIGN_IN, SIGN_OUT])

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW"])

KEYS = ["profile", "user", "blob", *FIELDS, "bio", "english_level", "email", "password", "id", ""]
ANY_TEXT = st.text(st.characters(), max_size=40)
"""Lone surrogates, NUL and all."""
ODD_TEXT = st.sampled_from(
    ["\0", "\ud83d", "\ufeff", "2000-03-20", "2000-02-30", "a@b", " "]
) | st.sampled_from([255, 256, 20_001]).map("a".__mul__)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | ANY_TEXT
    | ODD_TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | ANY_TEXT, inner, max_size=8)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)
DEPTHS = st.integers(1, 60_000)
BROKEN = st.tuples(st.integers(0, 10_000), st.binary(max_size=4))
"""Where to cut a body, and what to put there."""


def _written(value: object, *, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Repeated:
    """A body so long that only how it is made is worth showing."""

    opened: bytes
    times: int
    inside: bytes = b""
    closed: bytes = b""

    def __bytes__(self) -> bytes:
        return self.opened * self.times + self.inside + self.closed * self.times


def _cut(body: bytes, at: tuple[int, bytes]) -> bytes:
    place, instead = at
    place %= len(body) + 1
    return body[:place] + instead + body[place + len(instead) :]


STRUCTURED = st.builds(_written, VALUES | OBJECTS, ascii_only=st.booleans())
JSON_BODIES = st.one_of(
    STRUCTURED,
    st.builds(
        lambda fields: _written({"profile": fields, "user": fields}, ascii_only=True), OBJECTS
    ),
    st.builds(
        Repeated,
        st.sampled_from([b"[", b'{"profile":', b'{"profile":{"bio":[', b'[{"user":']),
        DEPTHS,
        st.just(b"1"),
        st.sampled_from([b"]", b"}", b"]}}", b""]),
    ),
    st.builds(_cut, STRUCTURED, BROKEN),
    st.binary(max_size=200),
)

NAMES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from([*KEYS, "a", "[", "]"]),
        st.lists(
            st.sampled_from(["[]", "[a]", "[first_name]", "[bio]", "[email]", "[", "]", "[[]]"]),
            max_size=4,
        ).map("".join),
    ),
)
PAIRS = st.lists(st.tuples(NAMES | ANY_TEXT, ANY_TEXT | ODD_TEXT), max_size=8)


def _form(pairs: Sequence[tuple[str, str]], *, is_escaped: bool) -> bytes:
    def written(text: str) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        return quote_plus(raw).encode() if is_escaped else raw

    return b"&".join(written(name) + b"=" + written(value) for name, value in pairs)


FORM_BODIES = st.one_of(
    st.builds(_form, PAIRS, is_escaped=st.booleans()),
    st.builds(
        Repeated,
        st.sampled_from([b"profile[bio]=1&", b"profile[documents][]=1&", b"profile", b"[", b"&"]),
        st.integers(1, 5000),
        st.sampled_from([b"", b"profile"]),
        st.sampled_from([b"", b"[a]", b"[]", b"]"]),
    ),
    st.builds(_cut, st.builds(_form, PAIRS, is_escaped=st.just(True)), BROKEN),
    st.binary(max_size=200),
)

HEADER_TEXT = st.text(
    st.characters(max_codepoint=255, exclude_categories=["Cc", "Cs"]), max_size=30
)
FILENAMES = st.none() | HEADER_TEXT | st.sampled_from(["", "cv.pdf", "../../etc/passwd", "a\0b"])
PARTS = st.lists(
    st.builds(
        Part,
        st.none() | NAMES | HEADER_TEXT,
        st.binary(max_size=60) | st.sampled_from(["Virgie", "2000-03-20", "\0", "a" * 300]),
        FILENAMES,
        st.none() | st.sampled_from(["text/plain", "multipart/mixed", "x", ""]),
    ),
    max_size=6,
)
MULTIPART_BODIES = st.one_of(
    st.builds(multipart, PARTS),
    st.builds(_cut, st.builds(multipart, PARTS), BROKEN),
    st.builds(
        Repeated,
        st.just(multipart([Part("profile[documents][]", "x")]).removesuffix(b"--\r\n") + b"\r\n"),
        st.integers(900, 1100),
    ),
    st.binary(max_size=200),
)

CONTENT_TYPES = st.one_of(
    st.sampled_from(
        [
            *(JSON, FORM, MULTIPART, "application/jsonrequest", "text/x-json", "text/plain"),
            *("application/json; charset=utf-16", "APPLICATION/JSON", "application/json;"),
            *("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x"),
            'multipart/form-data; boundary="' + BOUNDARY + '"',
            f"multipart/form-data; boundary={BOUNDARY * 10}",
            "multipart/mixed; boundary=" + BOUNDARY,
            "application/x-www-form-urlencoded; charset=koi8-r",
        ]
    ),
    HEADER_TEXT,
    st.builds("multipart/form-data; {}".format, HEADER_TEXT),
)


@pytest.fixture
def asking(service: Running) -> "Asking":
    return Asking(service)


class Asking:
    """A driver without a profile and one who has one, over a new connection each time."""

    def __init__(self, service: Running):
        self._url = service.url
        self._new = new_driver(service.tables)
        self._registered = with_profile(service.tables, new_driver(service.tables))

    def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str | bytes]] = (),
        body: bytes | Repeated | None = None,
    ) -> Answer:
        """The answer, which is none of a fault, and JSON or nothing as every one is."""
        by = self._new if (method, path) == CREATE else self._registered
        sent = [*headers]
        if "authorization" not in {name.lower() for name, _ in sent}:
            sent += by.signed.items()
        content = None if body is None else bytes(body)
        answer = _answered(self._url, method, path, sent, content)
        assert answer.status < 500, f"{method} {path}\n{sent}\n{body!r}\n\n{answer}"
        hold_to_conventions(answer, method)
        return answer


def _answered(url: str, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
    with closing(Client(url)) as client:
        try:
            return client.send(method, path, headers, body)
        except (HTTPException, OSError) as error:
            raise AssertionError(f"no answer, but {error!r}") from error


@examples(60)
@given(where=TAKES_A_BODY, body=JSON_BODIES)
def test_no_json_is_a_fault(asking: Asking, where: tuple[str, str], body: bytes | Repeated) -> None:
    asking.send(*where, [("content-type", JSON)], body)


@examples(60)
@given(where=TAKES_A_BODY, body=FORM_BODIES)
def test_no_form_is_a_fault(asking: Asking, where: tuple[str, str], body: bytes | Repeated) -> None:
    asking.send(*where, [("content-type", FORM)], body)


@examples(60)
@given(where=TAKES_A_BODY, body=MULTIPART_BODIES)
def test_no_multipart_body_is_a_fault(
    asking: Asking, where: tuple[str, str], body: bytes | Repeated
) -> None:
    asking.send(*where, [("content-type", MULTIPART)], body)


@examples(60)
@given(
    where=TAKES_A_BODY,
    content_type=CONTENT_TYPES,
    body=JSON_BODIES | FORM_BODIES | MULTIPART_BODIES,
)
def test_no_content_type_is_a_fault(
    asking: Asking, where: tuple[str, str], content_type: str, body: bytes | Repeated
) -> None:
    asking.send(*where, [("content-type", content_type.encode("latin-1"))], body)


OF_THE_FRAME = {"host", "content-length", "transfer-encoding"}
"""These say how the message is read: HTTP itself refuses nonsense there."""
OURS = [
    *("accept", "authorization", "content-type", "cookie", "idempotency-key", "if-match"),
    *("if-none-match", "jwt-aud", "origin", "range", "x-request-id", "x-requested-with"),
    *("access-control-request-method", "x-forwarded-for", "forwarded", "via", "x-real-ip"),
    *("x-http-method-override", "expect", "connection", "upgrade", "te", "content-encoding"),
]
HEADER_NAMES = st.sampled_from(OURS) | st.text(
    string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=30
).filter(lambda name: name.lower() not in OF_THE_FRAME)
HEADER_VALUES = st.one_of(
    st.binary(max_size=60).map(lambda sent: bytes(byte for byte in sent if _is_legal(byte))),
    st.sampled_from([b"*", b'W/"x"', b'"', b",,,", b"Bearer", b"Bearer  ..", b"Bearer \xff.a.b"]),
    st.sampled_from([b"bytes=0-1", b"100-continue", b"websocket", b"h2c"]),
    st.integers(256, 5000).map(b"x".__mul__),
)


def _is_legal(byte: int) -> bool:
    """Visible, a space, a tab, or beyond ASCII (RFC 9110, 5.5)."""
    return byte == 9 or 32 <= byte != 127


@examples(100)
@given(
    method=METHODS,
    path=st.sampled_from([PROFILE_PATH, SIGN_UP[1], SIGN_IN[1], SIGN_OUT[1], "/api/v1/nothing"]),
    headers=st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=8),
    body=st.none() | st.just(compact({"profile": FIELDS}).encode()),
)
def test_no_header_is_a_fault(
    asking: Asking,
    method: str,
    path: str,
    headers: list[tuple[str, bytes]],
    body: bytes | None,
) -> None:
    asking.send(method, path, headers, body)


LONGEST_LINE = 8_000
"""HTTP itself refuses more than 16 KiB of path and headers together."""

PATHS = st.one_of(
    st.text(max_size=40).map(lambda text: quote(text.encode("utf-8", "surrogatepass"))),
    st.binary(max_size=20).map(quote),
    st.text("/.%25;:@&=+$,~-_!*'()", max_size=20).map(lambda text: text.replace("%", "%25")),
    st.sampled_from(["v1/users/profile", "v1//users/profile/", "v1/users/profile.json"]),
)
QUERIES = st.builds(_form, PAIRS, is_escaped=st.just(True)).map(bytes.decode) | st.binary(
    max_size=20
).map(quote)


@examples(80)
@given(method=METHODS, path=PATHS, query=st.none() | QUERIES)
def test_no_path_and_no_query_is_a_fault(
    asking: Asking, method: str, path: str, query: str | None
) -> None:
    target = f"/api/{path}" if query is None else f"/api/{path}?{query}"
    assume(len(target) < LONGEST_LINE)
    asking.send(method, target)


SEGMENTS = st.one_of(
    STRUCTURED.map(encoded),
    st.binary(max_size=20).map(encoded),
    st.just("eyJhbGciOiJIUzI1NiJ9"),
    st.text(string.ascii_letters + "+/=-_", max_size=10),
)
CLAIMS = st.dictionaries(
    st.sampled_from(["sub", "scp", "aud", "iat", "exp", "nbf", "jti"]),
    VALUES | st.sampled_from(["user", "1", "1e999", "9" * 30, "0x1"]),
    max_size=3,
)


@examples(80)
@given(
    where=st.sampled_from([("GET", PROFILE_PATH), SIGN_OUT]), token=st.lists(SEGMENTS, max_size=4)
)
def test_no_token_is_a_fault(asking: Asking, where: tuple[str, str], token: list[str]) -> None:
    sent = f"Bearer {'.'.join(token)}"
    assume(len(sent) < LONGEST_LINE)
    asking.send(*where, [("authorization", sent)])


@examples(100)
@given(where=st.sampled_from([("GET", PROFILE_PATH), SIGN_OUT]), odd=CLAIMS)
@example(where=("GET", PROFILE_PATH), odd={"exp": 10**400})
@example(where=("GET", PROFILE_PATH), odd={"nbf": -(10**400)})
@example(where=("GET", PROFILE_PATH), odd={"jti": "a\0b"})
@example(where=SIGN_OUT, odd={"jti": "a\0b"})
@example(where=SIGN_OUT, odd={"jti": token_hex(3000)})
def test_no_token_that_we_signed_is_a_fault(
    asking: Asking, where: tuple[str, str], odd: dict[str, Any]
) -> None:
    """The old service and its operator's tools sign with the same secret: who knows what."""
    token = forge(_written({**claims(1), **odd}, ascii_only=True))
    assume(len(token) < LONGEST_LINE)
    asking.send(*where, [("authorization", f"Bearer {token}")])


# Second: what is told is told back.

SPACES = {chr(n) for n in range(0x110000) if chr(n).isspace()} - set("\x1c\x1d\x1e\x1f")
"""Unicode's White_Space."""

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.text(CHARACTERS, min_size=1, max_size=30)


def texts(most: int) -> st.SearchStrategy[str]:
    """Any text of at most `most` characters, of which some are that long."""
    lengths = st.sampled_from([most, most - 1]) | st.integers(1, most)
    long = st.builds(lambda word, length: (word * length)[:length], WORDS, lengths)
    return WORDS | long


REQUIRED_TEXT = texts(255).filter(lambda text: not set(text) <= SPACES)
DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31))
PROFILES = st.fixed_dictionaries(
    {
        "first_name": REQUIRED_TEXT,
        "last_name": REQUIRED_TEXT,
        "postcode": REQUIRED_TEXT,
        "birth_date": DAYS,
        "start_date": DAYS,
        "contact_phone_number": REQUIRED_TEXT,
    },
    optional={
        "bio": st.none() | st.just("") | texts(20_000),
        "english_level": st.none() | st.sampled_from(["basic", "native"]),
    },
)
WAYS_TO_WRITE_A_DAY = st.sampled_from(
    ["{0:%Y-%m-%d}", "{0:%d/%m/%Y}", "{0:%Y-%m-%d}T23:59:59-11:00", "{0:%Y-%m-%d} 00:00:01"]
)


def _stored(tables: Tables, driver: Driver) -> Row:
    (row,) = tables.rows("profiles", user_id=driver.id)
    return row


def _on_the_wire(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


@examples(60)
@given(fields=PROFILES, day=WAYS_TO_WRITE_A_DAY, ascii_only=st.booleans())
def test_what_a_driver_tells_is_stored_and_shown_as_it_was_told(
    client: Client, tables: Tables, fields: dict[str, Any], day: str, *, ascii_only: bool
) -> None:
    driver = new_driver(tables)
    sent = {k: day.format(v) if isinstance(v, date) else v for k, v in fields.items()}
    headers = {**driver.signed, "content-type": JSON}
    body = _written({"profile": sent}, ascii_only=ascii_only)
    created = client.send("POST", PROFILE_PATH, headers, body)

    assert created.status == 200, created
    row = _stored(tables, driver)
    assert {name: row[name] for name in fields} == fields
    expected = {name: _on_the_wire(value) for name, value in fields.items()}
    assert created.json == shown(row["id"], driver.email, **expected)
    assert driver.send(client, "GET").body == created.body


@examples(40)
@given(before=PROFILES, change=PROFILES, names=st.sets(st.sampled_from([*FIELDS, "bio"])))
def test_a_change_is_stored_and_shown_and_the_rest_stays(
    client: Client, tables: Tables, before: Row, change: Row, names: set[str]
) -> None:
    driver = with_profile(tables, new_driver(tables), **before)
    changed = {name: value for name, value in change.items() if name in names} or {
        "postcode": change["postcode"]
    }
    sent = {name: _on_the_wire(value) for name, value in changed.items()}
    answer = driver.send(client, "PATCH", sent)

    assert answer.status == 200, answer
    after = {**before, **changed}
    row = _stored(tables, driver)
    assert {name: row[name] for name in after} == after
    assert (
        answer.json["profile"] | {n: _on_the_wire(v) for n, v in after.items()}
        == (answer.json["profile"])
    )
    assert driver.send(client, "GET").body == answer.body


@examples(25)
@given(local=WORDS, phone_number=st.none() | texts(255))
def test_an_account_is_told_back(
    client: Client, tables: Tables, driver: Driver, local: str, phone_number: str | None
) -> None:
    """Addresses are compared, and kept, without case and outer spaces."""
    letters = "".join(letter for letter in local if letter not in " \t\n\v\f\r@")
    address = f"{len(tables.rows('users'))}.{letters}.{driver.email}"
    user = {"email": f"\t{address} ", "password": "12345678", "phone_number": phone_number}
    body = _written({"user": user}, ascii_only=True)
    answer = client.send("POST", SIGN_UP[1], {"content-type": JSON}, body)

    assert answer.status == 201, answer
    (row,) = tables.rows("users", id=answer.json["id"])
    assert (row["email"], row["phone_number"]) == (address.lower(), phone_number)
    told = (answer.json["email"], answer.json["phone_number"])
    assert told == (address.lower(), phone_number)


# Third: however the same is sent, the same is answered.

SENT_TEXT = st.one_of(
    WORDS,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", " ", "a" * 255, "a" * 256, "2000-03-20", "20/03/2000", "native", "1.0"]),
    st.sampled_from(["&=", "%41", "a+b", "null", "\r\n", f"--{BOUNDARY}", '"', "\\", "\0"]),
)
GOOD_FIELDS = st.fixed_dictionaries(
    dict.fromkeys(["first_name", "last_name", "postcode", "contact_phone_number"], REQUIRED_TEXT)
    | {"birth_date": DAYS.map(str), "start_date": DAYS.map("{:%d/%m/%Y}".format)},
    optional={"bio": SENT_TEXT, "english_level": st.sampled_from(["", "native"])},
)
ANY_FIELDS = st.dictionaries(
    st.sampled_from([*FIELDS, "bio", "english_level", "unknown"]), SENT_TEXT, max_size=9
)


def _encodings(fields: dict[str, str]) -> dict[str, tuple[str, str, bytes]]:
    """Name of the encoding to query, content type and body."""
    flat = {f"profile[{name}]": value for name, value in fields.items()}
    return {
        "JSON": ("", JSON, compact({"profile": fields}).encode()),
        "a form": ("", FORM, urlencode(flat).encode()),
        "multipart": ("", MULTIPART, multipart(Part(*pair) for pair in flat.items())),
        "the query string": (f"?{urlencode(flat)}", "", b""),
    }


@examples(35)
@given(method=st.sampled_from(["POST", "PATCH"]), fields=GOOD_FIELDS | ANY_FIELDS)
def test_json_form_multipart_and_query_are_answered_alike(
    client: Client, tables: Tables, method: str, fields: dict[str, str]
) -> None:
    answers = {}
    for encoding, (query, content_type, body) in _encodings(fields).items():
        driver = new_driver(tables)
        if method == "PATCH":
            driver = with_profile(tables, driver)
        headers = {**driver.signed, "content-type": content_type}
        answer = client.send(method, PROFILE_PATH + query, headers, body)
        answers[encoding] = (answer.status, _without_identity(answer))

    assert all(answer == answers["JSON"] for answer in answers.values()), answers


def _without_identity(answer: Answer) -> object:
    """What is answered, but for who is answered."""
    if answer.status != 200:
        return answer.json
    return {k: v for k, v in answer.json["profile"].items() if k not in {"id", "email"}}


# Fourth: a profile with all that can hang on it is rendered as this plain function does.

SLOTS = ["child_safeguard_training", "cpc", "cv", "dbs", "enchanced_dbs", "medical_check", "tacho"]
LISTS = ["documents", "driving_license"]

TEXT = st.text(CHARACTERS, max_size=30)
MAYBE_TEXT = st.none() | TEXT
MAYBE_DAY = st.none() | DAYS
MOMENTS = st.builds(
    lambda day, time: datetime.combine(day, time, UTC), DAYS, st.times() | st.just(time(23, 59, 59))
)
SMALL = st.integers(-(2**31), 2**31 - 1)

COLLECTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "activities": {
        "description": MAYBE_TEXT,
        "ended_on": MAYBE_DAY,
        "kind": TEXT,
        "started_on": DAYS,
    },
    "experiences": {
        "company": TEXT,
        "description": MAYBE_TEXT,
        "ended_on": MAYBE_DAY,
        "job_title": TEXT,
        "started_on": DAYS,
        "vehicle_types": st.lists(TEXT, max_size=3),
    },
    "interviews": {
        "interviewer": TEXT,
        "location": MAYBE_TEXT,
        "outcome": MAYBE_TEXT,
        "scheduled_at": MOMENTS,
        "status": TEXT,
    },
    "licenses": {
        "category": TEXT,
        "expires_on": MAYBE_DAY,
        "issued_on": MAYBE_DAY,
        "number": TEXT,
        "penalty_points": SMALL,
    },
    "reviews": {"body": TEXT, "created_at": MOMENTS, "rating": SMALL, "reviewer": TEXT},
}
"""Their columns, in the order in which the wire shows them."""
FILES = st.fixed_dictionaries(
    {
        "slot": st.sampled_from([*SLOTS, *LISTS, *LISTS]),
        "position": st.integers(0, 3),
        "byte_size": st.integers(0, 2**63 - 1),
        "filename": TEXT,
    }
)
HANGING = st.fixed_dictionaries(
    {
        name: st.lists(st.fixed_dictionaries(columns), max_size=3)
        for name, columns in COLLECTIONS.items()
    }
    | {"files": st.lists(FILES, max_size=6)}
)


@examples(30)
@given(fields=PROFILES, phone_number=MAYBE_TEXT, hanging=HANGING)
def test_a_profile_is_rendered_with_all_that_hangs_on_it(
    client: Client,
    tables: Tables,
    fields: dict[str, Any],
    phone_number: str | None,
    hanging: dict[str, list[Row]],
) -> None:
    driver = with_profile(tables, new_driver(tables, phone_number=phone_number), **fields)
    somebody_else = with_profile(tables, new_driver(tables))
    _hang(tables, somebody_else, {name: rows[:1] for name, rows in hanging.items()})
    hung = _hang(tables, driver, hanging)
    rendered = _rendered(driver, phone_number, {"bio": None, "english_level": None, **fields}, hung)

    answer = driver.send(client, "GET")

    assert answer.status == 200, answer
    assert answer.text == compact({"profile": rendered})
    hold_to_conventions(answer, "GET")


def _hang(tables: Tables, driver: Driver, hanging: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows, written directly, with their ids."""
    hung = {
        name: [{"id": tables.add(name, profile_id=driver.profile_id, **row), **row} for row in rows]
        for name, rows in hanging.items()
        if name != "files"
    }
    return {**hung, "files": [_attached(tables, driver, file) for file in hanging["files"]]}


def _attached(tables: Tables, driver: Driver, file: Row) -> Row:
    now = datetime.now(UTC)
    blob_id = tables.add(
        "blobs",
        key=base64.b32encode(now.isoformat().encode()).decode(),
        content_type="application/pdf",
        checksum="",
        created_at=now,
        byte_size=file["byte_size"],
        filename=file["filename"],
    )
    place = {"profile_id": driver.profile_id, "slot": file["slot"], "position": file["position"]}
    return {**file, "id": tables.add("attachments", blob_id=blob_id, created_at=now, **place)}


def _rendered(
    driver: Driver, phone_number: str | None, fields: Row, hung: dict[str, list[Row]]
) -> dict[str, Any]:
    shown_fields = {
        **{name: _json_of(value) for name, value in fields.items()},
        **{name: [_entry(row, name) for row in hung[name]] for name in COLLECTIONS},
        **{name: ([*_files(hung["files"], name), NOTHING_ATTACHED])[0] for name in SLOTS},
        **{name: _files(hung["files"], name) for name in LISTS},
        "compliance_documents": [
            *("dbs", "tacho", "enchanced_dbs", "cpc", "medical_check", "child_safeguard_training")
        ],
        "email": driver.email,
        "phone_number": phone_number,
    }
    return {"id": driver.profile_id, **dict(sorted(shown_fields.items()))}


def _entry(row: Row, name: str) -> Row:
    return {"id": row["id"], **{column: _json_of(row[column]) for column in COLLECTIONS[name]}}


def _files(files: list[Row], slot: str) -> list[Row]:
    here = sorted(
        (f["position"], f["id"], f["byte_size"], f["filename"]) for f in files if f["slot"] == slot
    )
    return [
        {"id": id_, "signed_id": None, "byte_size": size, "filename": name, "url": None}
        for _, id_, size, name in here
    ]


def _json_of(value: object) -> object:
    """A moment is UTC, cut to the millisecond."""
    if isinstance(value, datetime):
        return f"{value:%H:%M:%S}".join(
            [f"{value.date().isoformat()}T", f".{value.microsecond // 1000:03}Z"]
        )
    return _on_the_wire(value)
