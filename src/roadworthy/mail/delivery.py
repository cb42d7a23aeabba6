"""Delivery of messages: to an SMTP server or, where there is none, into a folder."""

import asyncio
import contextlib
import ipaddress
import os
import smtplib
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import unquote, urlsplit

from roadworthy.mail.address import mailable

Deliver = Callable[[EmailMessage], Awaitable[None]]
"""Raises `Undeliverable`, and `PutOff` or `OSError` when it may be tried again."""

SMTP_SECONDS = 20
"""For each answer of the server."""
DELIVERY_SECONDS = 120
"""For all of them: well within a job's lease."""

_PERMANENT = range(500, 600)


class Undeliverable(Exception):
    """The letter was refused for good; the message is the server's."""


class PutOff(Exception):
    """The server asked to have it again later; the message is the server's."""


@dataclass(frozen=True)
class SMTPServer:
    """Sends through `host`, over TLS from the start or from STARTTLS on."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls_required: bool = False

    @classmethod
    def at(cls, url: str) -> "SMTPServer":
        """The one that `smtp://…` or `smtps://…` names, which `settings.py` has looked at."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            parts.hostname or "",
            parts.port or (465 if tls else 587),  # RFC 8314, 7.3 and RFC 6409, 3.1
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            tls,
            "starttls=required" in parts.query,
        )

    async def __call__(self, message: EmailMessage) -> None:
        """Deliver `message`."""
        await in_thread(lambda: self._send(message))

    def _send(self, message: EmailMessage) -> None:
        server = self._connect()
        try:
            self._secure(server)
            if self.user:
                server.login(self.user, self.password)
            _hand_over(server, message)
            with contextlib.suppress(OSError):  # it has the letter: how we part changes nothing
                server.quit()
        finally:
            server.close()

    def _connect(self) -> smtplib.SMTP:
        if self.tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=SMTP_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=SMTP_SECONDS)

    def _secure(self, server: smtplib.SMTP) -> None:
        """Nobody on the way shall read a password: without TLS it stays on this machine."""
        server.ehlo_or_helo_if_needed()
        if self.tls:
            return
        if server.has_extn("starttls"):
            server.starttls(context=self._context())
            server.ehlo()
        elif self.starttls_required or (self.user and not _is_local(self.host)):
            raise ConnectionError("the server offers no STARTTLS")

    def _context(self) -> ssl.SSLContext:
        """TLS that was only offered could have been left out: who would be fooled by another
        certificate is not stopped by checking it, but many an honest server would be.
        """
        context = ssl.create_default_context()
        if not self.starttls_required and (not self.user or _is_local(self.host)):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    try:
        server.send_message(message, *_envelope(message))
    except smtplib.SMTPRecipientsRefused as refused:
        raise _refusal(*next(iter(refused.recipients.values()))) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refused:
        raise _refusal(refused.smtp_code, refused.smtp_error) from None
    except smtplib.SMTPNotSupportedError:
        raise Undeliverable("the server takes no address in other letters") from None


def _envelope(message: EmailMessage) -> tuple[str, str]:
    """From whom and to whom. A header forgets, when it is read, which part had to be quoted."""
    sender, to = (message[name].addresses[0] for name in ("From", "To"))
    return mailable(f"{sender.username}@{sender.domain}"), mailable(f"{to.username}@{to.domain}")


def _refusal(code: int, said: bytes | str) -> Undeliverable | PutOff:
    """In the server's words alone: an exception's own name who should have got it."""
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return (Undeliverable if code in _PERMANENT else PutOff)(f"{code} {words}")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Outbox:
    """Writes each message to a file of `folder`, for the user who serves and nobody else.

    The same message again takes the place of the first.
    """

    folder: Path

    async def __call__(self, message: EmailMessage) -> None:
        """Deliver `message`."""
        await in_thread(lambda: self._write(message))

    def _write(self, message: EmailMessage) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        content = message.as_bytes()
        with NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:  # 0600
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self.folder / f"{name}.eml")
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(file.name).unlink()
                raise
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


async def in_thread(work: Callable[[], None]) -> None:
    """Run `work`, which waits for others, off the event loop; a service that stops leaves it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except Exception as raised:  # noqa: BLE001 -- whatever it is, who waits gets it
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, name="mail", daemon=True).start()
    async with asyncio.timeout(DELIVERY_SECONDS):
        await done
