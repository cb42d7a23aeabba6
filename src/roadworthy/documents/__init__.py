"""Files that drivers hand in: blobs, and where they are attached."""

from roadworthy.documents.attachment import (
    AttachedFile,
    Attachment,
    in_list,
    in_slot,
    refuse_files,
)
from roadworthy.documents.queries import attached_files

__all__ = [
    "AttachedFile",
    "Attachment",
    "attached_files",
    "in_list",
    "in_slot",
    "refuse_files",
]
