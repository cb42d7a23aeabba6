"""Inspection: what a file is, whether it is whole and harmless, and pictures of it."""

from roadworthy.inspection.clamav import ClamAV
from roadworthy.inspection.inspector import Inspector
from roadworthy.inspection.kinds import DOC, DOCX, HEIC, IMAGES, JPEG, ODT, PDF, PNG, TYPES, WEBP
from roadworthy.inspection.parser import Limits
from roadworthy.inspection.refusals import FileRefused, InspectorBusy, Reason, ScannerAway

__all__ = [
    "DOC",
    "DOCX",
    "HEIC",
    "IMAGES",
    "JPEG",
    "ODT",
    "PDF",
    "PNG",
    "TYPES",
    "WEBP",
    "ClamAV",
    "FileRefused",
    "Inspector",
    "InspectorBusy",
    "Limits",
    "Reason",
    "ScannerAway",
]
