"""HTTP as it is on the wire: paths, header order and header case are sent and shown as they are."""

import contextlib
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]

TIMEOUT = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, all of its lines joined as RFC 9110 joins them."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.headers]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        head = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join([*head, "", self.body.decode("utf-8", "replace")])


class Client:
    """One keep-alive connection to `url`; over TLS, to whoever shows a certificate in `trusted`.

    It waits for `seconds`, and no longer, for each part of an answer.
    """

    def __init__(self, url: str, trusted: Path | None = None, seconds: float = TIMEOUT):
        address = urlsplit(url)
        host = address.hostname or ""
        if address.scheme == "https":
            context = ssl.create_default_context(cafile=trusted)
            self._connection: HTTPConnection = HTTPSConnection(
                host, address.port, timeout=seconds, context=context
            )
        else:
            self._connection = HTTPConnection(host, address.port, timeout=seconds)

    def send(
        self, method: str, path: str, headers: Headers = (), body: bytes | str | None = None
    ) -> Answer:
        """Nothing is added to the request but `host` and, with a body, `content-length`."""
        content = body.encode() if isinstance(body, str) else body
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        connection = self._connection
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in pairs:
            connection.putheader(name, value)
        if content is not None and "content-length" not in {name.lower() for name, _ in pairs}:
            connection.putheader("content-length", str(len(content)))
        connection.endheaders()
        if content:
            _send(connection, content)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    def close(self) -> None:
        self._connection.close()


def hold_unavailable(answer: Answer) -> None:
    """It is 503, in the documented shape, and says when to come again."""
    shape = {"status": 503, "error": "Service Unavailable"}
    assert (answer.status, answer.json) == (503, shape), answer
    assert answer.header("retry-after") == "1", answer


def _send(connection: HTTPConnection, body: bytes) -> None:
    """A server may answer before it has read everything: then the answer is what counts."""
    with contextlib.suppress(ConnectionError):
        connection.send(body)
