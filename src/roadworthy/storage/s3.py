"""An S3-compatible bucket: clients send and fetch by URLs that we sign."""

import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import obstore
import structlog
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from roadworthy.storage.core import (
    DOWNLOAD_SECONDS,
    PIECE_BYTES,
    UPLOAD_SECONDS,
    DirectUpload,
    Download,
    Storage,
    Stored,
    Upload,
    is_key,
    new_key,
    require_key,
)
from roadworthy.storage.errors import NotStored, StorageAway
from roadworthy.storage.place import Bucket
from roadworthy.storage.spool import Spool, Stranded
from roadworthy.storage.threads import Threads

log = structlog.get_logger()

T = TypeVar("T")

INCOMING = "incoming"
BATCH = 500
CONNECT_SECONDS = 5
REQUEST_SECONDS = 60
STREAM_SECONDS = 60 * 60
"""Whom we send a file on to may be slow."""
NOT_FOUND = (NotFoundError, FileNotFoundError)
REFUSES_LISTS = frozenset({400, 405, 501})
"""What servers that know no versions, or no parts, answer to who asks for them."""
WHOLE_BYTES = 32 * 1024 * 1024
"""What is no longer is sent in one piece: if we end meanwhile, the bucket keeps none of it."""


class _Unfinished(NamedTuple):
    """A file that is being sent in parts, or was when we ended."""

    name: str
    upload_id: str
    begun_at: datetime


