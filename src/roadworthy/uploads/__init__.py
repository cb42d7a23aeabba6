"""Uploads that can be resumed where they broke off: tus 1.0. What is whole becomes a blob."""

from roadworthy.uploads.routes import UploadRoutes
from roadworthy.uploads.uploads import Uploads

__all__ = ["UploadRoutes", "Uploads"]
