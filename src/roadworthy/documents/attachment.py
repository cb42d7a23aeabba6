"""The places for files in a profile, and how a file there is shown."""

from collections.abc import Sequence

import msgspec

from roadworthy.documents.links import Links

COMPLIANCE_SLOTS = (
    "dbs",
    "tacho",
    "enchanced_dbs",
    "cpc",
    "medical_check",
    "child_safeguard_training",
)
"""A file put here is a submission of that kind."""
DBS_SLOTS = ("dbs", "enchanced_dbs")
"""Those for certificates of the Disclosure and Barring Service."""
SLOTS = ("cv", *COMPLIANCE_SLOTS)
"""Places for one file each."""
LISTS = ("documents", "driving_license")
"""Places for many."""

MOST_IN_LIST = 20
"""Also of photographs that become one PDF."""


class AttachedFile(msgspec.Struct, frozen=True):
    """A file in its place, as it is stored; without `blob_id` its bytes are not there."""

    id: int
    blob_id: int | None
    slot: str
    position: int
    byte_size: int
    filename: str


class Attachment(msgspec.Struct, frozen=True):
    """A file on the wire; an empty place is `null, null, null, "", null`."""

    id: int | None
    signed_id: str | None
    byte_size: int | None
    filename: str
    url: str | None


EMPTY_ATTACHMENT = Attachment(None, None, None, "", None)


def in_slot(files: Sequence[AttachedFile], slot: str, links: Links | None) -> Attachment:
    """The file in a place for one."""
    here = in_list(files, slot, links) if files else ()
    return here[0] if here else EMPTY_ATTACHMENT


def in_list(files: Sequence[AttachedFile], slot: str, links: Links | None) -> list[Attachment]:
    """The files in a place for many, in order. `links` are not needed where no file is."""
    if not files:
        return []
    here = sorted((f for f in files if f.slot == slot), key=lambda f: (f.position, f.id))
    return [_shown(file, links) for file in here]


def _shown(file: AttachedFile, links: Links | None) -> Attachment:
    if file.blob_id is None or links is None:
        return Attachment(file.id, None, file.byte_size, file.filename, None)
    return Attachment(
        file.id,
        links.signed_id(file.blob_id),
        file.byte_size,
        file.filename,
        links.url(file.blob_id),
    )
