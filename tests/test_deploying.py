"""The unit for systemd and the configuration of nginx that the docs offer, tried."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Place
from tests.support.certificates import Renewed
from tests.support.client import Client
from tests.support.documented import DOCUMENTED_HEADERS, DOCUMENTED_ID, REQUEST, RESPONSE, sign_up
from tests.support.drivers import PROFILE_PATH, new_driver
from tests.support.ports import free_port
from tests.support.scan import hold_nothing_weak
from tests.support.service import STOP_SECONDS, Service, environment, wait_until_ready
from tests.support.tables import Tables, open_tables
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "docs" / "roadworthy.service"
PROXY = ROOT / "docs" / "nginx.conf"

NGINX = "/usr/sbin/nginx"
ANALYZE = "/usr/bin/systemd-analyze"
MOST_EXPOSURE = 2.0
"""As `systemd-analyze security` counts it, from 0 to 10."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with what is installed here in the place of /opt/roadworthy."""
    copy = tmp_path / "roadworthy.service"
    copy.write_text(with_our_command(UNIT.read_text()))
    return copy


def with_our_command(text: str) -> str:
    command = f"{Path(sys.executable).parent}/roadworthy"
    return text.replace("/opt/roadworthy/.venv/bin/roadworthy", command)


def settings_of(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


@pytest.mark.parametrize("drop_in", ["", "tls.conf"], ids=["alone", "with TLS"])
def test_the_unit_is_one_that_systemd_understands(unit: Path, drop_in: str) -> None:
    if drop_in:
        page = (ROOT / "docs" / "operators.md").read_text()
        [shown] = re.findall(r"^```ini\n(.*?)^```\n", page, re.MULTILINE | re.DOTALL)
        folder = unit.with_name(f"{unit.name}.d")
        folder.mkdir()
        (folder / drop_in).write_text(with_our_command(shown))
    checked = subprocess.run(
        [ANALYZE, "verify", str(unit)], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_unit_leaves_the_service_little_room() -> None:
    judged = subprocess.run(
        [ANALYZE, "security", "--no-pager", "--offline=true", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )

    found = re.search(r"Overall exposure level for roadworthy.service: ([\d.]+)", judged.stdout)
    assert found, judged
    assert float(found[1]) <= MOST_EXPOSURE, judged.stdout


def test_the_unit_waits_longer_than_the_service_takes_to_stop() -> None:
    assert settings_of(UNIT, "KillMode") == ["mixed"]
    assert int(settings_of(UNIT, "TimeoutStopSec")[0]) > 30
    assert int(settings_of(UNIT, "LimitNOFILE")[0]) >= 12_288 + 256


_LESS = """
mount --bind "$STATE" "$STATE" && mount -o remount,bind,ro / && cd / || exit 70
if touch "$OUTSIDE" 2>/dev/null; then exit 71; fi
umask 0077
exec prlimit --nofile="$FILES" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all \
    "$PYTHON" -c "$DENY_WRITE_EXECUTE" "$@"
"""
_DENY_WRITE_EXECUTE = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_service_runs_with_as_little_as_the_unit_leaves_it(
    unit: Path, tmp_path: Path, connect: Callable[[str], Client]
) -> None:
    """As far as that is to be had without systemd: a file system that cannot be written to but for
    its folder, no capabilities, none to be gained, no memory both written and run.
    """
    apart = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        apart += ["--user", "--map-root-user"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not have mounts of its own")
    state, output, errors = (tmp_path / name for name in ("state", "stdout", "stderr"))
    state.mkdir(mode=0o700)
    [command] = settings_of(unit, "ExecStart")
    [folder] = [each for each in settings_of(unit, "Environment") if "DATA_DIR" in each]
    name, _, value = folder.partition("=")
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [*apart, "sh", "-c", _LESS, "sh", *command.split(), "--port", "0"],
            stdout=out,
            stderr=err,
            start_new_session=True,
            env={
                **environment({name: value.replace("%S/roadworthy", str(state))}),
                "STATE": str(state),
                "OUTSIDE": str(tmp_path / "outside"),
                "FILES": settings_of(unit, "LimitNOFILE")[0],
                "PYTHON": sys.executable,
                "DENY_WRITE_EXECUTE": _DENY_WRITE_EXECUTE,
            },
        )
    try:
        client = connect(wait_until_ready(process, output, errors))
        assert client.send("POST", PROFILE_PATH, sign_up(client), REQUEST).status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_SECONDS)
    assert status == 0, errors.read_text()
    assert {file.name for file in state.iterdir()} >= {"roadworthy.db", "secret"}


@dataclass(frozen=True)
class Proxied:
    """A service behind the documented nginx; which database it has changes nothing here."""

    url: str
    trusted: Path
    tables: Tables
    log: Path


@pytest.fixture(scope="module")
def proxied(
    new_place: Callable[[str], Place], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    place, folder = new_place("sqlite"), tmp_path_factory.mktemp("nginx")
    service = Service(place.folder, place.settings)
    pair, secure, plain = Renewed(folder), free_port(), free_port()
    site, main = folder / "site", folder / "nginx.conf"
    site.write_text(
        _replaced(
            PROXY.read_text(),
            {
                "server 127.0.0.1:8000;": f"server {urlsplit(service.url).netloc};",
                "/etc/letsencrypt/live/drivers.example.com/fullchain.pem": str(pair.certificate),
                "/etc/letsencrypt/live/drivers.example.com/privkey.pem": str(pair.key),
                "listen 443 ssl http2;": f"listen 127.0.0.1:{secure} ssl http2;",
                "listen 80;": f"listen 127.0.0.1:{plain};",
                "    listen [::]:443 ssl http2;\n": "",
                "    listen [::]:80;\n": "",
                "/var/log/nginx/roadworthy.log": str(folder / "log"),
            },
        )
    )
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(_MAIN.format(user=user, folder=folder, site=site))
    process = subprocess.Popen([NGINX, "-p", folder, "-c", main, "-e", folder / "errors"])
    tables = open_tables(place.url)
    try:
        _wait_for(secure, process)
        yield Proxied(f"https://127.0.0.1:{secure}", pair.certificate, tables, folder / "log")
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_SECONDS)
        tables.close()
        service.stop()


@pytest.fixture
def proxy(proxied: Proxied) -> Iterator[Client]:
    client = Client(proxied.url, proxied.trusted)
    yield client
    client.close()


def _replaced(text: str, replacements: dict[str, str]) -> str:
    for documented, here in replacements.items():
        assert text.count(documented) == 1, documented
        text = text.replace(documented, here)
    return text


_MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {site};
}}
"""


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STOP_SECONDS
    while True:
        assert process.poll() is None, "nginx does not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until, "nginx does not listen"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/account/confirmation?confirmation_token=secret", "GET /account/confirmation"),
        ("/account/export?token=secret", "GET /account/export"),
        ("/api/v1/files/secret/front.png", "GET /api/v1/files/-"),
        ("/rails/active_storage/disk/secret", "GET /rails/active_storage/disk/-"),
    ],
)
def test_the_proxy_logs_nothing_that_opens_something(
    proxy: Client, proxied: Proxied, path: str, logged: str
) -> None:
    proxy.send("GET", path)
    wait_until(lambda: logged in proxied.log.read_text(), "a line of the log")
    assert "secret" not in proxied.log.read_text()


def test_through_the_proxy_the_documented_request_gives_the_documented_response(
    proxy: Client, proxied: Proxied
) -> None:
    proxied.tables.set_next_id("profiles", DOCUMENTED_ID)
    signed = sign_up(proxy)

    created = proxy.send("POST", PROFILE_PATH, signed, REQUEST)

    assert (created.status, created.body) == (200, RESPONSE)
    for name, shape in DOCUMENTED_HEADERS:
        assert re.fullmatch(shape, created.header(name) or ""), f"{name}: {created}"
    assert created.header("strict-transport-security") == "max-age=31536000"


def test_through_the_proxy_the_service_sets_the_limits(proxy: Client, proxied: Proxied) -> None:
    driver = new_driver(proxied.tables)

    large = driver.send(proxy, "POST", {"bio": "x" * 2_000_000})

    assert (large.status, large.json["error"]) == (413, "Content Too Large"), large


def test_through_the_proxy_nobody_is_taken_for_this_machine(proxy: Client) -> None:
    assert proxy.send("GET", "/metrics").status == 404


def test_a_scan_of_the_proxy_finds_nothing_weak(proxied: Proxied, tmp_path: Path) -> None:
    hold_nothing_weak(proxied.url, tmp_path)
