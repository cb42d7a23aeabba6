"""A row of a scenario table: a request, what is answered, and what becomes of the database.

Whatever a row says beside it, every answer is held to the conventions of the wire: the documented
headers in their order, a content length that is true, an entity tag on success only.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from tests.support.client import Answer, Client
from tests.support.drivers import (
    PROFILE_PATH,
    Driver,
    compact,
    new_driver,
    shown,
    with_profile,
)
from tests.support.tables import Tables
from tests.support.waiting import wait_until

T = TypeVar("T")

WATCHED = (
    "users",
    "closed_accounts",
    "sessions",
    "revoked_tokens",
    "profiles",
    "profile_versions",
    "idempotency_keys",
    "blobs",
    "uploads",
    "upload_parts",
    "attachments",
    "submissions",
    "file_views",
)
"""The tables whose rows are counted before and after."""

SECURITY = [
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "0"),
    ("x-content-type-options", "nosniff"),
    ("x-permitted-cross-domain-policies", "none"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

BODILESS = {204, 304}

UNSAID: Any = object()


class Who(Enum):
    """Who asks."""

    NOBODY = auto()
    DRIVER = auto()
    REGISTERED = auto()
    """A driver who has the documented profile."""


@dataclass(frozen=True)
class Stage:
    """What a scenario finds. There is a driver even where nobody is signed in."""

    tables: Tables
    driver: Driver
    client: Client | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    """What a row remembers of setting the stage."""

    @property
    def profile(self) -> dict[str, Any] | None:
        """The driver's profile as it is stored now."""
        rows = self.tables.rows("profiles", user_id=self.driver.id)
        return rows[0] if rows else None

    def shown(self, **fields: Any) -> dict[str, Any]:
        """The documented profile, as this driver is shown it, with `fields`."""
        profile = self.profile
        assert profile is not None, f"driver {self.driver.id} has no profile"
        return shown(profile["id"], self.driver.email, **fields)

    @property
    def etag(self) -> str:
        """The entity tag of the documented profile."""
        return etag_of(compact(self.shown()).encode())


Given: TypeAlias = T | Callable[[Stage], T]
"""A value, or how to find it on the stage."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Sends `json`, `form` or `body`, whichever is given, and expects the rest."""

    name: str
    who: Who = Who.DRIVER
    signed: bool = True
    """Whether the driver's token is sent, where `headers` send none."""
    before: Callable[[Stage], object] | None = None

    method: str = "POST"
    path: Given[str] = PROFILE_PATH
    headers: Given[Mapping[str, str | bytes] | list[tuple[str, str | bytes]]] = field(
        default_factory=dict
    )
    json: Given[object] = UNSAID
    form: Given[Mapping[str, str] | list[tuple[str, str]]] = UNSAID
    body: Given[str | bytes | None] = None

    status: int = 200
    answer: Given[object] = UNSAID
    """The exact JSON, its keys in order. What is wrong may stand after it, under `detail`."""
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    answer_headers: Given[Mapping[str, Any]] = field(default_factory=dict)
    """A text, a pattern, a set of comma-separated words that are there, or None for no header."""

    changes: Mapping[str, int] = field(default_factory=dict)
    """By how many rows each table grew; what is not named did not grow."""
    stored: Mapping[str, object] | None = None
    """Values of the driver's profile afterwards; otherwise only what `changes` says has changed."""
    after: Callable[[Stage, Answer], object] | None = None
    """What else must hold: asserts."""

    def __str__(self) -> str:
        return self.name


def play(scenario: Scenario, client: Client, tables: Tables) -> None:
    """Set the stage, send the request and hold the answer to what the scenario says."""
    stage = _staged(scenario, tables, client)
    request = _request(scenario, stage)
    profile, counts = stage.profile, tables.count(WATCHED)
    answer = client.send(*request)

    assert answer.status == scenario.status, answer
    hold_to_conventions(answer, scenario.method)
    _hold_body(scenario, stage, answer)
    for name, expected in _found(scenario.answer_headers, stage).items():
        hold_header(answer, name, expected)
    _hold_database(scenario, stage, profile, counts)
    if scenario.after is not None:
        scenario.after(stage, answer)


def hold_to_conventions(answer: Answer, method: str) -> None:
    """What holds for every response of the API."""
    assert answer.headers[: len(SECURITY)] == SECURITY, answer
    for name, _ in SECURITY:
        assert answer.names.count(name) == 1, f"{name} is not there once:\n{answer}"
    assert re.fullmatch(r"\d+\.\d{6}", answer.header("x-runtime") or ""), answer
    assert re.fullmatch(r"[A-Za-z0-9_@-]{1,255}", answer.header("x-request-id") or ""), answer
    assert answer.header("vary") == "Accept, Origin", answer
    _hold_length(answer, method)
    _hold_cache_headers(answer, method)
    order = ["content-type", "vary", "etag", "cache-control", "x-request-id", "x-runtime"]
    order.append("content-length")
    sent = [name for name in answer.names if name in order]
    assert sent == [name for name in order if name in sent], f"another order:\n{answer}"


def hold_header(answer: Answer, name: str, expected: object) -> None:
    value = answer.header(name)
    if expected is None:
        assert value is None, f"{name} should not be there:\n{answer}"
        return
    assert value is not None, f"{name} is missing:\n{answer}"
    if isinstance(expected, re.Pattern):
        assert expected.fullmatch(value), f"{name} is not like {expected.pattern}:\n{answer}"
    elif isinstance(expected, set | frozenset):
        words = {word.strip() for word in value.split(",")}
        assert expected <= words, f"{name} lacks {expected - words}:\n{answer}"
    else:
        assert value == expected, f"{name} is not {expected}:\n{answer}"


