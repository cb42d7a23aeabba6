"""For how long what we hold about a driver is kept once the account is closed."""

from roadworthy.retention.erasure import Erasure

__all__ = ["Erasure"]
