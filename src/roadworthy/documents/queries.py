"""SQL of documents."""

from sqlalchemy import Column, ColumnElement

from roadworthy.database import json_rows
from roadworthy.documents.tables import attachments, blobs


def attached_files(profile_id: Column[int]) -> ColumnElement[str]:
    """A column: the JSON list of `AttachedFile` of the profile in that row."""
    return json_rows(
        attachments.join(blobs),
        attachments.c.profile_id == profile_id,
        {
            "id": attachments.c.id,
            "slot": attachments.c.slot,
            "position": attachments.c.position,
            "byte_size": blobs.c.byte_size,
            "filename": blobs.c.filename,
        },
    )
