"""How a file that is shown is reached: a signed id, and a URL that carries its own permission.

A URL is good until the end of the half hour after the one it was made in: for 30 to 60 minutes,
and the same all that half hour, so that a profile's entity tag holds still.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from roadworthy.documents.access import Viewer
from roadworthy.documents.signatures import Permission, Signatures

WINDOW_SECONDS = 30 * 60
VIEW_PATH = "/api/v1/files/{token}"


class Outlook(NamedTuple):
    """What URLs depend on beside viewer and file: where we are reached, and the half hour."""

    base: str
    window: int


def window_at(now: datetime) -> int:
    """The number of the half hour."""
    return int(now.timestamp()) // WINDOW_SECONDS


def end_of_view(window: int) -> datetime:
    """Until when a URL made in `window` is good."""
    return datetime.fromtimestamp((window + 2) * WINDOW_SECONDS, UTC)


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links that `viewer` is given."""

    signatures: Signatures
    viewer: Viewer
    outlook: Outlook

    def signed_id(self, blob_id: int) -> str:
        """What the blob is attached by."""
        return self.signatures.signed_id(blob_id)

    def url(self, blob_id: int) -> str:
        """Where `viewer` sees the file."""
        token = self.signatures.view(
            Permission(self.viewer, blob_id), end_of_view(self.outlook.window)
        )
        return self.outlook.base + VIEW_PATH.format(token=token)
