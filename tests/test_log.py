"""The log: a line for each request, and nothing that anybody sent or was given."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.conftest import Running
from tests.support.blobs import attach, followed, pdf, upload_blob
from tests.support.client import Answer, Client, Headers
from tests.support.drivers import (
    FIELDS,
    PASSWORD,
    PROFILE_PATH,
    Driver,
    compact,
    new_driver,
    with_profile,
)
from tests.support.mail import Box
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.resumable import begun, create, metadata
from tests.support.waiting import wait_until

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
USERS = "/api/v1/users"
SIGN_IN = "/api/v1/users/sign_in"
SIGN_OUT = "/api/v1/users/sign_out"

DRIVERS = 6
"""At once."""

MARK = "zq7"
"""What is sent says this somewhere, where it may be any text."""

PLAIN = ["1987-06-05", "05/06/1987", "2011-12-13", "07700 900461", "correct-horse-zq7"]
"""What is sent and may not be any text."""

MARKED = {
    "first_name": f"First {MARK}",
    "last_name": f"Last {MARK}",
    "postcode": f"{MARK} 1AA",
    "birth_date": "1987-06-05",
    "start_date": "2011-12-13",
    "contact_phone_number": "07700 900461",
    "bio": f"Bio {MARK} \u2603",
    "english_level": "native",
}
REFUSED = {
    **dict.fromkeys(FIELDS, True),
    "postcode": MARK * 100,
    "birth_date": f"05/06/1987 {MARK}",
    "start_date": f"31/02/{MARK}",
    "english_level": f"level {MARK}",
    "bio": f"bio {MARK} \0",
}
HEADERS = {
    "user-agent": f"agent {MARK}",
    "cookie": f"_session={MARK}",
    "referer": f"https://{MARK}.example.com/?{MARK}",
    "origin": f"https://{MARK}.example.com",
    "accept": f"text/{MARK}",
    "accept-language": MARK,
    "if-none-match": f'W/"{MARK}"',
    "x-forwarded-for": MARK,
    f"x-{MARK}": MARK,
}


def _form(fields: Mapping[str, Any], key: str = "profile") -> dict[str, str]:
    return {f"{key}[{name}]": str(value) for name, value in fields.items()}


def _credentials(email: str, password: str = PASSWORD) -> str:
    user = {"email": email, "password": password, "phone_number": f"07700 900461 {MARK}"}
    return compact({"user": user})


NAMED = metadata(filename=f"cv {MARK}.pdf", filetype="application/pdf")
FILE = multipart(
    [
        *(Part(name, value) for name, value in _form(MARKED).items()),
        Part("profile[cv]", f"file {MARK}", f"cv {MARK}.pdf", f"text/{MARK}"),
        Part(f"profile[{MARK}]", MARK, MARK),
    ]
)

Request = tuple[str, str, dict[str, str], str | bytes | None, int]
"""Method, path, headers, body and the status it is answered with."""

CHOSEN = f"chosen later {MARK}"
NEW = f"new.{{driver}}.{MARK}@example.com"
"""Of who signs up, one for each driver."""

_BY_A_DRIVER: list[Request] = [
    ("POST", PROFILE_PATH, JSON, compact({"profile": REFUSED}), 422),
    ("POST", PROFILE_PATH, JSON, f'{{"profile":{{"{MARK}', 400),
    ("POST", PROFILE_PATH, JSON, compact({MARK: MARK}), 400),
    ("POST", PROFILE_PATH, JSON, json.dumps({"profile": MARK * 400_000}), 413),
    ("POST", PROFILE_PATH, FORM, urlencode(_form(REFUSED)), 422),
    ("POST", PROFILE_PATH, FORM, f"profile[{MARK}]=%{MARK}", 400),
    ("POST", PROFILE_PATH, MULTIPART, FILE[:-40], 400),
    ("POST", f"{PROFILE_PATH}?{urlencode(_form(REFUSED))}", {}, None, 422),
    ("POST", f"{PROFILE_PATH}?{MARK}=%{MARK}", {}, None, 400),
    (
        "POST",
        PROFILE_PATH,
        {**JSON, "idempotency-key": MARK},
        compact({"profile": MARKED}),
        200,
    ),
    ("POST", PROFILE_PATH, {**JSON, "idempotency-key": MARK}, compact({"profile": FIELDS}), 422),
    ("POST", PROFILE_PATH, {**JSON, "idempotency-key": MARK * 100}, "{}", 422),
    ("POST", PROFILE_PATH, MULTIPART, FILE, 422),
    ("GET", f"{PROFILE_PATH}?{MARK}={MARK}", {}, None, 200),
    ("PATCH", PROFILE_PATH, FORM, urlencode(_form(MARKED)), 200),
    ("PATCH", PROFILE_PATH, MULTIPART, FILE, 422),
    ("PUT", PROFILE_PATH, JSON, compact({"profile": REFUSED}), 422),
    ("GET", f"/api/v1/{MARK}", {}, None, 404),
    ("GET", f"/{MARK}?{MARK}", {}, None, 404),
    (f"BREW{MARK}".upper(), PROFILE_PATH, {}, None, 405),
    ("GET", PROFILE_PATH, {"authorization": f"Bearer {MARK}.{MARK}.{MARK}"}, None, 401),
    ("GET", PROFILE_PATH, {"authorization": f"Basic {MARK}"}, None, 401),
    ("GET", PROFILE_PATH, {"jwt-aud": MARK}, None, 401),
    ("GET", "/metrics", {}, None, 404),
    ("POST", USERS, JSON, _credentials(f"not an address {MARK}"), 422),
    ("POST", USERS, JSON, _credentials(NEW, f"{MARK}"), 422),
    ("POST", USERS, JSON, _credentials(NEW, PLAIN[-1]), 201),
    ("POST", USERS, JSON, _credentials(NEW, PLAIN[-1]), 422),
    ("POST", SIGN_IN, JSON, _credentials(NEW, PLAIN[-1]), 201),
    ("POST", SIGN_IN, {**JSON, "jwt-aud": MARK}, _credentials(NEW), 401),
    ("POST", SIGN_IN, JSON, _credentials(f"nobody{MARK}@example.com"), 401),
    ("GET", f"/api/v1/files/{MARK}", {}, None, 404),
    ("PUT", f"/uploads/{MARK}", {}, MARK, 404),
    ("POST", "/api/v1/direct_uploads", JSON, compact({"blob": {"filename": MARK}}), 422),
    ("DELETE", f"/api/v1/users/sessions/{MARK}", {}, None, 404),
    ("PATCH", "/api/v1/users/password", JSON, compact({"user": {"password": MARK}}), 422),
    ("GET", f"/account/password?reset_password_token={MARK}", {}, None, 404),
    ("POST", "/account/confirmation", FORM, f"user[confirmation_token]={MARK}", 404),
    ("POST", "/account/export", FORM, f"user[token]={MARK}&user[email]={MARK}", 404),
    ("DELETE", PROFILE_PATH, {}, None, 204),
    ("DELETE", SIGN_OUT, {}, None, 204),
    ("GET", PROFILE_PATH, {}, None, 401),
]


class Watched(Client):
    """A client all of whose requests say the mark; it knows what they said, and were told."""

    def __init__(self, url: str, name: str):
        super().__init__(url)
        self._name = name
        self.sent: dict[str, tuple[str, int]] = {}
        self.secrets: list[str] = []

    def send(
        self, method: str, path: str, headers: Headers = (), body: bytes | str | None = None
    ) -> Answer:
        request_id = f"watched-{self._name}-{len(self.sent)}"
        said = {**HEADERS, **dict(headers), "x-request-id": request_id}
        answer = super().send(method, path, said, body)
        self.sent[request_id] = (method, answer.status)
        if token := answer.header("authorization"):
            self.secrets.append(token.removeprefix("Bearer "))
        return answer


def _register(client: Watched, driver: Driver) -> None:
    """Everything a driver may get wrong, and right."""
    for method, path, headers, body, status in _BY_A_DRIVER:
        said = body.replace("{driver}", str(driver.id)) if isinstance(body, str) else body
        answer = client.send(method, path, {**driver.signed, **headers}, said)
        assert answer.status == status, f"{method} {path} {headers}\n{answer}"


def _hand_in(client: Watched, driver: Driver, box: Box) -> None:
    """Files by each way, then everything that is done by mail, and the account's end."""
    content = pdf(f"file {MARK}")
    blob = upload_blob(client, driver, content, filename=f"dbs {MARK}.pdf")
    begun_with = create(client, driver, len(content), content[:9], named=NAMED, key=f"{MARK} tus")
    upload = begun(driver, begun_with)
    signed_id = upload.append(client, 9, content[9:]).header("upload-signed-id")
    assert signed_id is not None
    profile = attach(client, driver, dbs=blob.signed_id, cv=signed_id)
    for slot in ("dbs", "cv"):
        assert followed(profile[slot]["url"], {"user-agent": MARK}).body == content
        client.secrets += [profile[slot]["signed_id"], _last(profile[slot]["url"])]
    client.secrets += [_last(blob.url), blob.said["key"], upload.name]

    address = compact({"user": {"email": driver.email}})
    for path, body in (("password", address), ("confirmation", address), ("export", None)):
        answer = client.send("POST", f"{USERS}/{path}", {**driver.signed, **JSON}, body)
        assert answer.status == 200, answer
    mails = {urlsplit(mail.link).path: mail for mail in box.wait_for(driver.email, 3)}
    client.secrets += [mail.token for mail in mails.values()]
    chosen = {"reset_password_token": mails["/account/password"].token, "password": CHOSEN}
    again = {"password_confirmation": CHOSEN}
    reset = client.send("POST", "/account/password", FORM, urlencode(_form(chosen | again, "user")))
    assert reset.status == 200, reset

    signed_in = client.send("POST", SIGN_IN, JSON, _credentials(driver.email, CHOSEN))
    signed = {"authorization": signed_in.header("authorization") or ""}
    changes = {"current_password": CHOSEN, "email": f"other.{driver.email}"}
    changed = client.send("PATCH", USERS, {**signed, **JSON}, compact({"user": changes}))
    assert changed.status == 204, changed
    closing = compact({"user": {"current_password": CHOSEN}})
    closed = client.send("DELETE", USERS, {**signed, **JSON}, closing)
    assert closed.status == 204, closed


