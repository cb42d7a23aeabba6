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
from roadworthy.documents.blob import MEGABYTE
from roadworthy.documents.checking import Checking
from roadworthy.documents.documents import Documents
from roadworthy.documents.files import Files
from roadworthy.documents.links import Links, Outlook
from roadworthy.documents.purging import Going, Purging
from roadworthy.documents.queries import (
    NotAttachable,
    Placing,
    attached_files,
    erase_files,
    place_files,
    size_held,
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
    "Going",
    "Links",
    "NotAttachable",
    "Outlook",
    "Placing",
    "Purging",
    "Signatures",
    "Wanted",
    "attached_files",
    "erase_files",
    "in_list",
    "in_slot",
    "judge_files",
    "place_files",
    "size_held",
    "take_out_files",
]
