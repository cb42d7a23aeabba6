"""`/up`, `/metrics`, `/openapi.json` and `/docs`."""

import asyncio
import hmac
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import text

from roadworthy.database import Busy, Connection, Database, Unavailable
from roadworthy.jobs import JOB_STATES, count_jobs
from roadworthy.settings import Settings
from roadworthy.telemetry import metrics
from roadworthy.web.openapi import api_document
from roadworthy.web.rendering import page, rendered
from roadworthy.wire import (
    NotFound,
    Operation,
    Request,
    Response,
    Route,
    Unauthorized,
    json_response,
)

UP_SECONDS = 2
"""Who asks whether the service is up has little patience, and wants to be told that it is not."""


class Up(msgspec.Struct):
    """The service answers."""

    status: str


class WebRoutes:
    """What machines and people ask about the service; `api` is described."""

    def __init__(
        self,
        database: Database,
        api: Iterable[Route],
        settings: Settings,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._clock = clock
        self._metrics_token = settings.metrics_token
        self._public_url = settings.public_url
        self._described = (*api, Route("GET", "/up", self.up, _UP))

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", "/up", self.up, _UP)
        yield Route("GET", "/", self.home)
        yield Route("GET", "/openapi.json", self.openapi)
        yield Route("GET", "/docs", self.docs)
        yield Route("GET", "/metrics", self.metrics)

    @cached_property
    def document(self) -> bytes:
        """The API as OpenAPI 3.1."""
        return msgspec.json.encode(api_document(self._described, self._public_url))

    async def up(self, _: Request) -> Response:
        """200 only when the database answers, and takes writes as far as is known."""
        try:
            async with asyncio.timeout(UP_SECONDS):
                await self._database.read(_ask)
                await self._database.require_writable()
        except TimeoutError:
            raise Unavailable("it takes too long") from None
        return json_response(200, Up("up"))

    async def home(self, _: Request) -> Response:
        """Whoever opens the address that `serve` prints."""
        return Response(302, headers={"location": "/docs"})

    async def openapi(self, _: Request) -> Response:
        """The API for machines."""
        return Response(200, self.document)

    async def docs(self, _: Request) -> Response:
        """The same for people, in one page that loads nothing."""
        return page(self._page)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format, for the holder of the token or, without one, this machine."""
        self._require_watcher(request)
        for state, count in (await self._count_jobs()).items():
            metrics.jobs.labels(state).set(count)
        return Response(
            200, metrics.metrics_text(), content_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def _count_jobs(self) -> Mapping[str, float]:
        """Not a number while the database is away: then the other metrics matter most."""
        try:
            return await self._database.report(count_jobs, self._clock())
        except (Busy, Unavailable):
            return dict.fromkeys(JOB_STATES, math.nan)

    def _require_watcher(self, request: Request) -> None:
        if self._metrics_token:
            scheme, _, sent = request.headers.get(b"authorization", b"").partition(b" ")
            is_theirs = hmac.compare_digest(sent.strip(), self._metrics_token.encode())
            if scheme.lower() != b"bearer" or not is_theirs:
                raise Unauthorized("You need the metrics token.")
        elif not request.is_local:
            raise NotFound

    @cached_property
    def _page(self) -> bytes:
        return _docs_page(api_document(self._described, self._public_url), self._public_url)


def _docs_page(document: Mapping[str, Any], public_url: str) -> bytes:
    operations = [each for path in document["paths"].values() for each in path.values()]
    tags = dict.fromkeys(operation["tags"][0] for operation in operations)
    return rendered("docs.html", document=document, tags=tags, base=public_url or "$URL")


def _ask(connection: Connection) -> None:
    connection.execute(text("SELECT version_num FROM alembic_version"))  # a page of its own


_UP = Operation(
    "Is the service up, its database included",
    tag="Service",
    answers={200: "Up", 503: "The database does not answer"},
    schema=Up,
    answer=msgspec.json.encode(Up("up")),
    conditional=True,
)
