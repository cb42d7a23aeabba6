"""Choose the storage that a URL names."""

from pathlib import Path
from urllib.parse import urlsplit

from roadworthy.storage.core import Storage
from roadworthy.storage.local import LocalStorage
from roadworthy.storage.place import Credentials, bucket_of, folder_of, require_storage


def open_storage(url: str, incoming: Path, credentials: Credentials | None = None) -> Storage:
    """The storage at `url`: `file:///folder` or `s3://key:secret@bucket/prefix?endpoint=&region=`.

    `incoming` is a folder of ours for files on their way to a bucket. Raises `ValueError`.
    """
    require_storage(url, credentials)
    if urlsplit(url).scheme == "file":
        return LocalStorage(folder_of(url), incoming)
    from roadworthy.storage.s3 import S3Storage  # noqa: PLC0415 -- who has a bucket pays for it

    return S3Storage(bucket_of(url, credentials), incoming)
