"""The API document is valid, whole, and true; the page made from it loads nothing."""

import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from roadworthy import app
from roadworthy.settings import load_settings
from roadworthy.wire import Route
from tests.scenarios import SCENARIOS
from tests.support.client import Client
from tests.support.drivers import FIELDS, PROFILE_PATH, Driver
from tests.support.scenario import Stage
from tests.support.service import SECRET, run
from tests.support.tables import Tables

Document: TypeAlias = dict[str, Any]

DATA = Path(__file__).parent / "data"


@pytest.fixture
def document(client: Client) -> Document:
    answer = client.send("GET", "/openapi.json")
    assert answer.status == 200, answer
    found: Document = answer.json
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def validator(document: Document, schema: Document) -> Draft202012Validator:
    """For a schema of the document, which may refer to its components."""
    return Draft202012Validator({**schema, "components": document["components"]})


def test_it_is_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_of_the_api_is_described(
    document: Document, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    routes: list[Route] = []
    monkeypatch.setattr(app, "Application", lambda given, **_: routes.extend(given))
    settings = {"ROADWORTHY_DATA_DIR": str(tmp_path), "ROADWORTHY_SECRET_KEY": SECRET}
    app.create_app(load_settings(settings))

    served = {(route.method, route.path) for route in routes if route.path.startswith("/api")}
    served |= {("HEAD", path) for method, path in served if method == "GET"}
    described = {(method, path) for method, path, _ in operations(document) if path != "/up"}
    assert ("POST", PROFILE_PATH) in served
    assert described == served


def test_the_methods_of_a_path_are_those_it_allows(client: Client, document: Document) -> None:
    for path, methods in document["paths"].items():
        answer = client.send("BREW", path)
        allowed = {method.strip() for method in (answer.header("allow") or "").split(",")}
        assert allowed == {method.upper() for method in methods}, f"{path}\n{answer}"


def test_the_command_prints_the_same_document_and_makes_nothing(
    document: Document, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    printed = run("openapi", settings={"ROADWORTHY_DATA_DIR": str(folder)})

    assert (printed.returncode, printed.stderr) == (0, "")
    assert json.loads(printed.stdout) == document
    assert printed.stdout.count("\n") > 100, "not for people to read"
    assert not folder.exists()


def _usual(path: str, documented: Iterable[str]) -> str:
    """The path a route is documented under."""
    plain = re.sub("/+", "/", path.partition("?")[0]).rstrip("/").removesuffix(".json")
    for template in documented:
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), plain):
            return template
    return plain


def test_every_status_that_a_scenario_expects_is_documented(
    document: Document, tables: Tables, driver: Driver
) -> None:
    documented = {
        (method, path): set(operation["responses"])
        for method, path, operation in operations(document)
    }
    seen = set()
    missing = []
    for scenario in SCENARIOS:
        path = scenario.path(Stage(tables, driver)) if callable(scenario.path) else scenario.path
        where = (scenario.method, _usual(path, document["paths"]))
        if where not in documented:
            continue
        seen.add(where)
        if str(scenario.status) not in documented[where]:
            missing.append(f"{scenario.status} of {' '.join(where)}: {scenario.name}")

    assert not missing, "\n".join(missing)
    untried = {where for where in documented if where[1].startswith("/api")} - seen
    assert not untried, f"no scenario tries {untried}"


def test_what_creates_for_who_is_signed_in_takes_a_key(document: Document) -> None:
    """The one exception says `PATCH` by another name, for clients that cannot send that."""
    without = set()
    for method, path, operation in operations(document):
        names = {parameter.get("name") for parameter in operation.get("parameters", [])}
        if method == "POST" and operation.get("security") and "Idempotency-Key" not in names:
            without.add(path)
    assert without == {"/api/v1/uploads/{upload}"}


def test_every_status_has_its_shape(document: Document) -> None:
    """JSON where there is a body, nothing where there is none; errors in the documented shapes."""
    shapes = {"401": "SignInError", "422": "FieldErrors"}
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            in_headers = path.startswith("/api/v1/uploads") and status < "300"
            has_body = not (in_headers or method == "HEAD" or status in {"204", "302", "304"})
            said = f"{method} {path} {status}: {response}"
            assert ("content" in response) is has_body, said
            if has_body and status >= "400":
                shape = response["content"]["application/json"]["schema"]["$ref"]
                assert shape.endswith(f"/{shapes.get(status, 'PlainError')}"), said


