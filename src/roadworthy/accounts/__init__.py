"""Who you are: users, passwords, tokens."""

from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import purge_revoked_tokens
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import revoked_tokens, users
from roadworthy.accounts.tokens import TokenRefused, Tokens, bearer

__all__ = [
    "AccountRoutes",
    "Passwords",
    "TokenRefused",
    "Tokens",
    "bearer",
    "purge_revoked_tokens",
    "revoked_tokens",
    "users",
]
