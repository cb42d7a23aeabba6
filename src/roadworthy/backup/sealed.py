"""An encrypted file, written and read as a stream: `docs/operators.md` describes the format.

The chunks are numbered, and the last is marked, so that none can be changed, moved, left out or
cut off unseen (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption, 2015).
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from roadworthy.backup.errors import BackupError

CHUNK = 1024 * 1024

_NAME = b"roadworthy backup "
_FORMAT = 1
_TAG = 16
_MAC = 32
_LAST = 1 << 31
_LONGEST_HEADER = 4096
_MOST_MEMORY = 1024**3
_MOST_LANES = 4
_BLOCK_SIZE = 8


class Header(msgspec.Struct, frozen=True):
    """How the key is made, and what stands in the file. Nobody can change it unseen."""

    made_at: str
    release: str
    schema: str
    salt: str
    n: int = 2**17  # OWASP Password Storage Cheat Sheet: scrypt with 128 MiB
    r: int = _BLOCK_SIZE
    p: int = 1
    lineage: tuple[str, ...] = ()
    """Of the database in it; an older release did not say."""


@dataclass(frozen=True)
class _Keys:
    chunks: AESGCM
    header: bytes


class Sealer:
    """Writes what is written to it encrypted to `file`; `close` marks the end."""

    def __init__(
        self,
        file: BinaryIO,
        passphrase: str,
        *,
        made_at: str,
        release: str,
        schema: str,
        lineage: Sequence[str] = (),
    ):
        header = Header(made_at, release, schema, os.urandom(16).hex(), lineage=tuple(lineage))
        head = _NAME + b"%d\n" % _FORMAT + msgspec.json.encode(header) + b"\n"
        keys = _keys(header, passphrase)
        file.write(head + hmac.digest(keys.header, head, hashlib.sha256))
        self._file = file
        self._cipher = keys.chunks
        self._waiting = bytearray()
        self._number = 0

    def write(self, content: bytes) -> int:
        """As of a file."""
        self._waiting += content
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), mark=0)
            del self._waiting[:CHUNK]
        return len(content)

    def close(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._waiting), mark=_LAST)

    def _seal(self, content: bytes, mark: int) -> None:
        frame = (len(content) + _TAG | mark).to_bytes(4, "big")
        self._file.write(frame + self._cipher.encrypt(_nonce(self._number), content, frame))
        self._number += 1


class Opener:
    """Reads what a `Sealer` wrote to `file`. Raises `BackupError` when it is not all that."""

    def __init__(self, file: BinaryIO, passphrase: str, name: str):
        self._file = file
        self._name = name
        self.header, self._cipher = self._begin(passphrase)
        self._ready = b""
        self._number = 0
        self._has_ended = False

    def read(self, size: int) -> bytes:
        """As of a file."""
        while len(self._ready) < size and not self._has_ended:
            self._ready += self._open_chunk()
        content, self._ready = self._ready[:size], self._ready[size:]
        return content

    def finish(self) -> None:
        """Read to the end, which must be marked and have nothing after it."""
        while not self._has_ended:
            self._open_chunk()
        if self._file.read(1):
            raise self._changed()

    def _begin(self, passphrase: str) -> tuple[Header, AESGCM]:
        first = self._file.readline(len(_NAME) + 16)
        number = first.removeprefix(_NAME).strip()
        if not first.startswith(_NAME) or not number.isdigit():
            raise BackupError(f"{self._name} is not a backup of Roadworthy")
        if int(number) != _FORMAT:
            raise newer(self._name)
        second = self._file.readline(_LONGEST_HEADER)
        header = self._judged(second)
        keys = _keys(header, passphrase)
        mac = self._file.read(_MAC)
        if not hmac.compare_digest(mac, hmac.digest(keys.header, first + second, hashlib.sha256)):
            raise BackupError(
                f"the passphrase is not the one {self._name} was made with "
                "(or somebody changed how the file begins)"
            )
        return header, keys.chunks

    def _judged(self, line: bytes) -> Header:
        """Before anybody may have us spend the memory that it asks for."""
        try:
            header = msgspec.json.decode(line, type=Header)
            bytes.fromhex(header.salt)
        except (ValueError, UnicodeDecodeError):
            raise self._changed() from None
        if not line.endswith(b"\n"):
            raise self._changed()
        n, r, p = header.n, header.r, header.p
        fits = n > 1 and n & (n - 1) == 0 and r == _BLOCK_SIZE and 0 < p <= _MOST_LANES
        fits = fits and 128 * n * r <= _MOST_MEMORY
        if not fits:
            raise self._changed()
        return header

    def _open_chunk(self) -> bytes:
        frame = self._exactly(4)
        length = int.from_bytes(frame, "big")
        self._has_ended = bool(length & _LAST)
        length &= ~_LAST
        if not _TAG <= length <= CHUNK + _TAG:
            raise self._changed()
        sealed = self._exactly(length)
        try:
            content = self._cipher.decrypt(_nonce(self._number), sealed, frame)
        except InvalidTag:
            raise self._changed() from None
        self._number += 1
        return content

    def _exactly(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise BackupError(f"{self._name} is cut off: take another copy of it, or another one")
        return content

    def _changed(self) -> BackupError:
        return BackupError(
            f"{self._name} is not as it was written: take another copy of it, or another one"
        )


def newer(name: str) -> BackupError:
    """What is said of a backup that a later release made."""
    return BackupError(
        f"{name} was made by a newer release of Roadworthy: install that to restore it"
    )


def _keys(header: Header, passphrase: str) -> _Keys:
    kdf = Scrypt(salt=bytes.fromhex(header.salt), length=64, n=header.n, r=header.r, p=header.p)
    derived = kdf.derive(passphrase.encode("utf-8", "surrogateescape"))  # as the environment has it
    return _Keys(AESGCM(derived[:32]), derived[32:])


def _nonce(number: int) -> bytes:
    """Each key is of one file only, so a chunk's number will do."""
    return number.to_bytes(12, "big")
