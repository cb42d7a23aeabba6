"""What a driver told us: the profile, its collections, its representation."""

from roadworthy.profiles.profile import FIELDS, judge_profile
from roadworthy.profiles.queries import claim_files, erase_profile, note_account_change
from roadworthy.profiles.routes import ProfileRoutes
from roadworthy.profiles.tables import COLLECTIONS, profile_versions, profiles

__all__ = [
    "COLLECTIONS",
    "FIELDS",
    "ProfileRoutes",
    "claim_files",
    "erase_profile",
    "judge_profile",
    "note_account_change",
    "profile_versions",
    "profiles",
]
