"""Who you are: users, passwords, tokens, sessions, and the mails about them."""

from roadworthy.accounts.guard import Guard
from roadworthy.accounts.letters import AccountLetters
from roadworthy.accounts.links import Purpose
from roadworthy.accounts.own_routes import OwnAccountRoutes
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    SignedIn,
    purge_links,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.recovery import CONFIRMATION_TOKEN, RESET_TOKEN, Recovery
from roadworthy.accounts.recovery_routes import RecoveryRoutes
from roadworthy.accounts.requests import user_parameters
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import users
from roadworthy.accounts.tokens import TokenRefused, Tokens, bearer

__all__ = [
    "CONFIRMATION_TOKEN",
    "RESET_TOKEN",
    "AccountLetters",
    "AccountRoutes",
    "Guard",
    "OwnAccountRoutes",
    "Passwords",
    "Purpose",
    "Recovery",
    "RecoveryRoutes",
    "SignedIn",
    "TokenRefused",
    "Tokens",
    "bearer",
    "purge_links",
    "purge_revoked_tokens",
    "purge_sessions",
    "token_is_revoked",
    "user_parameters",
    "users",
]
