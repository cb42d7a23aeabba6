"""Addresses as mail servers take them (RFC 5321, 4.1.2; RFC 6531 where letters are not ASCII)."""

import re

_DOT_STRING = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Za-z0-9.:]+\]")
_ENCODED = "=?"
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
    if _ENCODED in local:  # readers of headers take it for other letters, and so another mailbox
        raise CannotBeAddressed("the part before the @ is an encoded word (RFC 2047)")
    if not _DOT_STRING.fullmatch(local):
        local = '"' + _TO_ESCAPE.sub(r"\\\1", local) + '"'
    return f"{local}@{_in_ascii(domain)}"


def _in_ascii(domain: str) -> str:
    """IDNA 2008, as registries do: by the older rules `straße.de` is somebody else's domain."""
    spelt = domain if domain.isascii() else _encoded(domain)
    if not _DOMAIN.fullmatch(spelt):
        raise CannotBeAddressed("what stands behind the @ is no domain")
    return spelt


def _encoded(domain: str) -> str:
    import idna  # noqa: PLC0415 -- its tables are large, and few need them

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return ""