def _last(url: str) -> str:
    """The part of an address that only who was given it knows."""
    return urlsplit(url).path.rpartition("/")[2]


def test_the_log_has_a_line_for_each_request_and_nothing_that_was_sent(
    fresh_service: Running,
) -> None:
    """Of several drivers at once, who use everything there is."""
    tables, process = fresh_service.tables, fresh_service.process
    box = Box(fresh_service.place.folder)

    def use(number: int) -> Watched:
        driver = new_driver(tables, email=f"driver.{number}.{MARK}@example.com")
        client = Watched(fresh_service.url, str(number))
        client.secrets += [*driver.token.split("."), driver.email]
        if number % 2:
            _register(client, driver)
        else:
            _hand_in(client, with_profile(tables, driver), box)
        client.close()
        return client

    with ThreadPoolExecutor(DRIVERS) as threads:
        watched = list(threads.map(use, range(DRIVERS)))

    sent = {name: said for each in watched for name, said in each.sent.items()}
    wait_until(lambda: all(f'"{name}"' in process.log for name in sent), "a line for each request")
    said = process.log + process.output
    assert MARK not in said.lower(), _lines_with(MARK, said)
    for secret in [*PLAIN, *(secret for each in watched for secret in each.secrets)]:
        assert secret not in said, _lines_with(secret, said)
    _hold_lines(process.log, sent)


