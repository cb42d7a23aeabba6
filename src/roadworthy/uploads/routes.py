"""`/api/v1/uploads`: files sent in as many requests as the signal takes (tus 1.0)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from email.utils import format_datetime
from http import HTTPStatus

from roadworthy.accounts import Guard, SignedIn
from roadworthy.database import Busy, Unavailable
from roadworthy.documents import Signatures
from roadworthy.storage import StorageAway
from roadworthy.storage.core import is_key
from roadworthy.uploads.queries import Upload
from roadworthy.uploads.upload import ALGORITHMS, Checksum, checksum_in, judge_upload, number
from roadworthy.uploads.uploads import Uploads
from roadworthy.wire import (
    BadRequest,
    Conflict,
    Idempotency,
    Keep,
    MethodNotAllowed,
    NotFound,
    Operation,
    Refusal,
    Request,
    Response,
    Route,
    ServiceUnavailable,
)
from roadworthy.wire.errors import PreconditionFailed, UnsupportedMediaType
from roadworthy.wire.headers import NO_STORE

PATH = "/api/v1/uploads"
UPLOAD_PATH = "/api/v1/uploads/{upload}"

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
BODY_TYPE = "application/offset+octet-stream"
_OF_CREATION = (b"upload-length", b"upload-metadata", b"content-type", b"upload-checksum")

Handler = Callable[[Request, SignedIn], Awaitable[Response]]


class UploadRoutes:
    """Begin, continue and end uploads."""

    def __init__(
        self,
        uploads: Uploads,
        guard: Guard,
        signatures: Signatures,
        idempotency: Idempotency,
        public_url: str,
    ):
        self._uploads = uploads
        self._guard = guard
        self._signatures = signatures
        self._idempotency = idempotency
        self._public_url = public_url

    def __iter__(self) -> Iterator[Route]:
        yield Route("POST", PATH, self.of_all, _CREATE)
        yield Route("OPTIONS", PATH, self.of_all, _OPTIONS)
        yield Route("HEAD", UPLOAD_PATH, self.of_one, _SHOW)
        yield Route("PATCH", UPLOAD_PATH, self.of_one, _CONTINUE)
        yield Route("DELETE", UPLOAD_PATH, self.of_one, _TERMINATE)
        yield Route("OPTIONS", UPLOAD_PATH, self.of_one, _OPTIONS_OF_ONE)
        yield Route("POST", UPLOAD_PATH, self.of_one, _OVERRIDDEN)

    async def of_all(self, request: Request) -> Response:
        """What can be done with uploads together."""
        return await self._answer(request, {"POST": self._create, "OPTIONS": self._describe})

    async def of_one(self, request: Request) -> Response:
        """What can be done with one upload."""
        methods = {
            "HEAD": self._show,
            "PATCH": self._continue,
            "DELETE": self._terminate,
            "OPTIONS": self._describe,
        }
        return await self._answer(request, methods)

    async def _answer(self, request: Request, methods: Mapping[str, Handler]) -> Response:
        """What the handler of the method answers, as tus wants every answer."""
        try:
            response = await self._handled(request, methods)
        except Refusal as refusal:
            response = _refused(refusal)
        except (Busy, Unavailable, StorageAway):
            response = _refused(ServiceUnavailable())
        response.headers = {"tus-resumable": VERSION, **(response.headers or {})}
        response.cache_control = NO_STORE
        return response

    async def _handled(self, request: Request, methods: Mapping[str, Handler]) -> Response:
        driver = await self._guard.admit(request)
        method = request.header(b"x-http-method-override") or request.method
        handler = methods.get(method)
        if handler is None:
            raise MethodNotAllowed(methods)
        if method != "OPTIONS" and request.header(b"tus-resumable") != VERSION:
            raise PreconditionFailed(headers={"tus-version": VERSION})
        return await handler(request, driver)

    async def _describe(self, _: Request, __: SignedIn) -> Response:
        headers = {
            "tus-version": VERSION,
            "tus-extension": EXTENSIONS,
            "tus-max-size": str(self._uploads.most_bytes),
            "tus-checksum-algorithm": ",".join(ALGORITHMS),
        }
        return Response(204, headers=headers)

    async def _create(self, request: Request, driver: SignedIn) -> Response:
        """Begin one, or find the one that was begun under the same `Idempotency-Key`.

        A body is taken unless some of it is there: then, how the upload stands says what is not.
        """
        answer = await self._idempotency.once(
            request, driver.id, lambda keep: self._begin(request, driver, keep), said=_said(request)
        )
        if answer.status != HTTPStatus.CREATED:
            return answer
        upload = await self._uploads.find(driver.id, answer.body.decode())
        base = self._public_url or request.base_url
        location = {"location": base + UPLOAD_PATH.format(upload=upload.name)}
        if _is_sent(request) and upload.offset == 0:
            return await self._begun(request, upload, location)
        return await self._standing(201, upload, location)

    async def _begin(self, request: Request, driver: SignedIn, keep: Keep | None) -> Response:
        """The name of a new one, as what is answered depends on what comes of it."""
        if request.header(b"upload-defer-length") is not None:
            raise BadRequest("Upload-Length cannot be said later")
        new = judge_upload(
            request.header(b"upload-length"),
            request.header(b"upload-metadata"),
            self._uploads.most_bytes,
        )
        checksum_in(request.header(b"upload-checksum"))
        if _is_sent(request):
            request.require_at_most(new.byte_size)
        elif request.declared_bytes != 0:
            raise UnsupportedMediaType
        upload = await self._uploads.create(driver.id, new, keep)
        return Response(HTTPStatus.CREATED, upload.name.encode())

    async def _begun(self, request: Request, upload: Upload, location: dict[str, str]) -> Response:
        """How the upload stands with the body of its creation.

        Unless who began it is told where it is, or can ask by a key, it ends.
        """
        checksum = checksum_in(request.header(b"upload-checksum"))
        has_key = bool(request.header(b"idempotency-key"))
        try:
            further = await self._take(request, upload, checksum)
            return await self._standing(201, further, location)
        except Conflict:  # the same was sent at once, and was quicker
            return await self._standing(
                201, await self._uploads.find(upload.user_id, upload.name), location
            )
        except BaseException:
            if not has_key:
                with suppress(Busy, Unavailable, StorageAway):  # then the purge removes the rest
                    await self._uploads.terminate(upload)
            raise

    async def _show(self, request: Request, driver: SignedIn) -> Response:
        upload = await self._found(request, driver)
        headers = {"upload-length": str(upload.byte_size)}
        if upload.metadata:
            headers["upload-metadata"] = upload.metadata
        return await self._standing(200, upload, headers)

    async def _continue(self, request: Request, driver: SignedIn) -> Response:
        upload = await self._found(request, driver)
        if request.header(b"content-type") != BODY_TYPE:
            raise UnsupportedMediaType
        if number(request.header(b"upload-offset"), "Upload-Offset") != upload.offset:
            raise Conflict
        checksum = checksum_in(request.header(b"upload-checksum"))
        request.require_at_most(upload.remaining)
        if upload.remaining:
            upload = await self._take(request, upload, checksum)
        return await self._standing(204, upload, {})

    async def _terminate(self, request: Request, driver: SignedIn) -> Response:
        await self._uploads.terminate(await self._found(request, driver))
        return Response(204)

    async def _found(self, request: Request, driver: SignedIn) -> Upload:
        name = request.captured["upload"]
        if not is_key(name):
            raise NotFound
        return await self._uploads.find(driver.id, name)

    async def _take(self, request: Request, upload: Upload, checksum: Checksum | None) -> Upload:
        body: AsyncIterator[bytes] = request.parts(upload.remaining)
        return await self._uploads.take(upload, body, checksum, lambda: self._guard.admit(request))

    async def _standing(self, status: int, upload: Upload, headers: dict[str, str]) -> Response:
        """How the upload stands now, and what to attach it by when it is whole."""
        headers["upload-offset"] = str(upload.offset)
        blob_id = await self._uploads.blob_of(upload)
        if blob_id is None:
            headers["upload-expires"] = format_datetime(upload.expires_at, usegmt=True)
        else:
            headers["upload-signed-id"] = self._signatures.signed_id(blob_id)
        return Response(status, headers=headers)


def _is_sent(request: Request) -> bool:
    """Whether the file begins in the body of its upload's creation."""
    return request.header(b"content-type") == BODY_TYPE


