"""`/up`, `/openapi.json` and `/docs`."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import text

from roadworthy.database import Connection, Database
from roadworthy.web.openapi import api_document
from roadworthy.wire import Operation, Request, Response, Route, json_response

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Up(msgspec.Struct):
    """The service answers."""

    status: str


class WebRoutes:
    """What is asked before anybody signs in. `api` is described, `public_url` may be empty."""

    def __init__(self, database: Database, api: Iterable[Route], public_url: str):
        self._database = database
        self._public_url = public_url
        self._described = (*api, Route("GET", "/up", self.up, _UP))

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", "/up", self.up, _UP)
        yield Route("GET", "/openapi.json", self.openapi)
        yield Route("GET", "/docs", self.docs)

    @cached_property
    def document(self) -> bytes:
        """The API as OpenAPI 3.1."""
        return msgspec.json.encode(api_document(self._described, self._public_url))

    async def up(self, _: Request) -> Response:
        """200 only when the database answers."""
        await self._database.read(_ask)
        return json_response(200, Up("up"))

    async def openapi(self, _: Request) -> Response:
        """The API for machines."""
        return Response(200, self.document)

    async def docs(self, _: Request) -> Response:
        """The same for people, in one page that loads nothing."""
        return Response(
            200,
            self._page,
            content_type="text/html; charset=utf-8",
            headers={"content-security-policy": _PAGE_POLICY},
        )

    @cached_property
    def _page(self) -> bytes:
        return _docs_page(api_document(self._described, self._public_url), self._public_url)


_PAGES = Environment(
    loader=PackageLoader("roadworthy.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _docs_page(document: Mapping[str, Any], public_url: str) -> bytes:
    operations = [each for path in document["paths"].values() for each in path.values()]
    tags = dict.fromkeys(operation["tags"][0] for operation in operations)
    template = _PAGES.get_template("docs.html")
    return template.render(document=document, tags=tags, base=public_url or "$URL").encode()


def _ask(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


_UP = Operation(
    "Is the service up, its database included",
    tag="Service",
    answers={200: "Up", 503: "The database does not answer"},
    schema=Up,
    conditional=True,
)
