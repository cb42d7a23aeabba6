"""Backups: everything in one encrypted file, made while serving; and putting one back."""

from roadworthy.backup.copies import Told
from roadworthy.backup.errors import BackupError
from roadworthy.backup.making import Made, make_backup, require_embedded
from roadworthy.backup.passphrase import passphrase_in, require_strength
from roadworthy.backup.restoring import Restored, apply_copies, restore_backup

__all__ = [
    "BackupError",
    "Made",
    "Restored",
    "Told",
    "apply_copies",
    "make_backup",
    "passphrase_in",
    "require_embedded",
    "require_strength",
    "restore_backup",
]
