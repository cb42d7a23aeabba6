"""A real SMTP server, which can want TLS and a password, and can refuse."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.mail import Mail, read_mail
from tests.support.ports import free_port

USER, PASSWORD = "post", "swordfish & co"


@dataclass(frozen=True)
class Received:
    """A message, the envelope it came in, and how."""

    mail: Mail
    sender: str
    recipients: list[str]
    options: list[str]
    over_tls: bool
    user: bytes | None


@dataclass
class SMTPServer:
    """Listens on 127.0.0.1 from `start` to `stop`."""

    certificate: "Certificate | None" = None
    """With one it offers STARTTLS; with `tls` it speaks nothing else."""
    tls: bool = False
    asks_who: bool = False
    takes_other_letters: bool = True
    refusal: str | None = None
    """What it says to every recipient, if it refuses them."""
    port: int = field(default_factory=free_port)
    received: list[Received] = field(default_factory=list)
    addressed: list[str] = field(default_factory=list)
    """Each recipient, as it was told of them."""

    def start(self) -> "SMTPServer":
        context = self.certificate.context if self.certificate else None
        options: dict[str, Any] = {
            "authenticator": _authenticate,
            "auth_required": self.asks_who and not self.tls,  # then it warns of what is no danger
            "auth_require_tls": context is not None and not self.tls,
            "tls_context": None if self.tls else context,
            "enable_SMTPUTF8": self.takes_other_letters,
        }
        self._controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if self.tls else None,
            **options,
        )
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 -- the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusal is not None:
            return self.refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        auth = session.auth_data
        self.received.append(
            Received(
                read_mail(content),
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                list(envelope.mail_options),
                session.ssl is not None or self.tls,
                auth.login if isinstance(auth, LoginPassword) else None,
            )
        )
        return "250 OK"


class _Listening(SMTP):
    """The library tells a handler of addresses as it reads them, not as they were written."""

    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802
        self.event_handler.addressed.append(arg)
        await super().smtp_RCPT(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Listening(self.handler, **self.SMTP_kwargs)


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    right = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=data == right, handled=False, auth_data=data)


@dataclass(frozen=True)
class Certificate:
    """For 127.0.0.1, signed by itself: who is to trust it is given `path`."""

    path: Path
    context: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path, key_path = folder / "certificate.pem", folder / "key.pem"
        pem = serialization.Encoding.PEM
        path.write_bytes(certificate.public_bytes(pem))
        key_path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, key_path)
        return cls(path, context)
