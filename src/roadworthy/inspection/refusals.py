"""Why a file is not taken."""

from enum import Enum


class Reason(Enum):
    """A fixed text, fit to be shown on the field that the file was meant for."""

    NOT_TAKEN = "is not a file of a type we take"
    NOT_A_PHOTOGRAPH = "is not a photograph"
    EMPTY = "is empty"
    DAMAGED = "is damaged"
    TWO_KINDS = "is two kinds of file at once"
    ACTIVE = "has active content"
    ENCRYPTED = "is encrypted"
    TOO_LARGE = "is too large to open"
    TOO_MANY_PAGES = "has too many pages"
    NO_SUCH_PAGE = "has no such page"
    HARMFUL = "has been found harmful"


class FileRefused(Exception):
    """A file that we do not take. `str()` of it is the text of its `reason`."""

    def __init__(self, reason: Reason):
        super().__init__(reason.value)
        self.reason = reason


class InspectorBusy(Exception):
    """Too many files wait to be looked into, or it cannot be done just now: try again soon."""


class ScannerAway(Exception):
    """The configured scanner did not answer, or cannot answer for this file."""
