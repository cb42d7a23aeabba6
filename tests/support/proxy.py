"""Proxies before a bucket; what clients sign is for the proxy."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def cors_proxy(endpoint: str, origin: str) -> Iterator[str]:
    """Where pages of `origin` reach the server at `endpoint`, and are answered what browsers ask
    first (Fetch standard, CORS)."""

    class Handler(_Forwarding):
        behind = urlsplit(endpoint).netloc

        def do_OPTIONS(self) -> None:
            self.send_response(204)
            self.add_headers()
            self.end_headers()

        def add_headers(self) -> None:
            self.send_header("access-control-allow-origin", origin)
            self.send_header("access-control-allow-methods", "GET, PUT")
            self.send_header("access-control-allow-headers", "content-type, content-md5")

    with _serving(Handler) as url:
        yield url


@contextmanager
def refusing_proxy(endpoint: str, refuses: Callable[[str, str], bool]) -> Iterator[str]:
    """Where the server at `endpoint` is reached, but fails a method and path that `refuses`."""

    class Handler(_Forwarding):
        behind = urlsplit(endpoint).netloc

        def forward(self) -> None:
            if not refuses(self.command, self.path):
                super().forward()
                return
            self.read_body()
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()

    with _serving(Handler) as url:
        yield url


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behind: str

    def forward(self) -> None:
        body = self.read_body()
        connection = http.client.HTTPConnection(self.behind, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN and not name.lower().startswith("access-control-"):
                self.send_header(name, value)
        length = int(answer.getheader("content-length", len(content)))
        self.send_header("content-length", str(length))
        self.add_headers()
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    def read_body(self) -> bytes | None:
        length = int(self.headers.get("content-length", 0))
        return self.rfile.read(length) if length else None

    def add_headers(self) -> None:
        """To those of an answer."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.forward()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 -- how it is called


@contextmanager
def _serving(handler: type[_Forwarding]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
