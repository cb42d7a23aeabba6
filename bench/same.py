"""Whether service and floor answer alike, to the byte: only then is a ratio worth printing."""

from collections.abc import Iterable

from bench.seed import FULL, mint
from bench.servers import Answer, Client, Server

OWN_HEADERS = {"x-request-id", "x-runtime", "date", "server"}
"""What differs from answer to answer."""

DOCUMENTED = (
    b'{"profile":{"first_name":"Virgie","last_name":"Luettgen","postcode":"123",'
    b'"start_date":"2020-03-20T10:02:34.340Z","birth_date":"2000-03-20T10:02:34.340Z",'
    b'"contact_phone_number":"07856 207372"}}'
)
BLANK = DOCUMENTED.replace(b"Virgie", b"")
NO_DATE = DOCUMENTED.replace(b"2000-03-20T", b"2000-02-30T")


class NotSame(Exception):
    """Service and floor answered differently; the message shows both."""


def require_same(service: Server, floor: Server, new_driver: int) -> None:
    """Ask both the same. Raises `NotSame`. Afterwards the driver `new_driver` has a profile."""
    with Client(service) as one, Client(floor) as other:
        for method, token, body in _refused(new_driver):
            answers = [client.ask(method, token, body) for client in (one, other)]
            _require(answers, [answer.status for answer in answers], f"{method} {body!r}")
        headers = _headers(new_driver)
        _require_same_answer(one, other, "POST", headers, DOCUMENTED)
        _require_same_answer(one, other, "GET", headers)
        answer = _require_same_answer(one, other, "GET", _headers(FULL))
        known = _headers(FULL) | {"If-None-Match": dict(answer.headers)["etag"]}
        _require_same_answer(one, other, "GET", known)


def known_etags(service: Server, floor: Server, tokens: Iterable[str]) -> list[str]:
    """The ETag of each driver's profile, on which both agree. Raises `NotSame`."""
    with Client(service) as one, Client(floor) as other:
        answers = [_require_same_answer(one, other, "GET", bearer(token)) for token in tokens]
    return [dict(answer.headers)["etag"] for answer in answers]


def _refused(new_driver: int) -> Iterable[tuple[str, dict[str, str], bytes | None]]:
    """What neither may let through."""
    yield "GET", {}, None
    yield "GET", {"Authorization": "Bearer nonsense"}, None
    yield "GET", {"Authorization": _headers(FULL)["Authorization"] + "x"}, None
    yield "GET", _headers(FULL) | {"JWT-AUD": "other"}, None
    yield "GET", _headers(new_driver), None
    yield "POST", _headers(FULL), DOCUMENTED
    yield "POST", _headers(new_driver), BLANK
    yield "POST", _headers(new_driver), NO_DATE


def _require_same_answer(
    one: Client,
    other: Client,
    method: str,
    headers: dict[str, str],
    body: bytes | None = None,
) -> Answer:
    answers = [client.ask(method, headers, body) for client in (one, other)]
    for part in (lambda a: a.status, _lasting_headers, lambda a: a.body):
        _require(answers, [part(answer) for answer in answers], f"{method} {body!r}")
    return answers[0]


def _require(answers: list[Answer], parts: list[object], request: str) -> None:
    if parts[0] != parts[1]:
        raise NotSame(f"to {request} the service says\n{answers[0]}\nand the floor\n{answers[1]}")


def _lasting_headers(answer: Answer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers if name not in OWN_HEADERS]


def _headers(driver: int) -> dict[str, str]:
    return bearer(mint(driver, 1)[0])


def bearer(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }
