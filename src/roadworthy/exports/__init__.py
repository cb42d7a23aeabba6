"""A driver downloads everything held about them (UK GDPR, Article 15)."""

from roadworthy.exports.exporting import KIND, Exporting
from roadworthy.exports.handover import Handover
from roadworthy.exports.letters import ExportLetters
from roadworthy.exports.queries import erase_exports, find_old_exports, purge_exports
from roadworthy.exports.routes import ExportRoutes

__all__ = [
    "KIND",
    "ExportLetters",
    "ExportRoutes",
    "Exporting",
    "Handover",
    "erase_exports",
    "find_old_exports",
    "purge_exports",
]
