"""Inspection: what a file is, whether it is whole and harmless, and pictures of it."""

from roadworthy.inspection.clamav import ClamAV
from roadworthy.inspection.inspector import Inspector
from roadworthy.inspection.kinds import IMAGES, TYPES
from roadworthy.inspection.parser import Limits
from roadworthy.inspection.refusals import FileRefused, InspectorBusy, Reason, ScannerAway

__all__ = [
    "IMAGES",
    "TYPES",
    "ClamAV",
    "FileRefused",
    "Inspector",
    "InspectorBusy",
    "Limits",
    "Reason",
    "ScannerAway",
]
