"""Uploads as clients of tus 1.0 make them, request by request."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.client import Answer, Client
from tests.support.drivers import Driver

UPLOADS_PATH = "/api/v1/uploads"
TUS = {"tus-resumable": "1.0.0"}
BODY_TYPE = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    pairs = (f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in values.items())
    return ",".join(pairs)


NAMED = metadata(filename="cv.pdf", filetype="application/pdf")


@dataclass(frozen=True)
class Resumable:
    """An upload that was begun."""

    driver: Driver
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def send(
        self,
        client: Client,
        method: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        signed = {**self.driver.signed, **TUS, **(headers or {})}
        return client.send(method, self.path, signed, body)

    def append(self, client: Client, offset: int, content: bytes, **headers: Any) -> Answer:
        said = {"upload-offset": str(offset), "content-type": BODY_TYPE, **headers}
        return self.send(client, "PATCH", said, content)

    def offset(self, client: Client) -> int:
        answer = self.send(client, "HEAD")
        assert answer.status == 200, answer
        return int(answer.header("upload-offset") or -1)


def begin(client: Client, driver: Driver, length: int, named: str = NAMED) -> Resumable:
    return begun(driver, create(client, driver, length, named=named))


def create(
    client: Client,
    driver: Driver,
    length: int,
    body: bytes | None = None,
    *,
    named: str = NAMED,
    key: str | None = None,
) -> Answer:
    """What comes of a POST, with the first bytes if there is a `body`."""
    headers = {"upload-length": str(length), "upload-metadata": named}
    if body is not None:
        headers["content-type"] = BODY_TYPE
    if key is not None:
        headers["idempotency-key"] = key
    return client.send("POST", UPLOADS_PATH, {**driver.signed, **TUS, **headers}, body)


def begun(driver: Driver, answer: Answer) -> Resumable:
    """The upload that a POST has begun."""
    assert answer.status == 201, answer
    return Resumable(driver, urlsplit(answer.header("location") or "").path)
