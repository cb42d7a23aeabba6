"""Serving: prepare the data folder and database, run server processes until told to stop."""

import errno
import http.client
import resource
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings

import roadworthy.app  # noqa: F401 -- server processes are forked with it loaded
from roadworthy.migrations import HEAD, MigrationError, current_version, migrate, require_head
from roadworthy.settings import Settings, SettingsError, signing_secrets

HEADER_SECONDS = 15
MOST_HEADER_BYTES = 32 * 1024
MOST_CONNECTIONS = 16_384
FILES_BESIDE_CONNECTIONS = 256
STOP_SECONDS = 30


class CannotServe(Exception):
    """Serving cannot begin; the message says what to do."""


def serve(host: str, port: int, workers: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    `announce` gets the URL once it answers. Call `prepare` before. Raises `CannotServe`.
    """
    address, port = _free_address(host, port)
    server = Granian(
        "roadworthy.app:from_environment",
        factory=True,
        address=address,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,  # with HTTP/2 as well, who connects and says nothing stays forever
        websockets=False,
        backlog=4096,
        backpressure=_most_connections(),
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MOST_HEADER_BYTES
        ),
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    )
    server.on_startup(lambda: _announce_when_ready(host, port, announce))
    try:
        server.serve()
    except SystemExit as stop:
        if stop.code:
            raise CannotServe(
                "the server processes keep failing; their log above says why"
            ) from None


def prepare(settings: Settings) -> None:
    """Make the data folder, its secret and, when it is embedded, the database ready.

    Raises `CannotServe`.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_half_restored(settings)
        signing_secrets(settings)
        _prepare_database(settings)
    except (SettingsError, MigrationError) as error:
        raise CannotServe(str(error)) from None
    except OSError as error:
        raise CannotServe(
            f"cannot use {error.filename}: {error.strerror}: set ROADWORTHY_DATA_DIR to a folder "
            "that this user may write to"
        ) from None


def _refuse_half_restored(settings: Settings) -> None:
    if settings.restoring_dir.exists():
        raise CannotServe(
            f"a restore into {settings.data_dir} is at work, or was interrupted: then delete what "
            "is in there, and restore again"
        )


def _prepare_database(settings: Settings) -> None:
    if not settings.embedded:
        require_head(settings.database_url)
    elif current_version(settings.database_url) != HEAD:
        migrate(settings.database_url, keep_in=settings.copies_dir)


def _most_connections() -> int:
    """As many as this process may have, having asked for all that it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, most - FILES_BESIDE_CONNECTIONS))


def _free_address(host: str, port: int) -> tuple[str, int]:
    """The IP address of `host`, and `port`, or a free one for 0.

    Server processes share a port, so nobody else may have it.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            address, free, *_ = probe.getsockname()
            return address, free
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(f"port {port} is in use: choose another with --port") from None
        raise CannotServe(
            f"cannot listen on {host}:{port}: {error.strerror}: choose an address of this machine "
            "with --host"
        ) from None


def _announce_when_ready(host: str, port: int, announce: Callable[[str], None]) -> None:
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def wait() -> None:
        # No lock is held while sleeping, so forking the server processes now is safe.
        time.sleep(0.05)
        while not _answers(url):
            time.sleep(0.01)
        announce(url)

    threading.Thread(target=wait, name="ready", daemon=True).start()


def _answers(url: str) -> bool:
    address = urlsplit(url)
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- asked, not bound
    host = address.hostname or ""
    connection = http.client.HTTPConnection(wildcards.get(host, host), address.port, timeout=5)
    try:
        connection.request("HEAD", "/up")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()
