"""Blobs on the wire."""

import msgspec


class Direct(msgspec.Struct, frozen=True):
    """Where the bytes go, and with which headers."""

    url: str
    headers: dict[str, str]


class BlobBody(msgspec.Struct, frozen=True):
    """A blob just created, in the order that clients know."""

    id: int
    key: str
    filename: str
    content_type: str
    metadata: dict[str, str]
    service_name: str
    byte_size: int
    checksum: str
    created_at: str
    signed_id: str
    direct_upload: Direct
