"""A PostgreSQL cluster of our own: a temporary folder, a free port of 127.0.0.1, and gone after."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.ports import free_port

PASSWORD = "only-for-tests"
START_SECONDS = 30
ATTEMPTS = 3

MISSING = (
    "These tests need a PostgreSQL server and found none in PATH, in `pg_config --bindir` or in "
    "/usr/lib/postgresql/*/bin. On Debian: apt-get install postgresql"
)


class Cluster:
    """Runs from construction until `stop`."""

    def __init__(self) -> None:
        self._binaries = find_binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="roadworthy-postgres-"))
        try:
            self._initialise()
            self._process, self.port = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def url(self, database: str) -> str:
        return f"postgresql://roadworthy:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, like: str = "template1") -> str:
        """The URL of a new database: empty, or with what is in `like`, which nobody uses."""
        asyncio.run(self._execute(f"CREATE DATABASE {database} TEMPLATE {like}"))
        return self.url(database)

    async def _execute(self, statement: str, *values: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        await connection.execute(statement, *values)
        await connection.close()

    def end_connections(self, database: str) -> None:
        """Cut off whoever uses `database`."""
        asyncio.run(
            self._execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                database,
            )
        )

    def halt(self, how: signal.Signals = signal.SIGINT) -> None:
        """Fast shutdown, or with SIGQUIT none at all; whoever is still connected is cut off."""
        self._process.send_signal(how)
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)

    def resume(self) -> None:
        """Run again where it ran before."""
        self._process = self._launch(self.port)
        if not self._is_ready(self._process):
            raise RuntimeError("PostgreSQL does not start again")

    def stop(self) -> None:
        """Halt, and leave nothing."""
        self.halt()
        shutil.rmtree(self._folder)

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
            shutil.chown(password, "postgres")
        subprocess.run(
            [
                self._binaries / "initdb",
                f"--pgdata={self._folder / 'data'}",
                "--username=roadworthy",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **_as_its_own_user(),
        )

    def _start(self) -> tuple["subprocess.Popen[bytes]", int]:
        """Somebody else may take the free port first, so more than one attempt is made."""
        for _ in range(ATTEMPTS):
            port = free_port()
            process = self._launch(port)
            if self._is_ready(process):
                return process, port
        log = (self._folder / "log").read_text()
        raise RuntimeError(f"PostgreSQL does not start:\n{log}")

    def _launch(self, port: int) -> "subprocess.Popen[bytes]":
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # nothing here needs to outlive a power cut
            "full_page_writes": "off",
            "autovacuum": "off",  # it would start a process for each of hundreds of databases
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._binaries / "postgres",
                    "-D",
                    self._folder / "data",
                    *settings,
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for pytest, which then stops it in order
                **_as_its_own_user(),
            )

    def _is_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        """`postmaster.pid` says `ready` in its eighth line."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            status = self._folder / "data" / "postmaster.pid"
            if status.exists() and "ready" in status.read_text():
                return True
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            process.wait()
        return False


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`; the test run fails where there is none."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.fail(MISSING, pytrace=False)


def _candidates() -> list[Path]:
    found = [Path(path).parent for name in ("postgres",) if (path := shutil.which(name))]
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
        found.append(Path(asked.stdout.strip()))
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    return found + sorted(packaged, key=lambda folder: int(folder.parent.name), reverse=True)


def _as_its_own_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; Debian's package makes a user for it.

    The process is the server itself, as it would not be behind `runuser`, which passes on no
    signal that PostgreSQL would understand.
    """
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}
