"""What must stay dead when an older backup is put back: noted where it happens, kept apart."""

from roadworthy.tombstones.copy import COPY, Copy, read_copy
from roadworthy.tombstones.keeper import Keeper, bring_up_to_date
from roadworthy.tombstones.queries import (
    add_tombstones,
    bury_account,
    bury_found_tokens,
    bury_password,
    bury_token,
    bury_tokens,
    closed_user_ids,
    find_changed_passwords,
    find_lineage,
    forget_backup_folders,
    go_on_as,
    purge_tombstones,
    remember_backup_folder,
)
from roadworthy.tombstones.tombstone import Complete, Noted, Tombstone, is_spent

__all__ = [
    "COPY",
    "Complete",
    "Copy",
    "Keeper",
    "Noted",
    "Tombstone",
    "add_tombstones",
    "bring_up_to_date",
    "bury_account",
    "bury_found_tokens",
    "bury_password",
    "bury_token",
    "bury_tokens",
    "closed_user_ids",
    "find_changed_passwords",
    "find_lineage",
    "forget_backup_folders",
    "go_on_as",
    "is_spent",
    "purge_tombstones",
    "read_copy",
    "remember_backup_folder",
]
