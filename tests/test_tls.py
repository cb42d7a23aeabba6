"""HTTPS with a certificate of the operator's, which may be renewed at any time."""

import contextlib
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from roadworthy.tls import CannotUse, PairFiles, Watch, read_pair
from tests.conftest import SOAK, Place
from tests.support.certificates import (
    ENCRYPTED,
    AnyKey,
    Renewed,
    certificate,
    new_key,
    of_version_1,
    private,
)
from tests.support.client import Client
from tests.support.documented import DOCUMENTED_HEADERS
from tests.support.drivers import FIELDS, new_driver
from tests.support.processes import children
from tests.support.scan import hold_nothing_weak
from tests.support.service import Service, run
from tests.support.tables import open_tables
from tests.support.waiting import wait_until

Start = Callable[..., Service]

RENEWALS = 20 if SOAK else 3
PATIENCE = 60
"""Seconds after which what should happen is not waited for any more."""

HSTS = "strict-transport-security"


@pytest.fixture
def pair(tmp_path: Path) -> Renewed:
    return Renewed(tmp_path)


@pytest.fixture
def secure(new_place: Callable[[str], Place], start: Start, pair: Renewed) -> Service:
    """Two server processes over TLS; which database they have changes nothing here."""
    place = new_place("sqlite")
    return start(place.folder, {**place.settings, **pair.settings}, "--workers", "2")