def _lines_with(secret: str, said: str) -> str:
    lines = (line for line in said.splitlines() if secret.lower() in line.lower())
    return "\n".join([f"{secret} is in", *lines])


def _hold_lines(log: str, sent: Mapping[str, tuple[str, int]]) -> None:
    by_id: dict[str, list[dict[str, Any]]] = {}
    for line in log.splitlines():
        told = json.loads(line)
        assert isinstance(told["event"], str), line
        assert told["timestamp"].endswith("Z"), line
        if told["event"] == "request":
            by_id.setdefault(told["request_id"], []).append(told)
    for request_id, (method, status) in sent.items():
        (told,) = by_id[request_id]
        assert told["status"] == status, told
        assert told["method"] == ("other" if method.startswith("BREW") else method), told
        assert told["route"] == "unmatched" or told["route"].startswith("/"), told
        assert told["ms"] >= 0, told


def test_a_request_that_brings_no_id_is_logged_under_the_one_it_is_answered_with(
    client: Client, service: Running, registered: Driver
) -> None:
    answered = [registered.send(client, "GET").header("x-request-id") for _ in range(3)]
    wait_until(lambda: all(f'"{name}"' in service.process.log for name in answered))


def test_a_fault_is_logged_without_its_words(
    fresh_service: Running, connect: Callable[[str], Client]
) -> None:
    """An exception may quote what was sent: its type and place are enough to find it."""
    tables = fresh_service.tables
    driver = with_profile(tables, new_driver(tables))
    tables.add(
        "experiences",
        profile_id=driver.profile_id,
        company=MARK,
        job_title=MARK,
        started_on=date(2020, 3, 20),
        vehicle_types={MARK: "no list, as only a hand in the database could write it"},
    )
    headers = {"x-request-id": "the-fault"}
    answer = driver.send(connect(fresh_service.url), "GET", headers=headers)
    assert (answer.status, answer.json) == (500, {"status": 500, "error": "Internal Server Error"})

    process = fresh_service.process
    wait_until(lambda: '"fault"' in process.log)
    lines = [json.loads(line) for line in process.log.splitlines()]
    (fault,) = [line for line in lines if line["event"] == "fault"]
    assert fault["request_id"] == "the-fault"
    assert fault["error"].endswith("Error"), fault
    assert "profiles/representation.py" in fault["raised"][-1], fault
    assert MARK not in process.log
    assert "Expected" not in process.log, "the words of the exception are logged"
