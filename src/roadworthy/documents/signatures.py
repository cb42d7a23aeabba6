"""What we sign so that it need not be looked up: signed ids, and URLs that carry a permission.

Each purpose has a key of its own, derived from the secrets that sign tokens (RFC 5869), so that
nothing signed for one can be used for another.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from roadworthy.documents.access import Viewer, ViewerKind

MAC_BYTES = 16
"""Half an HMAC-SHA-256, which is as hard to guess as a key of 128 bits (RFC 2104, 5)."""

# With their MAC these are multiples of three bytes, so that base64 has no bits to spare: whatever
# is edited is another text.
_BLOB = struct.Struct(">Q")
_UPLOAD = struct.Struct(">QHI")
_VIEW = struct.Struct(">sQQHI")

_KINDS: dict[bytes, ViewerKind] = {b"d": "driver", b"s": "staff"}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}


class Permission(NamedTuple):
    """Who may see which file."""

    viewer: Viewer
    blob_id: int


class Signatures:
    """Signs with the first of `secrets` and verifies with any."""

    def __init__(self, secrets: tuple[str, ...]):
        self._signed_id = _Purpose(secrets, b"roadworthy signed id")
        self._upload = _Purpose(secrets, b"roadworthy upload")
        self._view = _Purpose(secrets, b"roadworthy view")

    def signed_id(self, blob_id: int) -> str:
        """What a client attaches the blob by; always the same."""
        return self._signed_id.seal(_BLOB.pack(blob_id))

    def blob_of(self, signed_id: str) -> int | None:
        """The blob that a signed id of ours names."""
        content = self._signed_id.open(signed_id, _BLOB.size)
        return None if content is None else int(_BLOB.unpack(content)[0])

    def upload(self, blob_id: int, expires: datetime) -> str:
        """Allows to send the bytes of the blob."""
        return self._upload.seal(_UPLOAD.pack(blob_id, *_split(expires)))

    def blob_to_upload(self, token: str, now: datetime) -> int | None:
        """The blob whose bytes `token` allows to send now."""
        content = self._upload.open(token, _UPLOAD.size)
        if content is None:
            return None
        blob_id, *expires = _UPLOAD.unpack(content)
        return int(blob_id) if _joined(*expires) > now.timestamp() else None

    def view(self, permission: Permission, expires: datetime) -> str:
        """Allows to see a file."""
        viewer, blob_id = permission
        return self._view.seal(
            _VIEW.pack(_LETTERS[viewer.kind], viewer.id, blob_id, *_split(expires))
        )

    def permission(self, token: str, now: datetime) -> Permission | None:
        """What `token` allows now."""
        content = self._view.open(token, _VIEW.size)
        if content is None:
            return None
        letter, viewer_id, blob_id, *expires = _VIEW.unpack(content)
        if _joined(*expires) <= now.timestamp():
            return None
        return Permission(Viewer(_KINDS[letter], viewer_id), blob_id)


class _Purpose:
    def __init__(self, secrets: tuple[str, ...], info: bytes):
        self._keys = [_derived(secret, info) for secret in secrets]

    def seal(self, content: bytes) -> str:
        return base64.urlsafe_b64encode(content + _mac(self._keys[0], content)).decode()

    def open(self, sealed: str, size: int) -> bytes | None:
        if "=" in sealed:  # none of ours needs filling up
            return None
        try:
            opened = binascii.a2b_base64(sealed.encode().translate(_TO_STANDARD), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        if len(opened) != size + MAC_BYTES:
            return None
        content, mac = opened[:size], opened[size:]
        return content if self._is_ours(content, mac) else None

    def _is_ours(self, content: bytes, mac: bytes) -> bool:
        return any(hmac.compare_digest(_mac(key, content), mac) for key in self._keys)


_TO_STANDARD = bytes.maketrans(b"-_+/", b"+/!!")

_derive: Callable[[bytes], HKDF] = lambda info: HKDF(SHA256(), 32, salt=None, info=info)  # noqa: E731


def _derived(secret: str, info: bytes) -> bytes:
    return _derive(info).derive(secret.encode())


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:MAC_BYTES]


def _split(moment: datetime) -> tuple[int, int]:
    """Seconds since 1970 in 48 bits."""
    return divmod(int(moment.timestamp()), 1 << 32)


def _joined(high: int, low: int) -> int:
    return (high << 32) + low
