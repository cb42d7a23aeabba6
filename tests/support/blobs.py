"""Files, and how clients hand them in: as `@rails/activestorage` does, step by step."""

import base64
import hashlib
import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pikepdf
from PIL import Image

from tests.support.client import Answer, Client
from tests.support.drivers import Driver

ANNOUNCE_PATH = "/api/v1/direct_uploads"
RAILS_ANNOUNCE_PATH = "/rails/active_storage/direct_uploads"
VIEW_PATH = "/api/v1/files/{token}"

SLOTS = ("cv", "dbs", "tacho", "enchanced_dbs", "cpc", "medical_check", "child_safeguard_training")
COMPLIANCE_SLOTS = SLOTS[1:]
LISTS = ("documents", "driving_license")

PDF_TYPE, PNG_TYPE, JPEG_TYPE = "application/pdf", "image/png", "image/jpeg"

_DIGITS = b"0123456789"
_numbers = itertools.count(1)


def pdf(words: str | None = None, filler: int = 0) -> bytes:
    """A PDF like no other, with as many bytes in it that say nothing."""
    document = pikepdf.new()
    page = document.add_blank_page(page_size=(200, 100))
    page.Contents = document.make_stream(b"%" + _DIGITS * (filler // len(_DIGITS)))
    document.docinfo["/Title"] = words or f"number {next(_numbers)}"
    return _saved(lambda file: document.save(file, compress_streams=False))


def png(color: str = "red") -> bytes:
    return _saved(lambda file: Image.new("RGB", (40, 30), color).save(file, "PNG"))


def jpeg(color: str = "blue") -> bytes:
    return _saved(lambda file: Image.new("RGB", (40, 30), color).save(file, "JPEG"))


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@dataclass(frozen=True)
class Announced:
    """A blob, and what the service said of it."""

    content: bytes
    said: Mapping[str, Any]

    @property
    def id(self) -> int:
        return int(self.said["id"])

    @property
    def signed_id(self) -> str:
        return str(self.said["signed_id"])

    @property
    def url(self) -> str:
        return str(self.said["direct_upload"]["url"])

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.said["direct_upload"]["headers"])

    def send(
        self,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> Answer:
        """PUT the bytes, or others, where they go."""
        return fetch(
            url or self.url,
            "PUT",
            self.headers if headers is None else headers,
            self.content if content is None else content,
        )


def description(content: bytes, **changes: Any) -> dict[str, Any]:
    """What a client says of a file before it sends it; what is `...` it leaves out."""
    said = {
        "filename": "cv.pdf",
        "content_type": PDF_TYPE,
        "byte_size": len(content),
        "checksum": checksum(content),
        **changes,
    }
    return {name: value for name, value in said.items() if value is not ...}


def announce(client: Client, driver: Driver, content: bytes, **changes: Any) -> Announced:
    body = json.dumps({"blob": description(content, **changes)})
    headers = {**driver.signed, "content-type": "application/json"}
    answer = client.send("POST", ANNOUNCE_PATH, headers, body)
    assert answer.status == 200, answer
    return Announced(content, answer.json)


def upload(client: Client, driver: Driver, content: bytes | None = None, **changes: Any) -> str:
    """The signed id of a file whose bytes are there."""
    return upload_blob(client, driver, content, **changes).signed_id


def upload_blob(
    client: Client, driver: Driver, content: bytes | None = None, **changes: Any
) -> Announced:
    blob = announce(client, driver, pdf() if content is None else content, **changes)
    sent = blob.send()
    assert sent.status in {200, 204}, sent
    return blob


def attach(client: Client, driver: Driver, **files: Any) -> dict[str, Any]:
    """The profile after a PATCH."""
    answer = driver.send(client, "PATCH", files)
    assert answer.status == 200, answer
    profile: dict[str, Any] = answer.json["profile"]
    return profile


def fetch(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own, wherever `url` leads."""
    parts = urlsplit(url)
    client = Client(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    answer = client.send(method, path, headers or {}, body)
    client.close()
    return answer


def followed(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """What a browser gets, which goes where it is sent."""
    answer = fetch(url, headers=headers)
    if answer.status == 302:
        return fetch(answer.header("location") or "", headers=headers)
    return answer


def _saved(save: Any) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()
