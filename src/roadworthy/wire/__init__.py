"""How we speak HTTP: parameters, errors, headers, conditional GET, CORS, the API document."""

from roadworthy.wire import shapes
from roadworthy.wire.application import Application
from roadworthy.wire.errors import (
    BadRequest,
    NotFound,
    Refusal,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    Unprocessable,
)
from roadworthy.wire.headers import STRICT_TRANSPORT, etag_of
from roadworthy.wire.idempotency import LIFETIME as ANSWERS_KEPT
from roadworthy.wire.idempotency import Idempotency, Keep
from roadworthy.wire.messages import Request, Response, instant_text, json_response
from roadworthy.wire.parameters import Number, Parameters, nested, query_parameters
from roadworthy.wire.queries import purge_answers
from roadworthy.wire.routes import Operation, Parameter, Route
from roadworthy.wire.values import Fields, text_value

__all__ = [
    "ANSWERS_KEPT",
    "STRICT_TRANSPORT",
    "Application",
    "BadRequest",
    "Fields",
    "Idempotency",
    "Keep",
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
    "TooManyRequests",
    "Unauthorized",
    "Unprocessable",
    "etag_of",
    "instant_text",
    "json_response",
    "nested",
    "purge_answers",
    "query_parameters",
    "shapes",
    "text_value",
]
