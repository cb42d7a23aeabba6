"""The ASGI application: finds the route, runs its handler, sends what it answers."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import structlog

from roadworthy.database import Busy, Unavailable
from roadworthy.storage import StorageAway
from roadworthy.telemetry import log_request, metrics
from roadworthy.wire.cors import CrossOrigin
from roadworthy.wire.errors import (
    MethodNotAllowed,
    NotFound,
    Refusal,
    ServerError,
    ServiceUnavailable,
)
from roadworthy.wire.headers import (
    BODILESS,
    CLOSE,
    NO_STORE,
    HeaderList,
    etag_of,
    has_already,
    headers_of,
)
from roadworthy.wire.messages import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    StreamedResponse,
)
from roadworthy.wire.proxies import Networks
from roadworthy.wire.routes import Route

log = structlog.get_logger()

Hook = Callable[[], Awaitable[None]]
Methods = dict[str, Route]

STALL_SECONDS = 60
"""How long a client may take nothing of what it is sent."""
TIMER_SECONDS = 1
TURN_SECONDS = 0.0003
"""How long one answer is sent before others have their turn. A turn for each part, and a timer for
each, had a file leave at two thirds of the pace (measured)."""

_SUCCESS = range(200, 300)
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_DOUBLED_SLASH = re.compile("//+")
_CAPTURED = re.compile(r"\\{(\w+)\\}")


class Application:
    """Serves `routes`; `start` and `stop` run on the event loop before and after.

    `added` are headers of every response, after its own.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        origins: frozenset[str],
        trusted_proxies: Networks,
        start: Hook,
        stop: Hook,
        added: HeaderList | None = None,
    ):
        by_path: dict[str, Methods] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for methods in by_path.values():
            if "GET" in methods:
                methods["HEAD"] = methods["GET"]
        self._routes = {path: methods for path, methods in by_path.items() if "{" not in path}
        self._templates = [
            (_pattern(path), methods) for path, methods in by_path.items() if "{" in path
        ]
        self._cross_origin = CrossOrigin(origins)
        self._trusted_proxies = trusted_proxies
        self._start, self._stop = start, stop
        self._added = added or []

    def retire(self) -> None:
        """From now on, each answer is the last one of its connection, and says so."""
        self._added = [*self._added, CLOSE]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except Exception:
            log.exception("start")
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope, receive, self._trusted_proxies)
        try:
            await self._exchange(request, started, receive, send)
        finally:
            request.release()

    async def _exchange(
        self, request: Request, started: float, receive: Receive, send: Send
    ) -> None:
        methods = self._routes.get(request.path) or self._find(request)
        response = await self._answer(request, methods)
        try:
            await self._send(request, response, started, receive, send)
        finally:
            if isinstance(response, StreamedResponse):
                await response.close()
        self._note(request, methods, response.status, time.perf_counter() - started)

    async def _send(
        self, request: Request, response: Response, started: float, receive: Receive, send: Send
    ) -> None:
        if not await request.discard_rest():
            response.headers = {**(response.headers or {}), "connection": "close"}
        _make_conditional(request, response)
        headers = headers_of(response, request.id, started)
        headers += self._added
        if b"origin" in request.headers:
            headers += self._cross_origin.headers(request)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if isinstance(response, StreamedResponse) and _has_body(request, response):
            await _stream(request, response, receive, send)
        else:
            body = response.body if _has_body(request, response) else b""
            await send({"type": "http.response.body", "body": body})

    def _find(self, request: Request) -> Methods | None:
        """What is behind a path that is no route's to the letter; the request's becomes usual."""
        path = _usual(request.path)
        methods = self._routes.get(path) or self._capture(path, request)
        if methods:
            request.path = path
        return methods

    def _capture(self, path: str, request: Request) -> Methods | None:
        for pattern, methods in self._templates:
            match = pattern.fullmatch(path)
            if match:
                request.captured = match.groupdict()
                return methods
        return None

    async def _answer(self, request: Request, methods: Methods | None) -> Response:
        try:
            request.require_modest_head()
            if request.method == "OPTIONS" and (found := self._cross_origin.preflight(request)):
                return found
            return await _route(request, methods).handler(request)
        except Refusal as refusal:
            return _refused(refusal)
        except (Busy, Unavailable, StorageAway):
            return _refused(ServiceUnavailable())
        except Exception:
            log.exception("fault", request_id=request.id)
            return _refused(ServerError())

    def _note(self, request: Request, methods: Methods | None, status: int, seconds: float) -> None:
        """What is counted and logged: names of ours, never the path or method a client made up."""
        template = next(iter(methods.values())).path if methods else "unmatched"
        method = request.method if request.method in _METHODS else "other"
        metrics.observe_request(template, method, status, seconds)
        log_request(request.id, method, template, status, seconds)


def _has_body(request: Request, response: Response) -> bool:
    return request.method != "HEAD" and response.status not in BODILESS


async def _stream(
    request: Request, response: StreamedResponse, receive: Receive, send: Send
) -> None:
    """Part by part, as fast as the client takes them.

    When it takes none for long, hangs up, or a part cannot be had, the connection is closed: that
    the body is not whole is all that can still be said.
    """
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        if await _send_parts(response.parts, send, gone):
            await send({"type": "http.response.body", "body": b""})
    except (TimeoutError, StorageAway):
        pass
    except Exception:
        log.exception("fault", request_id=request.id)
    finally:
        gone.cancel()


async def _send_parts(parts: AsyncIterator[bytes], send: Send, gone: asyncio.Future[None]) -> bool:
    """Whether all are sent. Raises `TimeoutError` when the client takes none for long."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(STALL_SECONDS) as patience:
        turn = taken = loop.time()
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            now = loop.time()
            if now > taken + TIMER_SECONDS:
                patience.reschedule(now + STALL_SECONDS)
                taken = now
            if now > turn + TURN_SECONDS:
                await asyncio.sleep(0)  # others, and word that the client is gone, come first
                turn = loop.time()
            if gone.done():
                return False
    return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _route(request: Request, methods: Methods | None) -> Route:
    if methods is None:
        raise NotFound
    route = methods.get(request.method)
    if route is None:
        raise MethodNotAllowed(methods)
    return route


def _usual(path: str) -> str:
    """The path under which a route is known: no doubled or last slash, no `.json`."""
    path = _DOUBLED_SLASH.sub("/", path)
    return path.rstrip("/").removesuffix(".json") or "/"


def _pattern(template: str) -> re.Pattern[str]:
    """`{name}` stands for anything but a slash."""
    return re.compile(_CAPTURED.sub(r"(?P<\1>[^/]+)", re.escape(template)))


def _refused(refusal: Refusal) -> Response:
    return Response(refusal.status, refusal.body, headers=refusal.headers)


def _make_conditional(request: Request, response: Response) -> None:
    """Tag a success; turn one that the client has into a 304 (RFC 9110, 13.2.2)."""
    if response.status not in _SUCCESS or response.status == 204:  # noqa: PLR2004
        return
    if response.cache_control == NO_STORE:
        return
    if response.etag is None:
        response.etag = etag_of(response.body)
    if has_already(request, response.etag):
        response.status = 304
