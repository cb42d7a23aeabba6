"""Mail reaches a real SMTP server, or a file; what cannot be sent waits, or is given up visibly."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from urllib.parse import quote

import pytest

from roadworthy.mail import CannotBeAddressed, Letter, Outbox
from roadworthy.mail import SMTPServer as Sender
from roadworthy.mail.address import mailable
from roadworthy.mail.delivery import PutOff, Undeliverable, in_thread
from roadworthy.mail.letter import message_of
from tests.conftest import Place
from tests.support.client import Client
from tests.support.mail import Box
from tests.support.service import Service, run
from tests.support.smtp import PASSWORD, USER, Certificate, SMTPServer
from tests.support.tables import Row, Tables, open_tables

NOW = datetime(2026, 11, 24, 21, 25, tzinfo=UTC)
SENDER = Address("Coaches & Co", addr_spec="post@coaches.example.com")
LETTER = Letter(
    "sam@example.com",
    "A letter",
    ("Dear <Sam>,", "we write a line that is longer than fits and is therefore broken into two."),
    "https://coaches.example.com/page?token=a-b_c",
    "Open & see",
    ("Yours,",),
)
LOGIN = f"{USER}:{quote(PASSWORD)}@"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate.make(tmp_path)


@pytest.fixture
def serve_mail() -> Iterator[Callable[..., SMTPServer]]:
    """Starts SMTP servers, and stops those that still run when the test is over."""
    started: list[SMTPServer] = []

    def begin(**options: object) -> SMTPServer:
        started.append(SMTPServer(**options).start())  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for server in started:
        server.stop()


def deliver(sender: Sender, letter: Letter = LETTER) -> None:
    asyncio.run(_deliver(sender, letter))


async def _deliver(sender: Sender, letter: Letter) -> None:
    await sender(message_of(letter, SENDER, "name", NOW))


def to(email: str) -> Letter:
    return Letter(email, "A letter", ("Hello.",))


# What a message is.


def test_a_letter_is_plain_text_and_html(tmp_path: Path) -> None:
    asyncio.run(Outbox(tmp_path / "outbox")(message_of(LETTER, SENDER, "name", NOW)))
    (mail,) = Box(tmp_path).all()

    assert mail.text == (
        "Dear <Sam>,\n\n"
        "we write a line that is longer than fits and is therefore broken into\ntwo.\n\n"
        "https://coaches.example.com/page?token=a-b_c\n\nYours,\n\n-- \nRoadworthy\n"
    )
    assert "<p>Dear &lt;Sam&gt;,</p>" in mail.html
    assert 'href="https://coaches.example.com/page?token=a-b_c"' in mail.html
    assert "Open &amp; see" in mail.html
    assert "src=" not in mail.html, "it loads something"
    headers = {name: str(value) for name, value in mail.message.items()}
    assert headers["From"] == "Coaches & Co <post@coaches.example.com>"
    assert headers["Date"] == "Tue, 24 Nov 2026 21:25:00 +0000"
    assert headers["Message-ID"] == "<name@coaches.example.com>"
    assert headers["Auto-Submitted"] == "auto-generated"


_MAILABLE = [
    ("sam@example.com", "sam@example.com"),
    ("sam+tag.o'neil@example.com", "sam+tag.o'neil@example.com"),
    (".+driver@example.com", '".+driver"@example.com'),
    ("a..b.@example.com", '"a..b."@example.com'),
    ('a"b\\c@example.com', '"a\\"b\\\\c"@example.com'),
    ("a,b<c>;@example.com", '"a,b<c>;"@example.com'),
    ("zoë@example.com", "zoë@example.com"),
    ("sam@exämple.com", "sam@xn--exmple-cua.com"),
    ("sam@straße.example", "sam@xn--strae-oqa.example"),
    ("sam@βόλος.example", "sam@xn--nxasmm1c.example"),
    ("sam@[127.0.0.1]", "sam@[127.0.0.1]"),
]
_NOT_MAILABLE = [
    "a\u2028bcc:x@example.com",
    "a\x85b@example.com",
    "a\x01b@example.com",
    "a\u00a0b@example.com",
    "sam@example.com>",
    "sam@exa,mple",
    "sam@\u2028example.com",
    f"sam@{'ä' * 70}.com",
    "sam@-",
    "sam@\u0301a.example",
    "@example.com",
    "=?utf-8?q?sam?=@example.com",
    "=?utf-8?q?a=40b.com=2c_c?=@example.com",
    "x=?utf-8?q?a=0d=0abcc:b=40c.com?=@example.com",
    '"=?utf-8?q??="@example.com',
]


@pytest.mark.parametrize(("email", "written"), _MAILABLE)
def test_an_odd_address_is_written_as_servers_take_it(
    serve_mail: Callable[..., SMTPServer], email: str, written: str
) -> None:
    server = serve_mail()
    deliver(Sender("127.0.0.1", server.port), to(email))

    assert mailable(email) == written
    assert f"\nTo: {written}\r\n".encode() in message_of(to(email), SENDER, "n", NOW).as_bytes()
    (received,) = server.received
    assert server.addressed == [f"TO:<{written}>"]
    assert ("SMTPUTF8" in received.options) is (not written.isascii())


@pytest.mark.parametrize("email", _NOT_MAILABLE)
def test_an_address_that_no_server_takes_is_refused_before_it_is_a_header(email: str) -> None:
    with pytest.raises(CannotBeAddressed):
        message_of(to(email), SENDER, "name", NOW)


# How it is handed over.


def test_without_tls_and_without_a_password(serve_mail: Callable[..., SMTPServer]) -> None:
    server = serve_mail()
    deliver(Sender.at(f"smtp://127.0.0.1:{server.port}"))

    (received,) = server.received
    assert (received.over_tls, received.user) == (False, None)
    assert (received.sender, received.recipients) == (
        "post@coaches.example.com",
        ["sam@example.com"],
    )
    assert received.mail.link == LETTER.link


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("smtp://{login}127.0.0.1:{port}", False),
        ("smtp://{login}127.0.0.1:{port}?starttls=required", False),
        ("smtps://{login}127.0.0.1:{port}", True),
    ],
)
def test_with_tls_and_a_password(
    serve_mail: Callable[..., SMTPServer],
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    *,
    tls: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    server = serve_mail(certificate=certificate, tls=tls, asks_who=True)
    deliver(Sender.at(url.format(login=LOGIN, port=server.port)))

    (received,) = server.received
    assert (received.over_tls, received.user) == (True, USER.encode())


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("smtp://127.0.0.1:{port}?starttls=required", False),
        ("smtps://127.0.0.1:{port}", True),
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    serve_mail: Callable[..., SMTPServer], certificate: Certificate, url: str, *, tls: bool
) -> None:
    server = serve_mail(certificate=certificate, tls=tls)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        deliver(Sender.at(url.format(port=server.port)))
    assert server.received == []


def test_tls_that_is_offered_is_used_whoever_vouches_for_it(
    serve_mail: Callable[..., SMTPServer], certificate: Certificate
) -> None:
    server = serve_mail(certificate=certificate)
    deliver(Sender.at(f"smtp://127.0.0.1:{server.port}"))

    assert [received.over_tls for received in server.received] == [True]


@pytest.mark.parametrize(
    "sender",
    [
        Sender("127.0.0.1", 0, starttls_required=True),
        Sender("0.0.0.0", 0, user=USER, password=PASSWORD),  # noqa: S104 -- reaches this machine
    ],
    ids=["it is required", "a password would be read by others"],
)
def test_a_server_without_starttls_gets_nothing(
    serve_mail: Callable[..., SMTPServer], sender: Sender
) -> None:
    """The second is not this machine as far as its name tells."""
    server = serve_mail()
    with pytest.raises(ConnectionError, match="offers no STARTTLS"):
        deliver(
            Sender(
                sender.host,
                server.port,
                sender.user,
                sender.password,
                starttls_required=sender.starttls_required,
            )
        )
    assert server.received == []


def test_a_refusal_for_good_is_told_from_one_for_now(
    serve_mail: Callable[..., SMTPServer],
) -> None:
    server = serve_mail(refusal="550 5.1.1 no such user")
    sender = Sender("127.0.0.1", server.port)
    with pytest.raises(Undeliverable, match=r"^550 5\.1\.1 no such user$"):
        deliver(sender)
    server.refusal = "451 4.7.1 try again later"
    with pytest.raises(PutOff, match=r"^451 4\.7\.1 try again later$"):
        deliver(sender)


def test_an_address_in_other_letters_needs_a_server_that_takes_them(
    serve_mail: Callable[..., SMTPServer],
) -> None:
    server = serve_mail(takes_other_letters=False)
    with pytest.raises(Undeliverable, match="no address in other letters"):
        deliver(Sender("127.0.0.1", server.port), to("zoë@example.com"))


def test_a_password_is_not_shown() -> None:
    assert "swordfish" not in repr(Sender.at(f"smtp://{LOGIN}127.0.0.1"))


def test_what_waits_in_a_thread_does_not_hold_up_the_loop() -> None:
    async def play() -> int:
        waiting = asyncio.create_task(in_thread(lambda: time.sleep(0.5)))
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0.01)
        return turns

    assert asyncio.run(play()) > 5


# The outbox.


def test_the_same_letter_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    for subject in ("first", "second"):
        letter = Letter("sam@example.com", subject, ("Hello.",))
        asyncio.run(outbox(message_of(letter, SENDER, "name", NOW)))

    (mail,) = Box(tmp_path).all()
    assert mail.subject == "second"
    assert [file.name for file in outbox.folder.iterdir()] == ["name.eml"]
    assert outbox.folder.stat().st_mode & 0o777 == 0o700
    assert (outbox.folder / "name.eml").stat().st_mode & 0o777 == 0o600


# As work after the response.


@pytest.fixture
def at(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


def _sign_up(client: Client, email: str) -> None:
    body = f'{{"user":{{"email":"{email}","password":"correct horse battery"}}}}'
    answer = client.send("POST", "/api/v1/users", {"content-type": "application/json"}, body)
    assert answer.status == 201, answer


def _once(tables: Tables, holds: Callable[[list[Row]], bool]) -> list[Row]:
    """The mail jobs, once that holds for them."""
    until = time.monotonic() + 30
    while not holds(jobs := tables.rows("jobs", kind="mail")):
        assert time.monotonic() < until, jobs
        time.sleep(0.05)
    return jobs


def test_a_server_that_is_away_is_waited_for(
    place: Place, at: Tables, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    """The request does not wait; the job does, and is the same letter when it is tried again."""
    server = SMTPServer()
    settings = {
        **place.settings,
        "ROADWORTHY_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
        "ROADWORTHY_MAIL_FROM": "post@coaches.example.com",
        "ROADWORTHY_PUBLIC_URL": "https://coaches.example.com/drivers",
    }
    service = start(place.folder, settings)
    _sign_up(connect(service.url), "waits@example.com")
    (waiting,) = _once(at, lambda jobs: bool(jobs and jobs[0]["attempts"]))
    name = waiting["payload"].partition('"name": "')[2].partition('"')[0]
    assert waiting["died_at"] is None

    server.start()
    try:
        _once(at, lambda jobs: not jobs)
        (received,) = server.received
    finally:
        server.stop()
    assert received.recipients == ["waits@example.com"]
    assert received.mail.name == f"<{name}@coaches.example.com>"
    assert received.mail.link.startswith(
        "https://coaches.example.com/drivers/account/confirmation?confirmation_token="
    )
    assert "waits@example.com" not in service.log


_REFUSED = {
    "refused@example.com": "550 5.1.1 nobody here",
    "nobody@no,domain": "what stands behind the @ is no domain",
}


@pytest.mark.parametrize("email", _REFUSED)
def test_what_is_refused_for_good_is_given_up_at_once_and_visibly(
    place: Place,
    at: Tables,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    serve_mail: Callable[..., SMTPServer],
    email: str,
) -> None:
    server = serve_mail(refusal="550 5.1.1 nobody here")
    url = f"smtp://127.0.0.1:{server.port}"
    service = start(place.folder, {**place.settings, "ROADWORTHY_SMTP_URL": url})
    _sign_up(connect(service.url), email)
    (dead,) = _once(at, lambda jobs: bool(jobs and jobs[0]["died_at"]))

    assert dead["attempts"] == 1
    assert _REFUSED[email] in dead["last_error"]
    listed = run("jobs", "list", settings=place.settings)
    assert _REFUSED[email] in listed.stdout, listed
    assert email not in service.log
    assert len(server.addressed) == ("refused" in email)


def test_a_job_that_waits_holds_no_secret(
    place: Place, at: Tables, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    """What the link carries stands in the mail and nowhere else, not even in what keeps it."""
    service = start(place.folder, place.settings)
    _sign_up(connect(service.url), "secret@example.com")
    (mail,) = Box(place.folder).wait_for("secret@example.com")
    (link,) = at.rows("mailed_links")
    assert mail.token not in str(link)
    assert service.stop() == 0
    for file in place.folder.glob("*"):
        if file.is_file():
            assert mail.token.encode() not in file.read_bytes(), file


def test_maintain_sends_what_waits(
    place: Place, at: Tables, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    """For those who prefer cron: without a public URL, links lead to where `serve` listens."""
    settings = {**place.settings, "ROADWORTHY_SMTP_URL": "smtp://127.0.0.1:1"}
    service = start(place.folder, settings)
    _sign_up(connect(service.url), "cron@example.com")
    assert service.stop() == 0
    jobs = at["jobs"]
    at.execute(jobs.update().where(jobs.c.kind == "mail").values(run_at=NOW, leased_until=None))
    said = run("maintain", settings=place.settings)

    assert said.returncode == 0, said
    (mail,) = Box(place.folder).all()
    assert mail.link.startswith("http://127.0.0.1:8000/account/confirmation?")
