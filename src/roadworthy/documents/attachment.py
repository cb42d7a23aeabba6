"""How an attached file is shown."""

from collections.abc import Sequence

import msgspec


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
