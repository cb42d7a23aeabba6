"""The rules of mailed links: good once, for a while, for the address they were sent to."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from enum import StrEnum


class Purpose(StrEnum):
    """What a link lets its holder do; `EXPORT` only together with the password."""

    CONFIRMATION = "confirmation"
    RESET = "reset"
    EXPORT = "export"


LIFETIMES = {Purpose.CONFIRMATION: timedelta(days=3), Purpose.RESET: timedelta(hours=6)}


def link_token(purpose: Purpose, letter: str, secret: str) -> str:
    """What the link in the letter of that name carries.

    It is made from the secret each time the letter is sent, so that nothing we keep, be it a job
    that waits, opens an account; and a letter that is sent again has the same link.
    """
    said = f"roadworthy link\0{purpose}\0{letter}".encode()
    digest = hmac.digest(secret.encode(), said, hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def digest_of(token: str) -> str:
    """What is kept of a token. It is long and random: nobody finds it by trying."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
