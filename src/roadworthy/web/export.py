"""The page behind the link to a download: it asks to sign in, and hands out the file."""

import base64
from collections.abc import AsyncGenerator, Iterator
from http import HTTPStatus

from roadworthy.exports import Handover
from roadworthy.exports.letters import PAGE
from roadworthy.web.account import dead_link, for_people
from roadworthy.web.rendering import private_page
from roadworthy.wire import (
    Request,
    Response,
    Route,
    StreamedResponse,
    nested,
    query_parameters,
)
from roadworthy.wire.values import is_unicode

MOST_BYTES = 16 * 1024
POLICY = "sandbox; default-src 'none'"

# A download leaves the page as it is: what was wrong before would stand there still.
_FORGET = """
document.forms[0].addEventListener("submit", () => {
  document.getElementById("wrong").hidden = true;
  document.title = document.title.replace("Error: ", "");
  for (const field of document.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
});
"""


class ExportPages:
    """The form, and what it leads to."""

    def __init__(self, handover: Handover):
        self._handover = handover

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", PAGE, for_people(self.ask))
        yield Route("POST", PAGE, for_people(self.download))

    async def ask(self, request: Request) -> Response:
        """The form."""
        token = query_parameters(request).get("token")
        if not isinstance(token, str) or await self._handover.find(token) is None:
            return dead_link()
        return _form(200, token)

    async def download(self, request: Request) -> Response:
        """The file, for who signs in; what is wrong stands above the form."""
        given = await nested(request, "user", most=MOST_BYTES) or {}
        token, email, password = (_text(given.get(name)) for name in ("token", "email", "password"))
        found = await self._handover.find(token)
        if found is None:
            return dead_link()
        user_id, export = found
        if not await self._handover.signs_in(user_id, email, password, request.client):
            return _form(HTTPStatus.UNPROCESSABLE_ENTITY, token, email, wrong=True)
        content, done = await self._handover.hand_out(user_id, export)
        response = _file(content, export.byte_size, base64.b64decode(export.checksum).hex())
        response.done = done
        return response


def _form(status: int, token: str, email: str = "", *, wrong: bool = False) -> Response:
    script = _FORGET if wrong else ""
    return private_page(status, "export.html", script=script, token=token, email=email, wrong=wrong)


def _file(content: AsyncGenerator[bytes, None], size: int, digest: str) -> StreamedResponse:
    response = StreamedResponse(
        200,
        content,
        size,
        etag=f'"{digest}"',
        content_type="application/zip",
        headers={
            "content-disposition": 'attachment; filename="roadworthy.zip"',
            "content-security-policy": POLICY,
            "referrer-policy": "no-referrer",
        },
    )
    response.cache_control = "no-store"
    return response


def _text(value: object) -> str:
    """What was sent where text should be; nonsense is nothing."""
    return value if isinstance(value, str) and "\0" not in value and is_unicode(value) else ""
