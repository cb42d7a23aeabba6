"""Who you are: users, passwords, tokens, sessions."""

from roadworthy.accounts.guard import Guard
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    SignedIn,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.restored import (
    Applied,
    apply_tombstones,
    forget_mailed_links,
    sign_everybody_out,
)
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import users
from roadworthy.accounts.tokens import TokenRefused, Tokens, bearer

__all__ = [
    "AccountRoutes",
    "Applied",
    "Guard",
    "Passwords",
    "SignedIn",
    "TokenRefused",
    "Tokens",
    "apply_tombstones",
    "bearer",
    "forget_mailed_links",
    "purge_revoked_tokens",
    "purge_sessions",
    "sign_everybody_out",
    "token_is_revoked",
    "users",
]
