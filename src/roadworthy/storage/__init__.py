"""Where the bytes of files are kept: a local folder, or an S3-compatible bucket."""

from roadworthy.storage.checksum import checksum_of, md5
from roadworthy.storage.core import (
    DirectUpload,
    Download,
    Storage,
    Stored,
    Upload,
    new_key,
)
from roadworthy.storage.errors import NotStored, StorageAway, TooLong
from roadworthy.storage.opening import open_storage
from roadworthy.storage.place import Credentials, folder_of, place_of, require_storage
from roadworthy.storage.spool import Spool, SpooledFile

__all__ = [
    "Credentials",
    "DirectUpload",
    "Download",
    "NotStored",
    "Spool",
    "SpooledFile",
    "Storage",
    "StorageAway",
    "Stored",
    "TooLong",
    "Upload",
    "checksum_of",
    "folder_of",
    "md5",
    "new_key",
    "open_storage",
    "place_of",
    "require_storage",
]
