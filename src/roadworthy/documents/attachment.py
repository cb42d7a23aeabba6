"""How an attached file is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from roadworthy.wire import Fields
from roadworthy.wire.values import INVALID

SLOTS = (
    "cv",
    "dbs",
    "tacho",
    "enchanced_dbs",
    "cpc",
    "medical_check",
    "child_safeguard_training",
)
"""Places for one file each."""
LISTS = ("documents", "driving_license")
"""Places for many."""


class AttachedFile(msgspec.Struct, frozen=True):
    """A file in its place, as it is stored."""

    id: int
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


def refuse_files(given: Mapping[str, Any], fields: Fields) -> None:
    """Refuse, on its field, every file and signed id that `given` wants attached.

    There is no upload yet, so no signed id is valid, and a file sent along would be lost.
    """
    for name in (*SLOTS, *LISTS):
        wanted = given.get(name)
        if name in LISTS and isinstance(wanted, list):
            wanted = [entry for entry in wanted if entry not in {None, ""}] or None
        if wanted is not None and wanted != "":
            fields.refuse(name, INVALID)


def in_slot(files: Sequence[AttachedFile], slot: str) -> Attachment:
    """The file in a place for one."""
    here = in_list(files, slot) if files else ()
    return here[0] if here else EMPTY_ATTACHMENT


def in_list(files: Sequence[AttachedFile], slot: str) -> list[Attachment]:
    """The files in a place for many, in order."""
    if not files:
        return []
    here = sorted((f for f in files if f.slot == slot), key=lambda f: (f.position, f.id))
    return [Attachment(f.id, None, f.byte_size, f.filename, None) for f in here]
