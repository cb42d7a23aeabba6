"""Who you are: users, passwords, tokens, sessions."""

from roadworthy.accounts.account import judge_reachable
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    SignedIn,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import revoked_tokens, users
from roadworthy.accounts.tokens import MOST_JTI, TokenRefused, Tokens, bearer

__all__ = [
    "MOST_JTI",
    "AccountRoutes",
    "Guard",
    "Passwords",
    "SignedIn",
    "TokenRefused",
    "Tokens",
    "bearer",
    "judge_reachable",
    "purge_revoked_tokens",
    "purge_sessions",
    "revoked_tokens",
    "token_is_revoked",
    "users",
]
