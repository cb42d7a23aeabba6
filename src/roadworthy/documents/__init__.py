"""Files that drivers hand in: blobs, and where they are attached."""

from roadworthy.documents.attachment import (
    EMPTY_ATTACHMENT,
    LISTS,
    SLOTS,
    AttachedFile,
    Attachment,
    in_list,
    in_slot,
)
from roadworthy.documents.queries import attached_files

__all__ = [
    "EMPTY_ATTACHMENT",
    "LISTS",
    "SLOTS",
    "AttachedFile",
    "Attachment",
    "attached_files",
    "in_list",
    "in_slot",
]
