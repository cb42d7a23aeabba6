"""`/up`, `/openapi.json` and `/docs`."""

from collections.abc import Iterable, Iterator

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import text

from roadworthy.database import Connection, Database
from roadworthy.web.openapi import api_document
from roadworthy.wire import Operation, Request, Response, Route, json_response

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class WebRoutes:
    """What is asked before anybody signs in. `api` is described, `public_url` may be empty."""

    def __init__(self, database: Database, api: Iterable[Route], public_url: str):
        self._database = database
        described = (*api, Route("GET", "/up", self.up, _UP))
        self._document = api_document(described, public_url)

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", "/up", self.up, _UP)
        yield Route("GET", "/openapi.json", self.openapi)
        yield Route("GET", "/openapi", self.openapi)
        yield Route("GET", "/docs", self.docs)

    async def up(self, _: Request) -> Response:
        """200 only when the database answers."""
        await self._database.read(_ask)
        return json_response(200, {"status": "up"})

    async def openapi(self, _: Request) -> Response:
        """The API as OpenAPI 3.1."""
        return Response(200, msgspec.json.encode(self._document))

    async def docs(self, _: Request) -> Response:
        """The same for people, in one page that loads nothing."""
        page = _PAGES.get_template("docs.html").render(document=self._document)
        return Response(
            200,
            page.encode(),
            content_type="text/html; charset=utf-8",
            headers={"content-security-policy": _PAGE_POLICY},
        )


_PAGES = Environment(
    loader=PackageLoader("roadworthy.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _ask(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


_UP = Operation(
    "Is the service up, its database included",
    tag="Service",
    answers={200: "Up", 503: "The database does not answer"},
    schema=dict,
    conditional=True,
)
