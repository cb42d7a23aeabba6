"""How we speak HTTP: parameters, errors, headers, conditional GET, CORS, the API document."""

from roadworthy.wire.application import Application
from roadworthy.wire.errors import (
    BadRequest,
    NotFound,
    Refusal,
    ServiceUnavailable,
    Unauthorized,
    Unprocessable,
)
from roadworthy.wire.headers import etag_of
from roadworthy.wire.messages import Request, Response, instant_text, json_response
from roadworthy.wire.parameters import Number, Parameters, nested
from roadworthy.wire.routes import Operation, Parameter, Route
from roadworthy.wire.values import Fields, text_value

__all__ = [
    "Application",
    "BadRequest",
    "Fields",
    "NotFound",
    "Number",
    "Operation",
    "Parameter",
    "Parameters",
    "Refusal",
    "Request",
    "Response",
    "Route",
    "ServiceUnavailable",
    "Unauthorized",
    "Unprocessable",
    "etag_of",
    "instant_text",
    "json_response",
    "nested",
    "text_value",
]
