"""The API document (OpenAPI 3.1), made from the routes themselves."""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from roadworthy import __version__
from roadworthy.wire import Operation, Route
from roadworthy.wire.errors import REASONS

Schema = dict[str, Any]

_SUCCESSES = frozenset({200, 201, 206})
_NO_NAME = re.compile(r"\W+")
_REF = "#/components/schemas/{name}"


class PlainError(msgspec.Struct):
    """An error that speaks of the whole request."""

    status: int
    error: str
    detail: str | msgspec.UnsetType = msgspec.UNSET


class SignInError(msgspec.Struct):
    """Why who asks is not known."""

    error: str


class FieldErrors(msgspec.Struct):
    """Every refused field with its messages."""

    errors: dict[str, list[str]]


def api_document(routes: Iterable[Route], public_url: str) -> Schema:
    """`routes` that have an operation, described; `public_url` may be empty."""
    described = [(route, route.operation) for route in routes if route.operation]
    paths: dict[str, Schema] = {}
    for route, operation in described:
        methods = paths.setdefault(route.path, {})
        methods[route.method.lower()] = _operation(route.method, route.path, operation)
        if route.method == "GET":
            methods["head"] = _operation("HEAD", route.path, operation)
    shapes = [operation.schema for _, operation in described if operation.schema]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Roadworthy",
            "version": __version__,
            "summary": "Drivers register, hand in their documents and are cleared to drive.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": public_url or "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas([*shapes, PlainError, SignInError, FieldErrors]),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _schemas(shapes: list[type]) -> Schema:
    _, components = msgspec.json.schema_components(
        shapes, schema_hook=_custom_schema, ref_template=_REF
    )
    return components


def _custom_schema(kind: type) -> Schema:
    """The shape of a type that is text on the wire and says so itself."""
    if issubclass(kind, str):
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError(kind)  # how a schema hook of msgspec says: not one of ours


def _operation(method: str, path: str, operation: Operation) -> Schema:
    described: Schema = {
        "summary": operation.summary,
        "operationId": method.lower() + _NO_NAME.sub("_", path).rstrip("_"),
        "tags": [operation.tag],
        "parameters": list(_parameters(method, operation)),
        "responses": _responses(method, operation),
        "security": _security(operation),
    }
    if operation.key:
        described["requestBody"] = _request_body(operation, operation.key)
    return described


def _security(operation: Operation) -> list[Schema]:
    if operation.may_be_signed_in:
        return [{"bearer": []}, {}]
    return [{"bearer": []}] if operation.signed_in else []


def _parameters(method: str, operation: Operation) -> Iterable[Schema]:
    for place, names in (("path", operation.in_path), ("query", operation.in_query)):
        for name, description in names.items():
            yield _parameter(place, name, description)
    for name, description in operation.may_query.items():
        yield {**_parameter("query", name, description), "required": False}
    for name, description in operation.in_header.items():
        yield _header(name, description)
    yield _header("X-Request-Id", "Comes back in the response; made up when it is not sent")
    if operation.signed_in or operation.gives_token:
        yield _header("JWT-AUD", "The audience of the token: the same at sign-in and in use")
    if operation.keeps_answers:
        yield _header(
            "Idempotency-Key",
            "Names this request: the same again, within 24 hours, gets the same answer",
            {"type": "string", "maxLength": 255},
        )
    if operation.conditional and method in {"GET", "HEAD"}:
        yield _header("If-None-Match", "Entity tags the client has; 304 when one is current")
    if operation.key:
        yield {
            "name": operation.key,
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "description": "The same fields in the query string; they take the body's place",
            "schema": _form_object(operation, str),
        }


def _parameter(place: str, name: str, description: str) -> Schema:
    return {
        "name": name,
        "in": place,
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
    }


def _header(name: str, description: str, schema: Schema | None = None) -> Schema:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": schema or {"type": "string"},
    }


