"""What ended stays so when it moves in again, and when an older backup is put back."""

from sqlalchemy import select

from roadworthy.accounts import apply_tombstones, users
from roadworthy.database import Connection
from roadworthy.moving.tables import staged_tokens, staged_users
from roadworthy.tombstones import bury_found_tokens, find_changed_passwords


def take_changed_passwords(connection: Connection) -> None:
    """Who had another password here before a restore does not get the one of the dump."""
    has_the_one_of_the_dump = (
        users.c.id.in_(select(staged_users.c.id)),
        users.c.password_changed_at.is_(None),
    )
    user_ids = select(users.c.id).where(*has_the_one_of_the_dump)
    apply_tombstones(connection, find_changed_passwords(connection, user_ids))


def bury_staged_tokens(connection: Connection) -> None:
    """Tokens that were revoked there: a restore to before they moved in revives none."""
    bury_found_tokens(connection, select(staged_tokens.c.jti, staged_tokens.c.expires_at))
