"""The files themselves, for who has a URL that a profile showed."""

import base64
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs, quote

from roadworthy.database import Database
from roadworthy.documents.access import may_see
from roadworthy.documents.blob import SHOWN_INLINE, name_to_save
from roadworthy.documents.files import Files
from roadworthy.documents.leaving import begun
from roadworthy.documents.links import VIEW_PATH
from roadworthy.documents.pages import PAGE_TYPE, Pages
from roadworthy.documents.signatures import Permission, Signatures
from roadworthy.documents.view_queries import Viewable, find_viewable, record_view
from roadworthy.storage import Download
from roadworthy.wire import (
    KEPT_BY_NOBODY,
    NotFound,
    Operation,
    Part,
    Request,
    Response,
    Route,
    StreamedResponse,
    has_already,
    network_of,
    part_wanted,
)

Manner = Literal["attachment", "inline"]

SANDBOX = "sandbox; default-src 'none'"
_PAGE = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_NOT_PLAIN = re.compile(r'[^ -~]|["\\%]')


class ViewRoutes:
    """See files and pages of them; `clock` gives the time, in UTC."""

    def __init__(
        self,
        database: Database,
        files: Files,
        pages: Pages,
        signatures: Signatures,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._files = files
        self._storage = files.storage
        self._pages = pages
        self._signatures = signatures
        self._clock = clock

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", VIEW_PATH, self.show, _SHOW)

    async def show(self, request: Request) -> Response:
        """Hand out a file, or the part of it that is asked for, and record who is shown it."""
        permission, file = await self._permitted(request)
        number = _page_number(request)
        if number is not None:
            return await self._show_page(request, permission, file, number)
        manner = _manner(request, file)
        if has_already(request, _etag(file)) or request.method == "HEAD":
            return _handed_out(file, manner, None, _nothing())
        wanted = part_wanted(
            request.header(b"range"), request.header(b"if-range"), _etag(file), file.byte_size
        )
        with ExitStack() as leaving:
            piece_bytes = leaving.enter_context(self._files.leaving.one(permission.viewer))
            await self._record(permission, file, manner)
            if url := self._elsewhere(file, manner):
                return Response(302, headers={"location": url})
            part = wanted or Part(0, file.byte_size)
            content = await begun(self._storage.read(file.key, part.start, part.stop, piece_bytes))
            response = _handed_out(file, manner, wanted, content)
            response.done = leaving.pop_all().close
            return response

    async def _show_page(
        self, request: Request, permission: Permission, file: Viewable, number: int
    ) -> Response:
        etag, place = f'{_etag(file)[:-1]}-{number}"', network_of(request.client)
        headers = {
            "content-disposition": _page_disposition(file, number),
            "content-security-policy": SANDBOX,
        }
        body = b""
        has_it = has_already(request, etag)
        if not has_it or request.header(b"if-none-match") == "*":  # which no page has that is none
            with self._files.leaving.one(permission.viewer):
                body = await self._pages.page(permission.viewer, file.key, number, place)
        if not has_it and request.method != "HEAD":
            await self._record(permission, file, "inline")
        response = Response(200, body, etag=etag, content_type=PAGE_TYPE, headers=headers)
        response.cache_control = KEPT_BY_NOBODY
        return response

    async def _permitted(self, request: Request) -> tuple[Permission, Viewable]:
        """What the URL allows, as far as it still does. Raises `NotFound`."""
        permission = self._signatures.permission(request.captured["token"], self._clock())
        if permission is None:
            raise NotFound
        file = await self._database.read(find_viewable, permission.blob_id)
        if file is None or not may_see(permission.viewer, file.subject):
            raise NotFound
        return permission, file

    async def _record(self, permission: Permission, file: Viewable, manner: str) -> None:
        """On disk before a byte is shown."""
        await self._database.write_one(
            record_view,
            file.subject.user_id,
            permission.blob_id,
            permission.viewer,
            manner,
            self._clock(),
        )

    def _elsewhere(self, file: Viewable, manner: Manner) -> str | None:
        """Where the storage hands it out itself, if it does."""
        if manner != "attachment":
            return None
        download = Download(file.content_type, _disposition(manner, file))
        return self._storage.direct_download(file.key, download)


def _manner(request: Request, file: Viewable) -> Manner:
    """Inline only when asked for, and only what shows and does nothing else."""
    asked = parse_qs(request.query.decode("latin-1")).get("disposition")
    return "inline" if asked == ["inline"] and file.content_type in SHOWN_INLINE else "attachment"


def _page_number(request: Request) -> int | None:
    """The page that is asked for, if one is. Raises `NotFound` for what is no number of one."""
    asked = parse_qs(request.query.decode("latin-1"), keep_blank_values=True).get("page")
    if asked is None:
        return None
    if not _PAGE.fullmatch(asked[0]) or len(asked) > 1:
        raise NotFound
    return int(asked[0])


def _handed_out(
    file: Viewable, manner: Manner, part: Part | None, content: AsyncGenerator[bytes, None]
) -> StreamedResponse:
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": _disposition(manner, file),
        "content-security-policy": SANDBOX,
    }
    if part:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.byte_size}"
    return StreamedResponse(
        206 if part else 200,
        content,
        part.stop - part.start if part else file.byte_size,
        etag=_etag(file),
        content_type=file.content_type,
        headers=headers,
    )


def _etag(file: Viewable) -> str:
    return f'"{base64.b64decode(file.checksum).hex()}"'


def _disposition(manner: Manner, file: Viewable) -> str:
    return _named(manner, name_to_save(file.filename, file.content_type))


def _page_disposition(file: Viewable, number: int) -> str:
    return _named("inline", name_to_save(f"{file.filename}, page {number}", PAGE_TYPE))


def _named(manner: Manner, filename: str) -> str:
    """With the name as any client reads it, and as it is (RFC 6266, 4.3)."""
    plain = _NOT_PLAIN.sub("_", filename)
    return f"{manner}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


async def _nothing() -> AsyncGenerator[bytes, None]:
    for part in (b"",):
        yield part


_SHOW = Operation(
    "See a file, by the URL that a profile shows",
    tag="Files",
    answers={
        200: "The file",
        206: "The part of it that was asked for",
        302: "It is elsewhere, for a minute",
        404: "The URL has expired or was edited, the file is there no more, or it has no such page "
        "that can be drawn",
        416: "There is no such part",
    },
    in_path={"token": "What the URL allows"},
    may_query={
        "disposition": "`inline` to show a photograph or a PDF, not save it",
        "page": "A page of a PDF by its number, or 1 of a photograph: as a JPEG",
    },
    answers_bytes=True,
    conditional=True,
)