class S3Storage(Storage):
    """Clients send to `incoming/`; a file that is accepted is copied to where no client writes."""

    name = "s3"

    def __init__(self, bucket: Bucket, incoming: Path):
        super().__init__(Spool(incoming))
        self._bucket = bucket
        self._signing = SigningCredentials(
            bucket.access_key_id, bucket.secret_access_key, bucket.session_token
        )
        self._store = _store(bucket)
        self._requests = Threads("bucket")  # a slow bucket holds up no file on its way

    async def put(self, key: str, path: Path) -> None:
        name = self._name(key)
        try:
            size = (await self.spool.off_loop(path.stat)).st_size
            await obstore.put_async(self._store, name, path, use_multipart=size > WHOLE_BYTES)
        except (BaseError, OSError) as error:  # the bucket, if it says that something is not found
            raise _away(error) from error

    async def read(
        self, key: str, start: int, stop: int, piece_bytes: int = PIECE_BYTES
    ) -> AsyncGenerator[bytes, None]:
        stream, at = await self._stream(self._name(key), start, stop, piece_bytes)
        while at < stop:
            try:
                piece = bytes(await anext(stream))
            except (StopAsyncIteration, BaseError, OSError) as error:
                raise _away(error) from error
            wanted = piece[max(0, start - at) : stop - at]
            at += len(piece)
            if wanted:
                yield wanted

    async def _stream(
        self, name: str, start: int, stop: int, piece_bytes: int
    ) -> tuple[AsyncIterator[Any], int]:
        """The object from somewhere at or before `start` on, and from where."""
        if start:
            try:
                found = await obstore.get_async(self._store, name, options={"range": (start, stop)})
                return aiter(found.stream(piece_bytes)), start
            except NOT_FOUND:
                raise await self._missing() from None
            except (BaseError, OSError):
                pass  # some servers send the part but do not call it one: then all, and skip
        found = await self._asked(obstore.get_async(self._store, name))
        return aiter(found.stream(piece_bytes)), 0

    async def size(self, key: str) -> int | None:
        return await self._size(self._name(key))

    async def delete(self, key: str) -> None:
        for name in (self._name(key), self._incoming(key)):
            await self._requests.off_loop(self._delete_versions, name)

    async def batches(self) -> AsyncIterator[list[Stored]]:
        stream = obstore.list(self._store, self._bucket.prefix or None, chunk_size=BATCH)
        while True:
            try:
                batch = await anext(stream)
            except StopAsyncIteration:
                return
            except BaseError as error:
                raise _away(error) from error
            named = [(self._key_of(each["path"]), each) for each in batch]
            yield [Stored(key, each["size"], each["last_modified"]) for key, each in named if key]

    async def stranded(self, before: datetime) -> list[Stranded]:
        parts = await self._requests.off_loop(lambda: list(self._unfinished(before)))
        ours = [Stranded(each.name, each.begun_at) for each in parts]
        return await super().stranded(before) + ours

    async def sweep(self, before: datetime) -> None:
        await super().sweep(before)
        await self._requests.off_loop(self._give_up, before)

    def _give_up(self, before: datetime) -> None:
        for each in list(self._unfinished(before)):
            self._ask("DELETE", each.name, {"uploadId": each.upload_id})

    def _unfinished(self, before: datetime) -> Iterator[_Unfinished]:
        query = {"uploads": "", "prefix": self._bucket.prefix}
        for page in self._pages(query, {"upload-id-marker": "NextUploadIdMarker"}):
            for entry in page.iter("Upload"):
                name, upload_id = entry.findtext("Key") or "", entry.findtext("UploadId") or ""
                begun = datetime.fromisoformat(entry.findtext("Initiated") or "")
                if self._key_of(name) and begun < before:
                    yield _Unfinished(name, upload_id, begun)

    def _key_of(self, name: str) -> str | None:
        """The key of an object of ours: others may share the bucket."""
        inner = name.removeprefix(f"{self._bucket.prefix}/") if self._bucket.prefix else name
        key = inner.removeprefix(f"{INCOMING}/")
        return key if is_key(key) else None

    def direct_upload(self, key: str, upload: Upload) -> DirectUpload | None:
        headers = {"Content-Type": upload.content_type, "Content-MD5": upload.checksum}
        signed = {**headers, "Content-Length": str(upload.byte_size)}
        url = self._signed("PUT", self._incoming(key), UPLOAD_SECONDS, headers=signed)
        return DirectUpload(url, headers)

    async def accept(self, key: str) -> str | None:
        copy = new_key()
        try:
            await self._asked(
                obstore.copy_async(self._store, self._incoming(key), self._name(copy))
            )
        except NotStored:
            return None
        return copy

    def direct_download(self, key: str, download: Download) -> str | None:
        query = {
            "response-content-type": download.content_type,
            "response-content-disposition": download.disposition,
            "response-cache-control": "private, no-store",
        }
        return self._signed("GET", self._name(key), DOWNLOAD_SECONDS, query=query)

    async def close(self) -> None:
        self._requests.close()
        self.spool.close()

    def _name(self, key: str) -> str:
        return "/".join(filter(None, (self._bucket.prefix, require_key(key))))

    def _incoming(self, key: str) -> str:
        return "/".join(filter(None, (self._bucket.prefix, INCOMING, require_key(key))))

    async def _size(self, name: str) -> int | None:
        try:
            return (await self._asked(obstore.head_async(self._store, name)))["size"]
        except NotStored:
            return None

    async def _asked(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except NOT_FOUND:
            raise await self._missing() from None
        except (BaseError, OSError) as error:
            raise _away(error) from error

    async def _missing(self) -> NotStored:
        """What a file is that is not found. Raises `StorageAway` when the bucket is not either."""
        await self._requests.off_loop(self._require_bucket)
        return NotStored()

    def _require_bucket(self) -> None:
        """By what a key that is confined to our prefix may ask too."""
        prefix = f"{self._bucket.prefix}/" if self._bucket.prefix else ""
        query = {"list-type": "2", "max-keys": "1", "prefix": prefix}
        self._ask("GET", "", query, is_required=True)

    def _delete_versions(self, name: str) -> None:
        versions = self._versions(name)
        for version in versions:
            self._ask("DELETE", name, {"versionId": version})
        if not versions:
            self._ask("DELETE", name)

    def _versions(self, name: str) -> list[str]:
        """Of the object itself and of what marks it deleted; none where there are no versions.

        What came before the bucket kept versions is one of them: `null`.
        """
        found: list[str] = []
        query = {"versions": "", "prefix": name}
        for page in self._pages(query, {"version-id-marker": "NextVersionIdMarker"}):
            for entry in (*page.iter("Version"), *page.iter("DeleteMarker")):
                version = entry.findtext("VersionId")
                if entry.findtext("Key") == name and version:
                    found.append(version)
        return found

    def _pages(
        self, query: Mapping[str, str], marker: Mapping[str, str]
    ) -> Iterator[ElementTree.Element]:
        """Of a list, each asked for after what the one before says; none where there is no list."""
        markers = {"key-marker": "NextKeyMarker", **marker}
        while (answer := self._ask("GET", "", query)) is not None:
            page = _without_namespaces(answer)
            yield page
            after = {name: page.findtext(tag) or "" for name, tag in markers.items()}
            if page.findtext("IsTruncated") != "true" or after.items() <= query.items():
                return
            query = {**query, **after}

    def _ask(
        self,
        method: str,
        name: str,
        query: Mapping[str, str] | None = None,
        *,
        is_required: bool = False,
    ) -> bytes | None:
        """The body of the answer; `None` where there is no such thing, unless it `is_required`."""
        url = self._signed(method, name, REQUEST_SECONDS, query=query)
        request = urllib.request.Request(url, method=method)  # noqa: S310 -- the operator's
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND and not is_required:
                self._require_bucket()
                return None
            if query and query.keys() & {"versions", "uploads"} and error.code in REFUSES_LISTS:
                return None
            raise _away(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise _away(error) from None

    def _signed(
        self,
        method: str,
        name: str,
        seconds: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """A URL that allows this and nothing else; `headers` must be sent as they are here."""
        path = "/".join(quote(part, safe="/-_.~") for part in (self._bucket.name, name) if part)
        url = f"{self._bucket.endpoint}/{path}"
        if query:
            url += "?" + urlencode(query, quote_via=quote, safe="-_.~")
        request = AWSRequest(method, url, headers=dict(headers or {}))
        S3SigV4QueryAuth(self._signing, "s3", self._bucket.region, expires=seconds).add_auth(
            request
        )
        return str(request.url)


def _store(bucket: Bucket) -> S3Store:
    return S3Store(
        bucket.name,
        config={
            "aws_endpoint_url_s3": bucket.endpoint,
            "region": bucket.region,
            "access_key_id": bucket.access_key_id,
            "secret_access_key": bucket.secret_access_key,
            "virtual_hosted_style_request": False,
            **({"session_token": bucket.session_token} if bucket.session_token else {}),
        },
        client_options={
            "allow_http": bucket.endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=REQUEST_SECONDS),
            "timeout": timedelta(seconds=STREAM_SECONDS),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    )


def _away(error: Exception) -> StorageAway:
    """Without the error's words, which hold URLs that are signed."""
    reason = type(error).__name__
    if isinstance(error, urllib.error.HTTPError):
        reason = f"the bucket answers {error.code}"
    log.error("storage", reason=reason)
    return StorageAway(reason)


def _without_namespaces(document: bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(document)  # noqa: S314 -- the operator's own storage wrote it
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
