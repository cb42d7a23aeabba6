"""A proxy before a bucket that answers what browsers ask first (Fetch standard, CORS)."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def cors_proxy(endpoint: str, origin: str) -> Iterator[str]:
    """Where pages of `origin` reach the server at `endpoint`; what they sign is for the proxy."""
    behind = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length) if length else None
            connection = http.client.HTTPConnection(behind, timeout=30)
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
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
            self.allow()
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def preflight(self) -> None:
            self.send_response(204)
            self.allow()
            self.end_headers()

        def allow(self) -> None:
            self.send_header("access-control-allow-origin", origin)
            self.send_header("access-control-allow-methods", "GET, PUT")
            self.send_header("access-control-allow-headers", "content-type, content-md5")

        def log_message(self, *_: object) -> None:
            """Nothing."""

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 -- how it is called
        do_OPTIONS = preflight  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