def etag_of(body: bytes) -> str:
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def error(status: int) -> dict[str, object]:
    """The body of errors that have no other shape."""
    reasons = {
        400: "Bad Request",
        404: "Not Found",
        405: "Method Not Allowed",
        409: "Conflict",
        410: "Gone",
        412: "Precondition Failed",
        413: "Content Too Large",
        415: "Unsupported Media Type",
        416: "Range Not Satisfiable",
        429: "Too Many Requests",
        431: "Request Header Fields Too Large",
        460: "Checksum Mismatch",
        503: "Service Unavailable",
    }
    return {"status": status, "error": reasons[status]}


def refused(**errors: str | list[str]) -> dict[str, object]:
    """The body of a 422."""
    listed = {name: [said] if isinstance(said, str) else said for name, said in errors.items()}
    return {"errors": listed}


def as_shown(**fields: Any) -> Callable[[Stage], dict[str, Any]]:
    """The answer is the documented profile with `fields`."""
    return lambda stage: stage.shown(**fields)


def _staged(scenario: Scenario, tables: Tables, client: Client) -> Stage:
    driver = new_driver(tables)
    if scenario.who is Who.REGISTERED:
        driver = with_profile(tables, driver)
    stage = Stage(tables, driver, client)
    if scenario.before is not None:
        scenario.before(stage)
    return stage


def _request(
    scenario: Scenario, stage: Stage
) -> tuple[str, str, list[tuple[str, str | bytes]], str | bytes | None]:
    """Method, path, headers and body; finding them may set more of the stage."""
    given = _found(scenario.headers, stage)
    headers = list(given.items() if isinstance(given, Mapping) else given)
    names = {name.lower() for name, _ in headers}
    is_signed = scenario.signed and scenario.who is not Who.NOBODY
    if is_signed and "authorization" not in names:
        headers += stage.driver.signed.items()
    body, content_type = _body(scenario, stage)
    if content_type and "content-type" not in names:
        headers.append(("content-type", content_type))
    return scenario.method, _found(scenario.path, stage), headers, body


def _body(scenario: Scenario, stage: Stage) -> tuple[str | bytes | None, str | None]:
    if scenario.json is not UNSAID:
        return json.dumps(_found(scenario.json, stage)), "application/json"
    if scenario.form is not UNSAID:
        return urlencode(_found(scenario.form, stage)), "application/x-www-form-urlencoded"
    return _found(scenario.body, stage), None


def _hold_body(scenario: Scenario, stage: Stage, answer: Answer) -> None:
    if scenario.answer is not UNSAID:
        expected = compact(_found(scenario.answer, stage))
        assert _without_detail(answer) == expected, f"expected {expected} in\n{answer}"
    for part in scenario.contains:
        assert part in answer.text, f"{part} is not in\n{answer}"
    for part in scenario.lacks:
        assert part not in answer.text, f"{part} is in\n{answer}"


def _without_detail(answer: Answer) -> str:
    if not 400 <= answer.status < 500:
        return answer.text
    body = answer.json
    if list(body)[-1] == "detail":
        assert isinstance(body["detail"], str), answer
        assert body.pop("detail"), answer
        assert answer.text.startswith(compact(body)[:-1]), f"detail is not compact:\n{answer}"
        return compact(body)
    return answer.text


def _hold_length(answer: Answer, method: str) -> None:
    length, content_type = answer.header("content-length"), answer.header("content-type")
    if answer.status in BODILESS:
        assert (length, content_type, answer.body) == (None, None, b""), answer
        return
    assert content_type == "application/json; charset=utf-8", answer
    if _is_of_tus(answer) and answer.status in {200, 201}:
        assert (length, answer.body) == ("0", b""), answer
        return
    assert answer.names.count("content-length") == 1, answer
    if method == "HEAD":
        assert answer.body == b"", answer
        assert int(length or 0) > 0, f"not the length of what GET answers:\n{answer}"
    else:
        assert length == str(len(answer.body)), answer
        assert answer.text == compact(answer.json), f"not compact UTF-8 JSON:\n{answer}"


def _hold_cache_headers(answer: Answer, method: str) -> None:
    etag, cache_control = answer.header("etag"), answer.header("cache-control")
    if _is_of_tus(answer):
        assert (etag, cache_control) == (None, "no-store"), answer
    elif answer.status in {200, 201, 304}:
        assert cache_control == "max-age=0, private, must-revalidate", answer
        assert re.fullmatch(r'W/"[0-9a-f]{32}"', etag or ""), answer
        if method != "HEAD" and answer.status != 304:
            assert etag == etag_of(answer.body), answer
    else:
        assert (etag, cache_control) == (None, "no-cache"), answer


def _is_of_tus(answer: Answer) -> bool:
    """Its headers say all: how an upload stands at one moment."""
    return answer.header("tus-resumable") is not None


def _hold_database(
    scenario: Scenario, stage: Stage, profile: dict[str, Any] | None, counts: dict[str, Any]
) -> None:
    def grown() -> dict[str, int]:
        now = stage.tables.count(WATCHED)
        return {name: now[name] - counts[name] for name in WATCHED if now[name] != counts[name]}

    wait_until(
        lambda: grown() == scenario.changes,
        lambda: f"rows grew by {grown()}; that it is {scenario.changes}",
    )
    if scenario.stored is not None:
        assert stage.profile is not None, "no profile is stored"
        stored = {name: stage.profile[name] for name in scenario.stored}
        assert stored == scenario.stored
    elif not scenario.changes:
        assert stage.profile == profile, "the profile was changed"


def _found(given: Any, stage: Stage) -> Any:
    return given(stage) if callable(given) else given
