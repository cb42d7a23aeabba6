"""The ASGI application: finds the route, runs its handler, sends what it answers."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from roadworthy.database import Busy, Unavailable
from roadworthy.wire.cors import CrossOrigin
from roadworthy.wire.errors import (
    MethodNotAllowed,
    NotFound,
    Refusal,
    ServerError,
    ServiceUnavailable,
)
from roadworthy.wire.headers import BODILESS, etag_of, headers_of, matches
from roadworthy.wire.messages import ClientGone, Receive, Request, Response, Scope, Send
from roadworthy.wire.routes import Handler, Route

log = structlog.get_logger()

Hook = Callable[[], Awaitable[None]]

_SUCCESS = range(200, 300)
_DOUBLED_SLASH = re.compile("//+")


class Application:
    """Serves `routes`; `start` and `stop` run on the event loop before and after."""

    def __init__(
        self, routes: Iterable[Route], *, origins: frozenset[str], start: Hook, stop: Hook
    ):
        self._handlers: dict[str, dict[str, Handler]] = {}
        for route in routes:
            self._handlers.setdefault(route.path, {})[route.method] = route.handler
        for methods in self._handlers.values():
            if "GET" in methods:
                methods["HEAD"] = methods["GET"]
        self._cross_origin = CrossOrigin(origins)
        self._start, self._stop = start, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientGone:
            return
        _make_conditional(request, response)
        headers = headers_of(response, request.id, started)
        if b"origin" in request.headers:
            headers += self._cross_origin.headers(request)
        body = b"" if request.method == "HEAD" or response.status in BODILESS else response.body
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)(request)
        except Refusal as refusal:
            return _refused(refusal)
        except (Busy, Unavailable):
            return _refused(ServiceUnavailable())
        except ClientGone:
            raise
        except Exception:
            log.exception("fault", request_id=request.id)
            return _refused(ServerError())

    def _handler(self, request: Request) -> Handler:
        methods = self._handlers.get(request.path) or self._handlers.get(_usual(request.path))
        if request.method == "OPTIONS" and (preflight := self._cross_origin.preflight(request)):
            return _always(preflight)
        if methods is None:
            raise NotFound
        handler = methods.get(request.method)
        if handler is None:
            raise MethodNotAllowed(methods)
        return handler


def _usual(path: str) -> str:
    """The path under which a route is known: no doubled or last slash, no `.json`."""
    path = _DOUBLED_SLASH.sub("/", path)
    return path.rstrip("/").removesuffix(".json") or "/"


def _always(response: Response) -> Handler:
    async def handler(_: Request) -> Response:
        return response

    return handler


def _refused(refusal: Refusal) -> Response:
    return Response(refusal.status, refusal.body, headers=refusal.headers)


def _make_conditional(request: Request, response: Response) -> None:
    """Tag a success; turn one that the client has into a 304 (RFC 9110, 13.2.2)."""
    if response.status not in _SUCCESS or response.status == 204:  # noqa: PLR2004
        return
    if response.etag is None:
        response.etag = etag_of(response.body)
    if request.method in {"GET", "HEAD"}:
        known = request.header(b"if-none-match")
        if known is not None and matches(known, response.etag):
            response.status = 304