def shown(url: str) -> bytes:
    """The certificate that a new connection is shown."""
    address = urlsplit(url)
    with (
        socket.create_connection((address.hostname, address.port), PATIENCE) as plain,
        _trusting().wrap_socket(plain) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def _trusting() -> ssl.SSLContext:
    """Whoever it is: certificates change while they are looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_driver_registers_over_tls(
    kind: str, new_place: Callable[[str], Place], start: Start, pair: Renewed
) -> None:
    place = new_place(kind)
    service = start(place.folder, {**place.settings, **pair.settings})
    assert service.url.startswith("https://")
    tables = open_tables(place.url)
    driver = new_driver(tables)
    client = Client(service.url, pair.certificate)

    answer = driver.send(client, "POST", FIELDS)

    assert answer.status == 200
    assert answer.header(HSTS) == "max-age=31536000"
    assert answer.names[:13] == [*(name for name, _ in DOCUMENTED_HEADERS), HSTS]
    client.close()
    tables.close()


def test_without_tls_nobody_is_told_to_insist_on_it(
    new_place: Callable[[str], Place], start: Start, connect: Callable[[str], Client]
) -> None:
    place = new_place("sqlite")
    service = start(place.folder, place.settings)
    client = connect(service.url)
    assert client.send("GET", "/up").header(HSTS) is None

    service.process.send_signal(signal.SIGHUP)

    for _ in range(20):
        assert client.send("GET", "/up").status == 200
        time.sleep(0.05)
    assert len(children(service.process.pid)) == 1


def test_a_scan_finds_nothing_weak(secure: Service, tmp_path: Path) -> None:
    hold_nothing_weak(secure.url, tmp_path)


_KEYS: dict[str, Callable[[], AnyKey]] = {
    "RSA of 2048 bits": lambda: rsa.generate_private_key(65537, 2048),
    "P-256": new_key,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("make", _KEYS.values(), ids=_KEYS)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_pair_may_be(make: Callable[[], AnyKey], form: PrivateFormat, pair: Renewed) -> None:
    key = make()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        form = PrivateFormat.PKCS8
    others = certificate(new_key())
    pair.certificate.write_bytes(certificate(key) + others)
    pair.key.write_bytes(private(key, form))

    read = read_pair(PairFiles(pair.certificate, pair.key))

    assert read.certificate == pair.certificate.read_bytes()
    assert read.key == private(key)


@dataclass(frozen=True)
class Broken:
    """What is in the files, and what is said of it."""

    said: str
    key: AnyKey = field(default_factory=new_key)
    certificate: bytes | None = None
    written: bytes | None = None


def _broken() -> dict[str, Broken]:
    key = new_key()
    kinds: dict[str, AnyKey] = {
        "RSA of 1024 bits": rsa.generate_private_key(65537, 1024),  # noqa: S505 -- is refused
        "P-521": ec.generate_private_key(ec.SECP521R1()),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "RSA of exponent 3": rsa.generate_private_key(3, 2048),
    }
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return {
        "the first version": Broken(
            "is not of version 3", key, certificate=of_version_1(certificate(key))
        ),
        "an extension that nobody knows": Broken(
            "has a critical extension that is unknown, 1.2.3.4",
            key,
            certificate=certificate(key, critical=unknown),
        ),
        "no certificate": Broken("holds no certificate in PEM", certificate=b""),
        "a key for a certificate": Broken("holds no certificate in PEM", certificate=private(key)),
        "a broken certificate": Broken(
            "holds no certificate in PEM", key, certificate=certificate(key).replace(b"A", b"B")
        ),
        "no key": Broken("holds no private key in PEM", written=b""),
        "a certificate for a key": Broken("holds no private key in PEM", written=certificate(key)),
        "another's key": Broken("is not that of the first certificate", written=private(key)),
        "an encrypted key": Broken(
            "is encrypted: decrypt it", key, written=private(key, encryption=ENCRYPTED)
        ),
        "a key encrypted in the old way": Broken(
            "is encrypted: decrypt it",
            key,
            written=private(key, PrivateFormat.TraditionalOpenSSL, ENCRYPTED),
        ),
        **{name: Broken("of a kind that is not served with", key) for name, key in kinds.items()},
    }


_BROKEN = _broken()


@pytest.mark.parametrize("broken", _BROKEN.values(), ids=_BROKEN)
def test_a_pair_that_cannot_be_used_is_refused(broken: Broken, pair: Renewed) -> None:
    given, written = broken.certificate, broken.written
    pair.certificate.write_bytes(certificate(broken.key) if given is None else given)
    pair.key.write_bytes(private(broken.key) if written is None else written)

    with pytest.raises(CannotUse, match=broken.said) as refused:
        read_pair(PairFiles(pair.certificate, pair.key))

    assert "\n" not in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value)


def test_serving_does_not_begin_with_a_pair_that_cannot_be_used(
    pair: Renewed, tmp_path: Path
) -> None:
    pair.key.unlink()
    settings = {**pair.settings, "ROADWORTHY_DATA_DIR": str(tmp_path / "data")}

    refused = run("serve", "--port", "0", settings=settings)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"roadworthy: cannot read {pair.key}: No such file or directory: name a file that the "
        "user who serves may read\n"
    )


def test_an_expired_certificate_is_served_and_noted(
    new_place: Callable[[str], Place], start: Start, pair: Renewed
) -> None:
    expired = pair.renew(days=-1)
    place = new_place("sqlite")

    service = start(place.folder, {**place.settings, **pair.settings})

    assert shown(service.url) == expired
    wait_until(lambda: "certificate has expired" in service.errors, "it is noted")


def test_a_change_is_noticed_once_and_when_it_is_over(pair: Renewed) -> None:
    watch = Watch(PairFiles(pair.certificate, pair.key))
    assert not watch.changed()

    pair.renew()
    assert not watch.changed(), "it may be half written"
    pair.key.unlink()
    assert not watch.changed(), "it still changes"
    assert watch.changed()
    assert not watch.changed()

    pair.renew()
    assert [watch.changed() for _ in range(4)] == [False, True, False, False]


class Crowd:
    """Clients in threads until `stop`; what went wrong for any is in `errors`."""

    def __init__(self, *clients: Callable[[Callable[[], bool]], None]):
        self.errors: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[each]) for each in clients]
        for each in self._threads:
            each.start()

    def _run(self, client: Callable[[Callable[[], bool]], None]) -> None:
        try:
            client(self._over.is_set)
        except Exception as error:  # noqa: BLE001 -- is told by `stop`
            self.errors.append(f"{client.__name__}: {error!r}")

    def stop(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()
        assert self.errors == []


@dataclass
class Visitors:
    """Every way to be connected, and how often each was answered."""

    url: str
    counts: dict[str, int] = field(default_factory=lambda: {"new": 0, "kept": 0, "closed": 0})

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        self._address = (address.hostname or "", address.port)
        self._context = _trusting()

    def newcomers(self, is_over: Callable[[], bool]) -> None:
        """A connection for each request."""
        while not is_over():
            connection = self._dial()
            connection.request("GET", "/up", headers={"connection": "close"})
            assert connection.getresponse().read() == b'{"status":"up"}'
            connection.close()
            self.counts["new"] += 1

    def regulars(self, is_over: Callable[[], bool]) -> None:
        """One connection for as long as nobody says that it is to be closed."""
        while not is_over():
            connection = self._dial()
            while not is_over():
                connection.request("GET", "/up")
                response = connection.getresponse()
                assert response.read() == b'{"status":"up"}'
                self.counts["kept"] += 1
                if response.getheader("connection") == "close":
                    self.counts["closed"] += 1
                    break
            connection.close()

    def slow(self, is_over: Callable[[], bool]) -> None:
        """A request that takes a while to arrive, through a renewal."""
        body = b'{"user": {"email": "", "password": ""}}'
        while not is_over():
            connection = self._dial()
            connection.putrequest("POST", "/api/v1/users")
            connection.putheader("content-type", "application/json")
            connection.putheader("content-length", str(len(body)))
            connection.endheaders()
            for byte in range(len(body)):
                connection.send(body[byte : byte + 1])
                time.sleep(0.05)
            assert connection.getresponse().status == 422
            connection.close()

    def _dial(self) -> HTTPSConnection:
        return HTTPSConnection(*self._address, timeout=PATIENCE, context=self._context)


def test_renewals_drop_no_connection(secure: Service, pair: Renewed) -> None:
    visitors = Visitors(secure.url)
    idle = Client(secure.url, pair.certificate)
    assert idle.send("GET", "/up").status == 200
    crowd = Crowd(*[visitors.newcomers] * 3, *[visitors.regulars] * 3, visitors.slow)
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(crowd.stop)
        for number in range(RENEWALS):
            renewed = pair.renew()
            secure.process.send_signal(signal.SIGHUP)
            wait_until(lambda new=renewed: shown(secure.url) == new, "the new certificate")  # type: ignore[misc]
            wait_until(lambda n=number: secure.log.count("renewed") == n + 1, "its line")  # type: ignore[misc]
            if number == 0:
                wait_until(lambda: idle.send("GET", "/up").header("connection") == "close", "last")
                idle.close()
            before = visitors.counts["new"]
            wait_until(lambda n=before: visitors.counts["new"] > n + 20, "more clients")  # type: ignore[misc]

    assert visitors.counts["closed"] >= RENEWALS, visitors.counts
    wait_until(lambda: len(children(secure.process.pid)) == 2, "the old processes end")
    assert shown(secure.url) == renewed
    assert secure.errors.count("\n") == RENEWALS, "a line for each renewal and nothing else"


def test_a_new_pair_is_found_without_being_told_and_a_broken_one_refused(
    secure: Service, pair: Renewed
) -> None:
    first, processes = shown(secure.url), children(secure.process.pid)

    pair.key.write_bytes(b"not yet")
    wait_until(lambda: "certificate refused" in secure.errors, "it is told")
    assert shown(secure.url) == first
    assert children(secure.process.pid) == processes

    renewed = pair.renew()
    wait_until(lambda: "certificate renewed" in secure.errors, "it is told")
    assert shown(secure.url) == renewed
    lines = secure.errors.splitlines()
    assert len(lines) == 2, lines
    assert f'"reason":"{pair.key} holds no private key in PEM' in lines[0]
    assert '"event":"certificate renewed"' in lines[1]


def test_when_no_new_process_can_start_the_old_ones_stay(
    start: Start, pair: Renewed, tmp_path: Path
) -> None:
    service = start(tmp_path, {"ROADWORTHY_DATA_DIR": str(tmp_path), **pair.settings})
    first, processes = shown(service.url), children(service.process.pid)
    secret = tmp_path / "secret"
    kept = secret.read_text()
    secret.write_text("")

    renewed = pair.renew()
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no server process starts" in service.errors, "it is told")
    assert shown(service.url) == first
    assert children(service.process.pid) == processes

    secret.write_text(kept)
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: shown(service.url) == renewed, "the new certificate")


def test_who_stops_the_service_stops_the_old_processes_too(secure: Service, pair: Renewed) -> None:
    held = Client(secure.url, pair.certificate)
    assert held.send("GET", "/up").status == 200
    pair.renew()
    secure.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "certificate renewed" in secure.errors, "it is renewed")
    processes = children(secure.process.pid)
    assert len(processes) > 2, "an old one waits for a client"

    assert secure.stop() == 0
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "they end")
    held.close()
