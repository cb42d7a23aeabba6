"""Serving: prepare the data folder and database, run server processes until told to stop."""

import contextlib
import ctypes
import errno
import gc
import http.client
import os
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings

from roadworthy.app import ANNOUNCED, from_environment
from roadworthy.migrations import (
    HEAD,
    MigrationError,
    current_version,
    migrate,
    require_head,
    require_writable,
)
from roadworthy.processes import Processes
from roadworthy.settings import Settings, SettingsError, signing_secrets
from roadworthy.sockets import drop_unread
from roadworthy.telemetry import finish_notes
from roadworthy.tls import CannotUse, PairFiles
from roadworthy.wire import Application

HEADER_SECONDS = 15
READ_BYTES = 256 * 1024
"""Of a connection at once. Each piece of an upload passes between threads: with a sixteenth of it,
uploads took twice as long (measured)."""
KEPT_PIECE_BYTES = 2 * 1024 * 1024
KEPT_BYTES = 8 * 1024 * 1024
UNREAD_SECONDS = 30
"""How long a client may take no byte of its answer before the connection is dropped."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as mallopt(3) is told which

MOST_CONNECTIONS = 12_288
BYTES_OF_A_CONNECTION = 300 * 1024
"""At most (measured: with as much of a header as is taken in, sent slowly)."""
FILES_BESIDE_CONNECTIONS = 256
FEW_CONNECTIONS = 10_000
"""One machine can open, and hold, so many without effort."""
STOP_SECONDS = 30

_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class CannotServe(Exception):
    """Serving cannot begin; the message says what to do."""


def serve(
    host: str,
    port: int,
    workers: int,
    announce: Callable[[str], None],
    files: PairFiles | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    With `files`, over TLS. `announce` gets the URL once it answers. Call `prepare` before. Raises
    `CannotServe`.
    """
    address, port = _free_address(host, port)
    url = _url(host, port, "https" if files else "http")
    os.environ[ANNOUNCED] = url
    try:
        server = Processes(
            _application,
            lambda: _announce_when_ready(url, announce),
            files,
            address=address,
            port=port,
            workers=workers,
            interface=Interfaces.ASGI,
            runtime_mode=RuntimeModes.st,
            loop=Loops.uvloop,
            http=HTTPModes.http1,  # with HTTP/2 as well, who says nothing stays forever
            websockets=False,
            backlog=4096,
            backpressure=_most_connections(workers),
            http1_settings=HTTP1Settings(
                header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=READ_BYTES
            ),
            log_enabled=False,
            workers_kill_timeout=STOP_SECONDS,
        )
    except CannotUse as unusable:
        raise CannotServe(str(unusable)) from None
    try:
        server.run()
    except SystemExit as stop:
        if stop.code:
            finish_notes()
            raise CannotServe(
                "the server processes end before they serve: see why in the log above"
            ) from None


def _application(started: Callable[[Application], None]) -> Application:
    """What each server process serves."""
    drop_unread(UNREAD_SECONDS)
    _keep_memory()
    application = from_environment(started)
    _spare_what_stays()
    return application


def _keep_memory() -> None:
    """Have the C library keep what a piece of a file took for the next, rather than give it back
    and have the kernel empty it anew: a twentieth of an upload's processor time (measured).
    """
    library = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):  # another than glibc
        library.mallopt(_M_MMAP_THRESHOLD, KEPT_PIECE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def _spare_what_stays() -> None:
    """Have the collector of cycles look at what requests make, not at all that is loaded.

    It took a tenth of the processor time of creates, in pauses of up to 80 ms (measured).
    """
    gc.collect()
    gc.freeze()


def connection_warnings(workers: int) -> list[str]:
    """What keeps `workers` server processes from having many connections at once."""
    return [
        f"there is room for {max(workers, workers * fit)} connections at once, for want of "
        f"{lacking}: whoever opens as many keeps the others waiting"
        for fit, lacking in (
            (_fit_into_memory(workers), "memory"),
            (_fit_into_files(), "files that may be open (`ulimit -Hn`)"),
        )
        if workers * fit < FEW_CONNECTIONS
    ]


def pair_files(settings: Settings) -> PairFiles | None:
    """Where the certificate and its key are, if HTTPS is to be spoken."""
    if settings.tls_cert and settings.tls_key:
        return PairFiles(settings.tls_cert, settings.tls_key)
    return None


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
            f"cannot use {error.filename or settings.data_dir}: {error.strerror}: set "
            "ROADWORTHY_DATA_DIR to a folder that this user may write to, and that has room"
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
    else:
        require_writable(settings.database_url)


def _most_connections(workers: int) -> int:
    """As many as each process may have, having asked for all that it may."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    return max(1, min(MOST_CONNECTIONS, _fit_into_memory(workers), _fit_into_files()))


def _fit_into_memory(workers: int) -> int:
    """Hostile ones, all together, fill half of it."""
    return _memory_bytes() // 2 // workers // BYTES_OF_A_CONNECTION


def _fit_into_files() -> int:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if files == resource.RLIM_INFINITY else files - FILES_BESIDE_CONNECTIONS


def _memory_bytes() -> int:
    """Of this machine, or what its container may have of that."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            most = min(most, int(limit.read_text()))
    return most


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


def _url(host: str, port: int, scheme: str) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _announce_when_ready(url: str, announce: Callable[[str], None]) -> None:
    def wait() -> None:
        while not _answers(url):
            time.sleep(0.01)
        announce(url)

    threading.Thread(target=wait, name="ready", daemon=True).start()


def _answers(url: str) -> bool:
    address = urlsplit(url)
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- asked, not bound
    host = address.hostname or ""
    connection = _connection(address.scheme, wildcards.get(host, host), address.port)
    try:
        connection.request("HEAD", "/up")
        return connection.getresponse().status in {200, 503}
    except OSError:
        return False
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=5)
    # It is asked whether it answers, not who it is: the certificate is for another name.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=5, context=context)
