"""What a backup or a restore may meet."""


class BackupError(Exception):
    """It cannot be done; the message says what to do."""
