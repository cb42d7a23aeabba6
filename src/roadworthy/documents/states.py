"""What state a blob is in, for statements over `blobs`."""

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    or_,
)

from roadworthy.documents.tables import attachments, blobs, submissions

has_bytes = and_(blobs.c.uploaded_at.is_not(None), blobs.c.purged_at.is_(None))
"""They are in storage."""
is_condemned = and_(
    blobs.c.purged_at.is_not(None),
    or_(blobs.c.uploaded_at.is_not(None), blobs.c.unattached_since.is_not(None)),
)
"""Its bytes are to go, or its row."""
is_attached = exists().where(attachments.c.blob_id == blobs.c.id).select_from(attachments)
is_submitted = exists().where(submissions.c.blob_id == blobs.c.id).select_from(submissions)


def stands() -> ColumnElement[bool]:
    """The driver has not withdrawn it."""
    return submissions.c.withdrawn_at.is_(None)
