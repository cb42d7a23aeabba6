"""What a driver told us: the profile, its collections, its representation."""

from roadworthy.profiles.queries import note_account_change
from roadworthy.profiles.routes import ProfileRoutes

__all__ = ["ProfileRoutes", "note_account_change"]
