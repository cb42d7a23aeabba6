"""Addresses as mail servers take them (RFC 5321, 4.1.2; RFC 6531 where letters are not ASCII)."""

import re

_DOT_STRING = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Za-z0-9.:]+\]")
_TO_ESCAPE = re.compile(r'(["\\])')


class CannotBeAddressed(ValueError):
    """No mail server takes such an address."""


def mailable(email: str) -> str:
    """`email`, which has one @, as it stands on an envelope. Raises `CannotBeAddressed`.

    People may sign up with more than may stand there bare: the part before the @ is quoted where
    it must be, and a domain in other letters is spelt in ASCII.
    """
    local, _, domain = email.rpartition("@")
    if not local or not local.isprintable():
        raise CannotBeAddressed("the part before the @ has a character that none may have")
    if not _DOT_STRING.fullmatch(local):
        local = '"' + _TO_ESCAPE.sub(r"\\\1", local) + '"'
    return f"{local}@{_in_ascii(domain)}"


def _in_ascii(domain: str) -> str:
    try:
        spelt = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        spelt = ""
    if not _DOMAIN.fullmatch(spelt):
        raise CannotBeAddressed("what stands behind the @ is no domain")
    return spelt
