"""The interface that every storage meets."""

import base64
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from roadworthy.storage.errors import NotStored
from roadworthy.storage.spool import Spool, Stranded

UPLOAD_SECONDS = 5 * 60
"""How long a URL to upload to is good for."""
DOWNLOAD_SECONDS = 60

PIECE_BYTES = 128 * 1024

_KEY = re.compile(r"[a-z2-7]{32}", re.ASCII)


class Stored(NamedTuple):
    """A file that the storage has."""

    key: str
    byte_size: int
    modified_at: datetime


class Upload(NamedTuple):
    """What a client says of the bytes it is going to send."""

    content_type: str
    byte_size: int
    checksum: str
    """Base64 of the MD5."""


class DirectUpload(NamedTuple):
    """Where, and with which headers, a client sends a file itself."""

    url: str
    headers: dict[str, str]


class Download(NamedTuple):
    """How a file is handed out."""

    content_type: str
    disposition: str


class Storage(ABC):
    """Keeps files under keys of ours (`new_key`). Every call may raise `StorageAway`."""

    name: str
    """As clients are told, and blobs remember."""

    def __init__(self, spool: Spool):
        self.spool = spool

    @abstractmethod
    async def put(self, key: str, path: Path) -> None:
        """Keep the file at `path`, which may be moved away; durable when this returns.

        No key is used twice: whether a file that is there stays is the storage's affair.
        """

    @abstractmethod
    def read(
        self, key: str, start: int, stop: int, piece_bytes: int = PIECE_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` to before `stop`, in pieces. Raises `NotStored` before any, or
        where a file ends that was cut.
        """

    @abstractmethod
    async def size(self, key: str) -> int | None:
        """Of the file, in bytes; `None` when there is none."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove the file with its older versions; nothing happens when there is none."""

    @abstractmethod
    def batches(self) -> AsyncIterator[list[Stored]]:
        """All files, batch by batch, also those that clients have sent and nobody has accepted."""

    async def stranded(self, before: datetime) -> list[Stranded]:
        """What is left of files that never arrived whole, and has not changed since `before`."""
        return await self.spool.stranded(before)

    async def sweep(self, before: datetime) -> None:
        """Remove that."""
        await self.spool.sweep(before)

    def direct_upload(self, key: str, upload: Upload) -> DirectUpload | None:  # noqa: ARG002
        """Where a client sends the file itself, for `UPLOAD_SECONDS`; `None`: through us."""
        return None

    @abstractmethod
    async def accept(self, key: str) -> str | None:
        """Copy what a client sent by `direct_upload` to where it can send no more.

        The key of the copy; `None` when nothing was sent.
        """

    def direct_download(self, key: str, download: Download) -> str | None:  # noqa: ARG002
        """Where a client fetches the file itself, for `DOWNLOAD_SECONDS`; `None`: from us."""
        return None

    @asynccontextmanager
    async def fetched(self, key: str) -> AsyncIterator[Path]:
        """The file as one on this machine, for reading. Raises `NotStored`."""
        size = await self.size(key)
        if size is None:
            raise NotStored
        async with self.spool.receive(self.read(key, 0, size), size) as file:
            yield file.path

    @abstractmethod
    async def close(self) -> None:
        """Let go of what is open."""


def new_key() -> str:
    """A name for a file that nobody guesses."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


def is_key(name: str) -> bool:
    """Whether `name` is such a key."""
    return _KEY.fullmatch(name) is not None


def require_key(key: str) -> str:
    """`key`, when it is one of ours: it becomes part of a path. Raises `ValueError`."""
    if not is_key(key):
        raise ValueError("this is no key of ours")
    return key
