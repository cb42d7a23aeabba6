"""What a storage URL says: a folder, or a bucket and who we are there."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_REGION = "us-east-1"


_ENDPOINT = re.compile(r"https?://[\w.\-\[\]:]+/?", re.ASCII)


class Credentials(NamedTuple):
    """Who we are at an S3-compatible service, where the URL does not say."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    region: str | None = None


class Bucket(NamedTuple):
    """Where it is, and who we are there."""

    endpoint: str
    name: str
    prefix: str
    """Empty, or without slashes around it."""
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None


def require_storage(url: str, credentials: Credentials | None = None) -> None:
    """Raise `ValueError` when `open_storage` would."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder_of(url)
    elif parts.scheme == "s3":
        bucket_of(url, credentials)
    else:
        raise ValueError("must be file:///path/to/folder or s3://bucket/prefix?endpoint=…&region=…")


def place_of(url: str, credentials: Credentials | None = None) -> tuple[str, ...]:
    """The same for URLs that lead to the same files. Raises `ValueError` as `require_storage`."""
    require_storage(url, credentials)
    if urlsplit(url).scheme == "file":
        return (str(folder_of(url).resolve()),)
    bucket = bucket_of(url, credentials)
    return (bucket.endpoint, bucket.name, bucket.prefix)


def folder_of(url: str) -> Path:
    """The folder of `file:///path`. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.netloc or len(parts.path) <= 1 or parts.query:
        raise ValueError("must be like file:///path/to/folder")
    return Path(unquote(parts.path))


def bucket_of(url: str, credentials: Credentials | None) -> Bucket:
    """The bucket of `s3://key:secret@bucket/prefix?endpoint=&region=`. Raises `ValueError`."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose words may be part of a password
        raise ValueError("cannot be read: percent-encode what is special in it") from None
    options = _options(parts.query)
    if parts.username and parts.password:
        credentials = Credentials(unquote(parts.username), unquote(parts.password))
    if credentials is None:
        raise ValueError(
            "has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
            "s3://key:secret@bucket"
        )
    name = parts.netloc.rpartition("@")[2]
    if not name:
        raise ValueError("names no bucket")
    region = options.get("region") or credentials.region or DEFAULT_REGION
    endpoint = options.get("endpoint") or f"https://s3.{region}.amazonaws.com"
    if not _ENDPOINT.fullmatch(endpoint):
        raise ValueError("has an endpoint that is not like https://s3.example.com")
    return Bucket(
        endpoint.rstrip("/"),
        name,
        unquote(parts.path).strip("/"),
        region,
        credentials.access_key_id,
        credentials.secret_access_key,
        credentials.session_token,
    )


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = set(options) - {"endpoint", "region"}
    if unknown:
        raise ValueError("has an option that is neither endpoint nor region")
    return options
