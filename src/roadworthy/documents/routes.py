"""Direct uploads, as `@rails/activestorage` makes them."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import msgspec

from roadworthy.accounts import Guard
from roadworthy.database import Connection, Database
from roadworthy.documents.blob import (
    CONTENT_TYPE_PATTERN,
    FILENAME_PATTERN,
    NewBlob,
    byte_size_pattern,
    content_type_value,
    judge_blob,
)
from roadworthy.documents.files import Files, too_many_requests
from roadworthy.documents.queries import Blob, TooManyBlobs, create_blob, find_blob_to_upload
from roadworthy.documents.schemas import BlobBody, Direct
from roadworthy.documents.signatures import Signatures
from roadworthy.storage import Upload, new_key
from roadworthy.storage.core import UPLOAD_SECONDS
from roadworthy.wire import (
    BadRequest,
    Idempotency,
    Keep,
    NotFound,
    Operation,
    Parameter,
    Request,
    Response,
    Route,
    Unprocessable,
    instant_text,
    json_response,
    nested,
    shapes,
)
from roadworthy.wire.parameters import Parameters
from roadworthy.wire.values import INVALID, Refused

UPLOAD_PATH = "/rails/active_storage/disk/{token}"
MOST_BLOB_BYTES = 16 * 1024


class DocumentRoutes:
    """Announce and send files; `clock` gives the time, in UTC."""

    def __init__(
        self,
        database: Database,
        files: Files,
        guard: Guard,
        signatures: Signatures,
        public_url: str,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._files = files
        self._storage = files.storage
        self._guard = guard
        self._signatures = signatures
        self._public_url = public_url
        self._clock = clock
        self._idempotency = Idempotency(database, clock)

    def __iter__(self) -> Iterator[Route]:
        announcing = _announcing(self._files.most_bytes)
        yield Route("POST", "/rails/active_storage/direct_uploads", self.announce)
        yield Route("POST", "/api/v1/direct_uploads", self.announce, announcing)
        yield Route("PUT", UPLOAD_PATH, self.upload)

    async def announce(self, request: Request) -> Response:
        """Create a blob, and say where its bytes go."""
        driver = await self._guard.admit(request)
        await request.body(MOST_BLOB_BYTES)
        return await self._idempotency.once(
            request, driver.id, lambda keep: self._announce(request, driver.id, keep)
        )

    async def _announce(self, request: Request, user_id: int, keep: Keep | None) -> Response:
        blob, errors = judge_blob(await _given(request), self._files.most_bytes)
        if errors:
            raise Unprocessable(errors)
        base, key, now = self._base(request), new_key(), self._clock()
        upload = Upload(blob.content_type, blob.byte_size, blob.checksum)
        elsewhere = self._storage.direct_upload(key, upload)

        def create(connection: Connection) -> Response:
            blob_id = create_blob(connection, user_id, blob, key, self._storage.name, now)
            direct = (
                Direct(elsewhere.url, elsewhere.headers)
                if elsewhere
                else self._through_us(blob_id, blob, base, now)
            )
            response = json_response(200, self._announced(blob_id, key, blob, direct, now))
            if keep:
                keep(connection, response.status, response.body)
            return response

        try:
            return await self._database.write(create)
        except TooManyBlobs as too_many:
            raise too_many_requests(too_many, now) from None

    def _announced(
        self, blob_id: int, key: str, blob: NewBlob, direct: Direct, now: datetime
    ) -> BlobBody:
        return BlobBody(
            blob_id,
            key,
            blob.filename,
            blob.content_type,
            {},
            self._storage.name,
            blob.byte_size,
            blob.checksum,
            instant_text(now),
            self._signatures.signed_id(blob_id),
            direct,
        )

    def _through_us(self, blob_id: int, blob: NewBlob, base: str, now: datetime) -> Direct:
        token = self._signatures.upload(blob_id, now + timedelta(seconds=UPLOAD_SECONDS))
        return Direct(base + UPLOAD_PATH.format(token=token), {"Content-Type": blob.content_type})

    async def upload(self, request: Request) -> Response:
        """Take the bytes of a blob."""
        blob = await self._blob_to_upload(request)
        most = self._files.most_bytes
        _require_as_announced(request, blob, most)
        async with self._files.room_for(blob.user_id or 0):
            await self._files.receive(blob, request.parts(most))
        return Response(204)

    async def _blob_to_upload(self, request: Request) -> Blob:
        blob_id = self._signatures.blob_to_upload(request.captured["token"], self._clock())
        if blob_id is None:
            raise NotFound
        blob = await self._database.read(find_blob_to_upload, blob_id)
        if blob is None:
            raise NotFound
        return blob

    def _base(self, request: Request) -> str:
        return self._public_url or request.base_url


async def _given(request: Request) -> Parameters:
    given = await nested(request, "blob", most=MOST_BLOB_BYTES)
    if not given:
        raise BadRequest("blob is missing or empty")
    return given


def _require_as_announced(request: Request, blob: Blob, most: int) -> None:
    """What can be seen before the bytes are; of a body over the limit that is said first."""
    try:
        content_type = content_type_value(request.header(b"content-type"))
    except Refused:
        content_type = ""
    if content_type != blob.content_type:
        raise Unprocessable({"content_type": [INVALID]})
    declared = request.header(b"content-length")
    if declared is None or int(declared) > most:
        return
    if int(declared) != blob.byte_size:
        raise Unprocessable({"byte_size": [INVALID]})


_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": FILENAME_PATTERN}
_TYPE = {"type": "string", "maxLength": 255, "pattern": CONTENT_TYPE_PATTERN}
_SUM = {"type": "string", "pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"}


def _parameters(most_bytes: int) -> tuple[Parameter, ...]:
    size = {"type": "integer", "minimum": 1, "maximum": most_bytes}
    digits = {"type": "string", "pattern": byte_size_pattern(most_bytes)}
    return (
        Parameter(
            "filename",
            "Its name, for people",
            shapes.Shape({"anyOf": [_NAME, {"type": "number"}]}, _NAME),
            required=True,
        ),
        Parameter(
            "content_type",
            "As the client knows it; what it is, its bytes say",
            shapes.Shape({"anyOf": [_TYPE, {"type": "null"}]}, _TYPE).optional(),
        ),
        Parameter(
            "byte_size",
            "Its length in bytes",
            shapes.Shape({"anyOf": [size, digits]}, digits),
            required=True,
        ),
        Parameter("checksum", "Base64 of its MD5", shapes.Shape(_SUM, _SUM), required=True),
    )


_EXAMPLE = {
    "filename": "cv.pdf",
    "content_type": "application/pdf",
    "byte_size": 68311,
    "checksum": "rL0Y20zC+Fzt72VPzMSk2A==",
}
_BLOB = BlobBody(
    id=12,
    key="2t64ytib2kji6qqfv5pji4emxxfswhvz",
    filename="cv.pdf",
    content_type="application/pdf",
    metadata={},
    service_name="local",
    byte_size=68311,
    checksum="rL0Y20zC+Fzt72VPzMSk2A==",
    created_at="2026-11-23T16:23:29.767Z",
    signed_id="AAAAAAAAAAyX3v2HkYcUbWDOTzRv6Z8w",
    direct_upload=Direct(
        "https://drivers.example.com/rails/active_storage/disk/AAAAAAAAAAw…",
        {"Content-Type": "application/pdf"},
    ),
)


def _announcing(most_bytes: int) -> Operation:
    return Operation(
        "Announce a file",
        tag="Files",
        answers={
            200: "Where its bytes go, and what it is attached by",
            422: "Values refused",
            429: "Too many files wait to be attached",
        },
        schema=BlobBody,
        answer=msgspec.json.encode(_BLOB),
        key="blob",
        parameters=_parameters(most_bytes),
        example=_EXAMPLE,
        signed_in=True,
        keeps_answers=True,
    )
