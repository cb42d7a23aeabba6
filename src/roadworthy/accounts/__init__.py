"""Who you are: users, passwords, tokens, sessions."""

from roadworthy.accounts.guard import Guard
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    SignedIn,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import users
from roadworthy.accounts.tokens import TokenRefused, Tokens, bearer

__all__ = [
    "AccountRoutes",
    "Guard",
    "Passwords",
    "SignedIn",
    "TokenRefused",
    "Tokens",
    "bearer",
    "purge_revoked_tokens",
    "purge_sessions",
    "token_is_revoked",
    "users",
]
