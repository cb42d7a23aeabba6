"""Who you are: users, passwords, tokens, sessions, and the mails about them."""

from roadworthy.accounts.account import judge_reachable, stored_address
from roadworthy.accounts.digests import MOST_BCRYPT_COST, bcrypt_cost
from roadworthy.accounts.guard import Guard
from roadworthy.accounts.kind_queries import note_kinds_of
from roadworthy.accounts.kinds import KindsInUse
from roadworthy.accounts.letters import AccountLetters
from roadworthy.accounts.link_queries import Link, find_addressee, keep_link, purge_links
from roadworthy.accounts.links import Purpose, digest_of, link_token
from roadworthy.accounts.own_routes import OwnAccountRoutes
from roadworthy.accounts.passwords import Line, Passwords
from roadworthy.accounts.queries import ClosedAccount, erase_account, erase_traces, find_closed
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
from roadworthy.accounts.schemas import Done
from roadworthy.accounts.session_queries import (
    SignedIn,
    purge_revoked_tokens,
    purge_sessions,
    token_is_revoked,
)
from roadworthy.accounts.signing_in import WRONG, SigningIn
from roadworthy.accounts.tables import (
    known_addresses,
    mailed_links,
    revoked_tokens,
    sessions,
    users,
)
from roadworthy.accounts.throttle import ADDRESSES_KNOWN, TOO_OFTEN, Attempt, Throttle
from roadworthy.accounts.throttle_queries import (
    give_tries_back,
    purge_known_addresses,
    purge_throttles,
)
from roadworthy.accounts.tokens import MOST_JTI, TokenRefused, Tokens, bearer

__all__ = [
    "ADDRESSES_KNOWN",
    "CONFIRMATION_TOKEN",
    "MOST_BCRYPT_COST",
    "MOST_JTI",
    "RESET_TOKEN",
    "TOO_OFTEN",
    "WRONG",
    "AccountLetters",
    "AccountRoutes",
    "Applied",
    "Attempt",
    "ClosedAccount",
    "Done",
    "Guard",
    "KindsInUse",
    "Line",
    "Link",
    "OwnAccountRoutes",
    "Passwords",
    "Purpose",
    "Recovery",
    "RecoveryRoutes",
    "SignedIn",
    "SigningIn",
    "Throttle",
    "TokenRefused",
    "Tokens",
    "apply_tombstones",
    "bcrypt_cost",
    "bearer",
    "digest_of",
    "erase_account",
    "erase_traces",
    "find_addressee",
    "find_closed",
    "forget_mailed_links",
    "give_tries_back",
    "has_digests_of_devise",
    "judge_reachable",
    "keep_link",
    "known_addresses",
    "link_token",
    "mailed_links",
    "note_kinds_of",
    "purge_known_addresses",
    "purge_links",
    "purge_revoked_tokens",
    "purge_sessions",
    "purge_throttles",
    "revoked_tokens",
    "sessions",
    "sign_everybody_out",
    "stored_address",
    "token_is_revoked",
    "user_parameters",
    "users",
]
