"""Files that drivers hand in: blobs, where they are attached, submissions, who saw them."""

from roadworthy.documents.attachment import (
    LISTS,
    MOST_IN_LIST,
    SLOTS,
    AttachedFile,
    Attachment,
    in_list,
    in_slot,
)
from roadworthy.documents.blob import MEGABYTE, content_type_value, filename_value
from roadworthy.documents.checking import Checking
from roadworthy.documents.documents import Documents
from roadworthy.documents.files import Files
from roadworthy.documents.links import Links, Outlook
from roadworthy.documents.purging import Purging
from roadworthy.documents.queries import (
    NotAttachable,
    Placing,
    attached_files,
    place_files,
    take_out_files,
)
from roadworthy.documents.routes import DocumentRoutes
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.wanted import Wanted, judge_files

__all__ = [
    "LISTS",
    "MEGABYTE",
    "MOST_IN_LIST",
    "SLOTS",
    "AttachedFile",
    "Attachment",
    "Checking",
    "DocumentRoutes",
    "Documents",
    "Files",
    "Links",
    "NotAttachable",
    "Outlook",
    "Placing",
    "Purging",
    "Signatures",
    "Wanted",
    "attached_files",
    "content_type_value",
    "filename_value",
    "in_list",
    "in_slot",
    "judge_files",
    "place_files",
    "take_out_files",
]