def _said(request: Request) -> bytes:
    """What a retry of a creation says again; its body may break off elsewhere."""
    return b"\0".join(request.headers.get(name, b"") for name in _OF_CREATION)


def _refused(refusal: Refusal) -> Response:
    return Response(refusal.status, refusal.body, headers=refusal.headers)


_VERSION = {"Tus-Resumable": "1.0.0"}
_LENGTH = {
    "Upload-Length": "The file's length in bytes",
    "Upload-Metadata": "`filename` and `filetype`, each with its value in base64",
}
_OFFSET = {"Upload-Offset": "Where the body continues"}
_CHECKSUM = {"Upload-Checksum": "`md5`, `sha1` or `sha256`, and in base64 that of the body"}
_OVERRIDE = {"X-HTTP-Method-Override": "The method, where a client cannot send it"}
_IN_PATH = {"upload": "The last part of the URL that `Location` gave"}
_USUAL = {
    405: "`X-HTTP-Method-Override` says what cannot be done here",
    412: "`Tus-Resumable` is not 1.0.0",
}
_UNKNOWN = {
    **_USUAL,
    404: "There is no such upload of this driver",
    410: "It has expired",
}
_BODY = {
    400: "A header cannot be read, or the body broke off: what came of it is kept",
    408: "The body did not arrive in time: what came of it is kept",
    409: "`Upload-Offset` is not where the upload stands: ask with HEAD",
    413: "The body, or the file, is longer than it may be",
    415: "The body is not `application/offset+octet-stream`",
    429: "Too many uploads, or files, of this driver",
    460: "The body is not what `Upload-Checksum` says: nothing of it is kept",
}
_CREATE = Operation(
    "Begin an upload that can be resumed (tus 1.0)",
    tag="Files",
    answers={
        **_USUAL,
        **_BODY,
        201: "`Location` is where it continues; with a whole body, `Upload-Signed-Id` attaches it",
        204: "What OPTIONS answers, where `X-HTTP-Method-Override` asks for it",
        422: "Values of `Upload-Metadata` or `Upload-Length` refused",
    },
    in_header=_VERSION | _LENGTH | _CHECKSUM,
    signed_in=True,
    keeps_answers=True,
)
_OPTIONS = Operation(
    "What of tus is spoken, and how long a file may be",
    tag="Files",
    answers={
        204: "In the `Tus-` headers",
        405: "`X-HTTP-Method-Override` says what cannot be done here",
    },
    in_header=_OVERRIDE,
    signed_in=True,
)
_OPTIONS_OF_ONE = replace(_OPTIONS, in_path=_IN_PATH)
_SHOW = Operation(
    "How an upload stands",
    tag="Files",
    answers={
        200: "`Upload-Offset` is where to continue; of what is whole, `Upload-Signed-Id` is there",
        **_UNKNOWN,
        413: "The file is longer than one may be by now: there is no such upload any more",
        429: "Too many files of this driver wait to be attached",
    },
    in_path=_IN_PATH,
    in_header=_VERSION,
    signed_in=True,
)
_CONTINUE = Operation(
    "Continue an upload",
    tag="Files",
    answers={204: "`Upload-Offset` bytes are kept", **_UNKNOWN, **_BODY},
    in_path=_IN_PATH,
    in_header=_VERSION | _OFFSET | _CHECKSUM,
    signed_in=True,
)
_TERMINATE = Operation(
    "Give an upload up",
    tag="Files",
    answers={204: "Nothing is left of it, unless it is attached", **_UNKNOWN},
    in_path=_IN_PATH,
    in_header=_VERSION,
    signed_in=True,
)
_OVERRIDDEN = Operation(
    "What `X-HTTP-Method-Override` says: HEAD, PATCH, DELETE or OPTIONS",
    tag="Files",
    answers={200: "As HEAD", 204: "As the others", **_UNKNOWN, **_BODY},
    in_path=_IN_PATH,
    in_header=_VERSION | _OVERRIDE | _OFFSET | _CHECKSUM,
    signed_in=True,
)
