"""Databases to measure on: SQLite files and a PostgreSQL cluster, both in a temporary folder."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.processes import Process, run

SECRET = "a secret that only the bench knows"  # noqa: S105 -- signs nothing but its own tokens
START_SECONDS = 30


@dataclass(frozen=True)
class Database:
    """A database for one server, at its schema, with the folder that the server keeps."""

    kind: str
    url: str
    folder: Path
    postgresql: Process | None
    """PostgreSQL's own process."""

    def environment(self) -> dict[str, str]:
        """Our environment with the settings that a server of this database needs.

        Users keep Python's bytecode, so a start without it is none of theirs.
        """
        not_theirs = ("ROADWORTHY_", "PYTHONDONTWRITEBYTECODE")
        own = {k: v for k, v in os.environ.items() if not k.startswith(not_theirs)}
        return own | {
            "ROADWORTHY_DATA_DIR": str(self.folder),
            "ROADWORTHY_DATABASE_URL": self.url,
            "ROADWORTHY_SECRET_KEY": SECRET,
        }


class Databases:
    """Makes databases of one kind in one temporary folder."""

    def __init__(self, kind: str, folder: Path, server: Process | None = None, port: int = 0):
        self._kind = kind
        self._server = server
        self._folder = folder
        self._port = port

    def make(self, name: str) -> Database:
        """A new, empty database, migrated as an operator would."""
        folder = self._folder / name
        folder.mkdir()
        database = Database(self._kind, self._url(name, folder), folder, self._server)
        run([program("roadworthy"), "migrate"], env=database.environment())
        return database

    def _url(self, name: str, folder: Path) -> str:
        if self._kind == "sqlite":
            return f"sqlite:///{folder}/roadworthy.db"
        asyncio.run(_execute(self._port, f'CREATE DATABASE "{name}"'))
        return _url(self._port, name)


@contextmanager
def databases(kind: str) -> Iterator[Databases]:
    """Of `kind` `sqlite`, or `postgresql`: a cluster with default settings, on 127.0.0.1."""
    with tempfile.TemporaryDirectory(prefix="roadworthy-bench-") as folder:
        if kind == "sqlite":
            yield Databases(kind, Path(folder))
            return
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        with _cluster(Path(folder, "cluster"), user) as (server, port):
            yield Databases(kind, Path(folder), server, port)


def program(name: str) -> str:
    """The command `name` of the environment that runs us."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _cluster(data: Path, user: str | None) -> Iterator[tuple[Process, int]]:
    options = ["-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"]
    run([_binary("initdb"), "-D", str(data), *options], user=user, cwd="/")
    port = free_port()
    command = [_binary("postgres"), "-D", str(data), "-p", str(port)]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories="):
        command += ["-c", setting]
    with Process.started(command, user=user, cwd="/", stderr=subprocess.DEVNULL) as server:
        _wait_until_it_answers(port)
        yield server, port


def _binary(name: str) -> str:
    """Where Debian keeps it, the newest release first; else where PATH says."""
    kept = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(kept, key=lambda path: int(path.parts[4]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install postgresql")
    return found


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, asyncpg.PostgresError):
            asyncio.run(_execute(port, "SELECT 1"))
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not start")


async def _execute(port: int, statement: str) -> None:
    connection = await asyncpg.connect(_url(port, "postgres"), timeout=5)
    await connection.execute(statement)
    await connection.close()


def _url(port: int, name: str) -> str:
    return f"postgresql://bench@127.0.0.1:{port}/{name}"
