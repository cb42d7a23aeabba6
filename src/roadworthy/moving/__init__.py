"""Moving in from another service: its users, their profiles, and the tokens that it revoked."""

from roadworthy.moving.kinds import PROFILES, TOKENS, USERS, Kind
from roadworthy.moving.moving import CannotMoveIn, Outcome, move_in
from roadworthy.moving.screen import Screen

__all__ = [
    "PROFILES",
    "TOKENS",
    "USERS",
    "CannotMoveIn",
    "Kind",
    "Outcome",
    "Screen",
    "move_in",
]
