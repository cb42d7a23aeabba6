"""Tokens made by hand, good and bad, without the service's own code."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.support.service import SECRET

HEADER = {"alg": "HS256"}
THIRTY_DAYS = 30 * 24 * 60 * 60


def claims(user_id: int, **changes: Any) -> dict[str, Any]:
    """A payload as the service makes it, with `changes`; a claim set to `...` is left out."""
    now = int(time.time())
    payload = {
        "sub": str(user_id),
        "scp": "user",
        "aud": None,
        "iat": now,
        "exp": now + THIRTY_DAYS,
        "jti": str(uuid.uuid4()),
        **changes,
    }
    return {name: value for name, value in payload.items() if value is not ...}


def forge(
    payload: object,
    *,
    header: object = HEADER,
    secret: str = SECRET,
    digest: str = "sha256",
) -> str:
    """`header.payload.signature`; bytes go in as they are, anything else as compact JSON."""
    signed = f"{_segment(header)}.{_segment(payload)}"
    signature = hmac.digest(secret.encode(), signed.encode(), getattr(hashlib, digest))
    return f"{signed}.{encoded(signature)}"


def opened(token: str) -> tuple[str, str]:
    """The text of a token's header and payload."""
    header, payload, _ = token.split(".")
    return _decoded(header).decode(), _decoded(payload).decode()


def is_signed_with(token: str, secret: str) -> bool:
    signed, _, signature = token.rpartition(".")
    return hmac.digest(secret.encode(), signed.encode(), hashlib.sha256) == _decoded(signature)


def payload_of(token: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(opened(token)[1])
    return found


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _segment(content: object) -> str:
    if isinstance(content, bytes):
        return encoded(content)
    return encoded(json.dumps(content, separators=(",", ":")).encode())
