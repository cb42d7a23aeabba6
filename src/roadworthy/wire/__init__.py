"""How we speak HTTP: parameters, errors, headers, conditional GET, CORS, the API document."""

from roadworthy.wire import shapes
from roadworthy.wire.application import Application
from roadworthy.wire.errors import (
    BadRequest,
    Conflict,
    Gone,
    MethodNotAllowed,
    NotFound,
    Refusal,
    ServiceUnavailable,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unprocessable,
)
from roadworthy.wire.forms import FormLimits, is_form, received_form
from roadworthy.wire.headers import STRICT_TRANSPORT, etag_of, has_already
from roadworthy.wire.idempotency import LIFETIME as ANSWERS_KEPT
from roadworthy.wire.idempotency import Idempotency, Keep
from roadworthy.wire.messages import (
    KEPT_BY_NOBODY,
    Request,
    Response,
    StreamedResponse,
    instant_text,
    json_response,
)
from roadworthy.wire.parameters import (
    Number,
    Parameters,
    ReceivedFile,
    nested,
    query_parameters,
)
from roadworthy.wire.proxies import network_of, site_of
from roadworthy.wire.queries import erase_answers, purge_answers
from roadworthy.wire.ranges import Part, part_wanted
from roadworthy.wire.routes import Operation, Parameter, Route
from roadworthy.wire.values import Fields, text_value

__all__ = [
    "ANSWERS_KEPT",
    "KEPT_BY_NOBODY",
    "STRICT_TRANSPORT",
    "Application",
    "BadRequest",
    "Conflict",
    "Fields",
    "FormLimits",
    "Gone",
    "Idempotency",
    "Keep",
    "MethodNotAllowed",
    "NotFound",
    "Number",
    "Operation",
    "Parameter",
    "Parameters",
    "Part",
    "ReceivedFile",
    "Refusal",
    "Request",
    "Response",
    "Route",
    "ServiceUnavailable",
    "StreamedResponse",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unprocessable",
    "erase_answers",
    "etag_of",
    "has_already",
    "instant_text",
    "is_form",
    "json_response",
    "nested",
    "network_of",
    "part_wanted",
    "purge_answers",
    "query_parameters",
    "received_form",
    "shapes",
    "site_of",
    "text_value",
]
