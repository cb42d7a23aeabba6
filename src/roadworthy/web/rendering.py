"""Pages from their templates."""

import base64
import hashlib

import msgspec

from roadworthy.templates import templates_of
from roadworthy.wire import Response

_PAGES = templates_of("roadworthy.web")
_PAGES.filters["json"] = lambda value: msgspec.json.encode(value).decode()

CONTENT_TYPE = "text/html; charset=utf-8"

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_FORM_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def rendered(template: str, **values: object) -> bytes:
    """The template with `values` in it."""
    return _PAGES.get_template(template).render(values).encode()


def page(body: bytes) -> Response:
    """A page that says the same to everybody, and loads nothing."""
    headers = {"content-security-policy": _POLICY}
    return Response(200, body, content_type=CONTENT_TYPE, headers=headers)


def private_page(status: int, template: str, *, script: str = "", **values: object) -> Response:
    """A page for who has its address, which carries a secret: nobody keeps it or is told of it.

    It may run `script`, and nothing else.
    """
    headers = {
        "content-security-policy": _FORM_POLICY + _allowing(script),
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    body = rendered(template, script=script, **values)
    return Response(status, body, content_type=CONTENT_TYPE, headers=headers)


def _allowing(script: str) -> str:
    if not script:
        return ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"; script-src 'sha256-{digest}'"
