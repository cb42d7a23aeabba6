"""Who you are: users, passwords, tokens, sessions, and the mails about them."""

from roadworthy.accounts.account import judge_reachable
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.kinds import KindsInUse
from roadworthy.accounts.letters import AccountLetters
from roadworthy.accounts.links import Purpose
from roadworthy.accounts.own_routes import OwnAccountRoutes
from roadworthy.accounts.passwords import Passwords
from roadworthy.accounts.queries import (
    ClosedAccount,
    SignedIn,
    erase_account,
    erase_traces,
    find_closed,
    purge_links,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.recovery import CONFIRMATION_TOKEN, RESET_TOKEN, Recovery
from roadworthy.accounts.recovery_routes import RecoveryRoutes
from roadworthy.accounts.requests import user_parameters
from roadworthy.accounts.restored import (
    Applied,
    apply_tombstones,
    forget_mailed_links,
    sign_everybody_out,
)
from roadworthy.accounts.routes import AccountRoutes
from roadworthy.accounts.tables import revoked_tokens, users
from roadworthy.accounts.throttle import ADDRESSES_KNOWN, Throttle
from roadworthy.accounts.throttle_queries import purge_known_addresses, purge_throttles
from roadworthy.accounts.tokens import MOST_JTI, TokenRefused, Tokens, bearer

__all__ = [
    "ADDRESSES_KNOWN",
    "CONFIRMATION_TOKEN",
    "MOST_JTI",
    "RESET_TOKEN",
    "AccountLetters",
    "AccountRoutes",
    "Applied",
    "ClosedAccount",
    "Guard",
    "KindsInUse",
    "OwnAccountRoutes",
    "Passwords",
    "Purpose",
    "Recovery",
    "RecoveryRoutes",
    "SignedIn",
    "Throttle",
    "TokenRefused",
    "Tokens",
    "apply_tombstones",
    "bearer",
    "erase_account",
    "erase_traces",
    "find_closed",
    "forget_mailed_links",
    "judge_reachable",
    "purge_known_addresses",
    "purge_links",
    "purge_revoked_tokens",
    "purge_sessions",
    "purge_throttles",
    "revoked_tokens",
    "sign_everybody_out",
    "token_is_revoked",
    "user_parameters",
    "users",
]
