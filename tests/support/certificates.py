"""Certificates for 127.0.0.1, made as they are needed."""

from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AnyKey = Key | ed448.Ed448PrivateKey

ENCRYPTED = BestAvailableEncryption(b"secret")


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: AnyKey, days: int = 30, critical: x509.ExtensionType | None = None) -> bytes:
    """PEM, signed with its own key, for so many more days; with a `critical` extension."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "roadworthy")])
    is_edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
    )
    if critical:
        builder = builder.add_extension(critical, critical=True)
    return builder.sign(key, None if is_edwards else SHA256()).public_bytes(Encoding.PEM)


def of_version_1(made: bytes) -> bytes:
    """The same certificate, but that it says no version: then it is of the first."""
    version = bytes.fromhex("a003020102")
    whole = x509.load_pem_x509_certificate(made)
    signed = whole.tbs_certificate_bytes
    rest = whole.public_bytes(Encoding.DER)
    rest = rest[rest.index(signed) + len(signed) :]
    content = signed[signed.index(version) + len(version) :]
    der = _sequence(_sequence(content) + rest)
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"


def _sequence(content: bytes) -> bytes:
    size = len(content).to_bytes(2, "big").lstrip(b"\0")
    return b"\x30" + bytes([0x80 + len(size)]) + size + content


def private(
    key: AnyKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption = NoEncryption(),  # noqa: B008
) -> bytes:
    """PEM."""
    return key.private_bytes(Encoding.PEM, form, encryption)


class Renewed:
    """A certificate and key in files, that can be made anew."""

    def __init__(self, folder: Path):
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.renew()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "ROADWORTHY_TLS_CERT": str(self.certificate),
            "ROADWORTHY_TLS_KEY": str(self.key),
        }

    def renew(self, days: int = 30) -> bytes:
        """The new certificate, as a client is shown it."""
        key = new_key()
        made = certificate(key, days)
        self.certificate.write_bytes(made)
        self.key.write_bytes(private(key))
        return x509.load_pem_x509_certificate(made).public_bytes(Encoding.DER)
