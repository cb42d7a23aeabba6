"""Files that drivers hand in: blobs, where they are attached, submissions, who saw them."""

from roadworthy.documents.access import Viewer
from roadworthy.documents.attachment import (
    LISTS,
    MOST_IN_LIST,
    SLOTS,
    AttachedFile,
    Attachment,
    in_list,
    in_slot,
)
from roadworthy.documents.blob import (
    MEGABYTE,
    UNKNOWN_TYPE,
    NewBlob,
    content_type_value,
    filename_value,
    name_to_save,
)
from roadworthy.documents.checking import Checking
from roadworthy.documents.documents import Documents
from roadworthy.documents.files import Files
from roadworthy.documents.leaving import begun
from roadworthy.documents.links import Links, Outlook
from roadworthy.documents.moving import Moved, Moving
from roadworthy.documents.pages import Pages
from roadworthy.documents.placing_queries import (
    NotAttachable,
    Placing,
    TooManySubmissions,
    attached_files,
    place_files,
    take_out_files,
)
from roadworthy.documents.purge_queries import erase_files
from roadworthy.documents.purging import Failures, Going, Purging
from roadworthy.documents.queries import (
    create_blob_of_ours,
    hold_blob,
    release_blobs,
    size_held,
    size_stored,
)
from roadworthy.documents.routes import DocumentRoutes
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.tables import attachments, blobs, file_views, submissions
from roadworthy.documents.view_queries import record_view
from roadworthy.documents.view_routes import ViewRoutes
from roadworthy.documents.wanted import Wanted, judge_files

__all__ = [
    "LISTS",
    "MEGABYTE",
    "MOST_IN_LIST",
    "SLOTS",
    "UNKNOWN_TYPE",
    "AttachedFile",
    "Attachment",
    "Checking",
    "DocumentRoutes",
    "Documents",
    "Failures",
    "Files",
    "Going",
    "Links",
    "Moved",
    "Moving",
    "NewBlob",
    "NotAttachable",
    "Outlook",
    "Pages",
    "Placing",
    "Purging",
    "Signatures",
    "TooManySubmissions",
    "ViewRoutes",
    "Viewer",
    "Wanted",
    "attached_files",
    "attachments",
    "begun",
    "blobs",
    "content_type_value",
    "create_blob_of_ours",
    "erase_files",
    "file_views",
    "filename_value",
    "hold_blob",
    "in_list",
    "in_slot",
    "judge_files",
    "name_to_save",
    "place_files",
    "record_view",
    "release_blobs",
    "size_held",
    "size_stored",
    "submissions",
    "take_out_files",
]
