"""Who you are: users, passwords, tokens, sessions."""

from roadworthy.accounts.account import judge_reachable
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.kinds import KindsInUse
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    SignedIn,
    purge_known_addresses,
    purge_revoked_tokens,
    purge_sessions,
    purge_throttles,
    token_is_revoked,
)
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import revoked_tokens, users
from roadworthy.accounts.throttle import ADDRESSES_KNOWN, Throttle
from roadworthy.accounts.tokens import MOST_JTI, TokenRefused, Tokens, bearer

__all__ = [
    "ADDRESSES_KNOWN",
    "MOST_JTI",
    "AccountRoutes",
    "Guard",
    "KindsInUse",
    "Passwords",
    "SignedIn",
    "Throttle",
    "TokenRefused",
    "Tokens",
    "bearer",
    "judge_reachable",
    "purge_known_addresses",
    "purge_revoked_tokens",
    "purge_sessions",
    "purge_throttles",
    "revoked_tokens",
    "token_is_revoked",
    "users",
]