def test_every_example_is_valid(document: Document) -> None:
    found = []
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for media_type, described in content.items():
            Draft202012Validator.check_schema(described["schema"])
            if "example" in described:
                validator(document, described["schema"]).validate(described["example"])
                found.append((method, path, media_type))

    for method in ("POST", "PATCH", "PUT"):
        assert (method, PROFILE_PATH, "application/json") in found


def _request_schema(document: Document, media_type: str) -> Document:
    body = document["paths"][PROFILE_PATH]["post"]["requestBody"]
    schema: Document = body["content"][media_type]["schema"]
    return schema


def test_the_documented_request_is_valid(document: Document) -> None:
    request = json.loads((DATA / "create-profile.request.json").read_bytes())
    schema = validator(document, _request_schema(document, "application/json"))

    schema.validate(request)
    schema.validate(request["profile"])


_INVALID: list[tuple[str, object]] = [
    ("nothing", {}),
    ("an empty profile", {"profile": {}}),
    ("a profile of text", {"profile": "x"}),
    ("a list", [{"profile": dict(FIELDS)}]),
    *((f"no {name}", {"profile": {**FIELDS, name: None}}) for name in FIELDS),
    ("a blank name", {"profile": {**FIELDS, "first_name": " "}}),
    ("a long name", {"profile": {**FIELDS, "first_name": "a" * 256}}),
    ("true for text", {"profile": {**FIELDS, "postcode": True}}),
    ("another level", {"profile": {**FIELDS, "english_level": "perfect"}}),
]


@pytest.mark.parametrize("body", [case[1] for case in _INVALID], ids=[case[0] for case in _INVALID])
def test_what_is_refused_is_not_valid(
    client: Client, document: Document, driver: Driver, body: object
) -> None:
    with pytest.raises(ValidationError):
        validator(document, _request_schema(document, "application/json")).validate(body)

    headers = {**driver.signed, "content-type": "application/json"}
    assert client.send("POST", PROFILE_PATH, headers, json.dumps(body)).status in {400, 422}


def test_the_documented_response_is_valid(document: Document) -> None:
    response = json.loads((DATA / "create-profile.response.json").read_bytes())
    for method, statuses in document["paths"][PROFILE_PATH].items():
        if method not in {"get", "post", "patch", "put"}:
            continue
        shape = statuses["responses"]["200"]["content"]["application/json"]["schema"]
        schema = validator(document, shape)
        schema.validate(response)
        for name in response["profile"]:
            lacking = {key: value for key, value in response["profile"].items() if key != name}
            with pytest.raises(ValidationError):
                schema.validate({"profile": lacking})


class Page(HTMLParser):
    """What a page loads, links to and says."""

    def __init__(self, source: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in {"src", "href", "srcset", "action", "data", "poster"}:
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_nothing(client: Client) -> None:
    answer = client.send("GET", "/docs")
    page = Page(answer.text)

    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in (answer.header("content-security-policy") or "")
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not {name for name in page.attributes if name.startswith("on")}
    for address in page.addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("", ""), f"{address} is of another host"
        assert client.send("GET", address).status == 200, f"{address} leads nowhere"
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_the_page_tells_of_every_operation(client: Client, document: Document) -> None:
    page = Page(client.send("GET", "/docs").text)

    for method, path, operation in operations(document):
        if method == "HEAD":
            continue
        assert f"{method}{path}{operation['summary']}" in page.text, f"{method} {path} is missing"
        content = operation.get("requestBody", {}).get("content", {})
        form = content.get("application/x-www-form-urlencoded", {"schema": {"properties": {}}})
        for name in form["schema"]["properties"]:
            assert name in page.text, f"{name} of {method} {path} is missing"


def test_where_people_reach_it_stands_in_the_document(tmp_path: Path) -> None:
    settings = {
        "ROADWORTHY_DATA_DIR": str(tmp_path),
        "ROADWORTHY_PUBLIC_URL": "https://drivers.example.com/",
    }
    printed = json.loads(run("openapi", settings=settings).stdout)
    assert printed["servers"] == [{"url": "https://drivers.example.com"}]