def _request_body(operation: Operation, key: str) -> Schema:
    fields = _object(operation, {p.name: dict(p.shape.json) for p in operation.parameters}, str)
    nested = {"type": "object", "properties": {key: fields}, "required": [key]}
    accepted = {"anyOf": [nested, _flat(fields, key)]} if operation.flat_body else nested
    json_body: Schema = {"schema": accepted}
    if operation.example:
        json_body["example"] = {key: dict(operation.example)}
    form = {"schema": _form_object(operation, lambda name: f"{key}[{name}]")}
    return {
        "required": True,
        "content": {
            "application/json": json_body,
            "application/x-www-form-urlencoded": form,
            "multipart/form-data": form,
        },
    }


def _flat(fields: Schema, key: str) -> Schema:
    """The fields without `key` around them, of which at least one is ours."""
    ours = [{"required": [name]} for name in fields["properties"]]
    return {**fields, "anyOf": ours, "not": {"required": [key]}}


def _form_object(operation: Operation, name: Callable[[str], str]) -> Schema:
    fields = {name(p.name): dict(p.shape.form) for p in operation.parameters}
    return _object(operation, fields, name)


def _object(operation: Operation, fields: Schema, name: Callable[[str], str]) -> Schema:
    for parameter in operation.parameters:
        fields[name(parameter.name)]["description"] = parameter.description
    required = [name(p.name) for p in operation.parameters if p.required]
    described: Schema = {"type": "object", "properties": fields, "minProperties": 1}
    return {**described, "required": required} if required else described


def _responses(method: str, operation: Operation) -> Schema:
    answers = {**operation.answers, **_usual_answers(method, operation)}
    return {
        str(status): _response(status, meaning, method, operation)
        for status, meaning in sorted(answers.items())
    }


def _usual_answers(method: str, operation: Operation) -> Mapping[int, str]:
    """What every such request may be answered."""
    usual = {
        431: "The first line and the headers are too large",
        503: "Busy, or a part we need is away: try again later",
    }
    if operation.signed_in or operation.may_be_signed_in:
        usual[401] = "Not signed in, or the token is refused"
    if operation.conditional and method in {"GET", "HEAD"}:
        usual[304] = "What the client has is current"
    if operation.in_query:
        usual[400] = "The query string is no UTF-8"
    if operation.key:
        usual[400] = "The body is not what its content type says, or the parameters are missing"
        usual[408] = "The body did not arrive in time"
        usual[413] = "The body is too large"
    return usual


def _response(status: int, meaning: str, method: str, operation: Operation) -> Schema:
    response: Schema = {"description": meaning, "headers": _headers(status, operation)}
    shape = _shape(status, operation)
    if shape and method != "HEAD":
        response["content"] = {"application/json": {"schema": shape}}
        response["content"]["application/json"]["example"] = _example(status, operation)
    elif operation.answers_bytes and status in _SUCCESSES and method != "HEAD":
        response["content"] = {"application/octet-stream": {}}
    return response


def _example(status: int, operation: Operation) -> Any:
    if status in {200, 201}:
        return msgspec.json.decode(operation.answer or b"{}")
    if status == 401:  # noqa: PLR2004
        return {"error": "Signature has expired" if operation.signed_in else operation.answers[401]}
    if status == 422:  # noqa: PLR2004
        names = (*operation.in_query, *(each.name for each in operation.parameters))
        return {"errors": {next(iter(names), "filename"): ["can't be blank"]}}
    return {"status": status, "error": REASONS.get(status) or HTTPStatus(status).phrase}


def _shape(status: int, operation: Operation) -> Schema | None:
    if status in {204, 302, 304}:
        return None
    if status in _SUCCESSES:
        return _ref(operation.schema) if operation.schema else None
    return _ref({401: SignInError, 422: FieldErrors}.get(status, PlainError))


def _ref(shape: type) -> Schema:
    return {"$ref": _REF.format(name=shape.__name__)}


def _headers(status: int, operation: Operation) -> Schema:
    headers = {"X-Request-Id": "The client's own id, or a new one", "X-Runtime": "Seconds it took"}
    if status in {*_SUCCESSES, 304}:
        headers["ETag"] = "Names this very representation"
    if status == 201 and operation.gives_token:  # noqa: PLR2004
        headers["Authorization"] = "`Bearer` and the token"
    if status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "`Bearer`"
    if status == 302:  # noqa: PLR2004
        headers["Location"] = "Where it is"
    if status in {429, 503}:
        headers["Retry-After"] = "Seconds to wait"
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in headers.items()
    }
