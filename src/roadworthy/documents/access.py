"""Who may see a file: decided here and nowhere else.

Showing what a DBS certificate says to anybody without cause is an offence (Police Act 1997, s.124).
"""

from typing import Literal, NamedTuple

ViewerKind = Literal["driver", "staff"]


class Viewer(NamedTuple):
    """Somebody who looks at a file."""

    kind: ViewerKind
    id: int


class Subject(NamedTuple):
    """What the decision reads of a file and of whose it is."""

    user_id: int | None
    is_open: bool
    """Whether the account is."""
    is_held: bool
    """Whether a place or a submission holds it."""


def may_see(viewer: Viewer, subject: Subject) -> bool:
    """Whether `viewer` may see the file: the driver whose it is, as long as the account is open."""
    is_owner = viewer.kind == "driver" and viewer.id == subject.user_id
    return is_owner and subject.is_open and subject.is_held
