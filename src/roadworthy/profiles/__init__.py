"""What a driver told us: the profile, its collections, its representation."""

from roadworthy.profiles.routes import ProfileRoutes

__all__ = ["ProfileRoutes"]
