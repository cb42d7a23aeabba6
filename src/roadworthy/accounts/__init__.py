"""Who you are: users, passwords, tokens, sessions, and the mails about them."""

from roadworthy.accounts.account import judge_reachable
from roadworthy.accounts.digests import MOST_BCRYPT_COST, bcrypt_cost
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.kinds import KindsInUse
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
from roadworthy.accounts.restored import (
    Applied,
    apply_tombstones,
    forget_mailed_links,
    has_digests_of_devise,
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
    "MOST_BCRYPT_COST",
    "MOST_JTI",
    "RESET_TOKEN",
    "AccountLetters",
    "AccountRoutes",
    "Applied",
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
    "bcrypt_cost",
    "bearer",
    "forget_mailed_links",
    "has_digests_of_devise",
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
