"""Passphrases of backups."""

from pathlib import Path

from roadworthy.backup.errors import BackupError

SHORTEST = 12


def passphrase_in(file: Path) -> str:
    """The first line of `file`. Raises `BackupError`."""
    try:
        passphrase = file.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise BackupError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        passphrase = ""
    if not passphrase:
        raise BackupError(f"{file} holds no passphrase in its first line")
    return passphrase


def require_strength(passphrase: str) -> None:
    """Raise `BackupError` when whoever finds the backup could guess its passphrase."""
    if len(passphrase) < SHORTEST:
        raise BackupError(
            f"the passphrase is too short to keep a backup secret: take {SHORTEST} characters or "
            "more, such as four words nobody would put together"
        )
