"""The certificate that the service shows, and its key: read, checked, and seen to change."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

MOST_BYTES = 1024 * 1024
RSA_BITS = range(2048, 4096 + 1)
LEAST_EXPONENT = 65537
CURVES = frozenset({"secp256r1", "secp384r1"})

_Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CannotUse(ValueError):
    """The files hold no pair to serve with; the message says what to do."""


@dataclass(frozen=True)
class PairFiles:
    """Where the certificate and its key lie, both PEM."""

    certificate: Path
    key: Path

    def contents(self) -> tuple[bytes, bytes]:
        """What is in them now. Raises `CannotUse`."""
        return _content(self.certificate), _content(self.key)


@dataclass(frozen=True)
class Pair:
    """A certificate with those that lead to its issuer, and its key, both PEM."""

    certificate: bytes
    key: bytes
    expires: datetime


def read_pair(files: PairFiles) -> Pair:
    """What is in `files`, known to fit together. Raises `CannotUse`."""
    certificate, key = files.contents()
    return _pair(files, certificate, key)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise CannotUse(
            f"cannot read {path}: {error.strerror}: name a file that the user who serves may read"
        ) from None


def _pair(files: PairFiles, certificate: bytes, key: bytes) -> Pair:
    chain = _chain(files.certificate, certificate)
    _require_usable(files.certificate, chain[0])
    private = _private_key(files.key, key)
    if chain[0].public_key() != private.public_key():
        raise CannotUse(
            f"the key in {files.key} is not that of the first certificate in {files.certificate}: "
            "give the two that were made together"
        )
    return Pair(
        b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        chain[0].not_valid_after_utc,
    )


def _chain(path: Path, content: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise CannotUse(
            f"{path} holds no certificate in PEM: name the file with ours first and then those "
            "that lead to its issuer"
        ) from None


def _require_usable(path: Path, certificate: x509.Certificate) -> None:
    """As the clients' and our own TLS demand it (RFC 5280, 4.1.2.1 and 4.2)."""
    if certificate.version is not x509.Version.v3:
        raise CannotUse(f"the certificate in {path} is not of version 3: have it made anew")
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise CannotUse(
                f"the certificate in {path} has a critical extension that is unknown, "
                f"{extension.oid.dotted_string}: have it made anew without"
            )


def _private_key(path: Path, content: bytes) -> _Key:
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise CannotUse(
            f"the key in {path} is encrypted: decrypt it (`openssl pkey -in … -out …`) into a file "
            "that only the user who serves may read"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CannotUse(f"{path} holds no private key in PEM: name the file with the key") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in RSA_BITS and _is_usual(key):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise CannotUse(
        f"the key in {path} is of a kind that is not served with: make one on the curve P-256 or "
        "P-384, or of RSA with 2048 to 4096 bits and the usual exponent"
    )


def _is_usual(key: rsa.RSAPrivateKey) -> bool:
    return key.public_key().public_numbers().e >= LEAST_EXPONENT


class Watch:
    """Notices that files changed, once what is new has stopped changing."""

    def __init__(self, files: PairFiles):
        self._files = files
        self._before = self._known = self._look()

    def changed(self) -> bool:
        """Whether they hold what they held at the last call, and nothing that was told before."""
        now = self._look()
        settled, self._before = now == self._before, now
        if not settled or now == self._known:
            return False
        self._known = now
        return True

    def _look(self) -> object:
        try:
            return self._files.contents()
        except CannotUse as unreadable:
            return str(unreadable)


def as_files(pair: Pair) -> tuple[Path, Path]:
    """Names under which this process and those it forks read the pair, which is on no disk."""
    return _in_memory("certificate", pair.certificate), _in_memory("key", pair.key)


def _in_memory(name: str, content: bytes) -> Path:
    descriptor = os.memfd_create(name)
    os.write(descriptor, content)
    return Path(f"/proc/self/fd/{descriptor}")
