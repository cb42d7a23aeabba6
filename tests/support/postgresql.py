"""A PostgreSQL of the tests' own, on a private port."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.ports import free_port

USER = "postgres"


class Cluster:
    """A real server, listening on 127.0.0.1 only."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="roadworthy-postgresql-"))
        self._data = self._folder / "data"
        self.port = free_port()
        self._as_root = os.getuid() == 0
        if self._as_root:
            owner = pwd.getpwnam(USER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8")
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it and wait until it answers."""
        log = (self._folder / "log").open("ab")
        self.process = subprocess.Popen(
            self._command(
                "postgres",
                *("-D", str(self._data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"),
                *("-c", f"unix_socket_directories={self._folder}", "-c", "max_connections=200"),
            ),
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)
        return self.process

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast`, or `immediate` as if the machine had crashed."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")
        self.process.wait(30)

    def remove(self) -> None:
        if self.process.poll() is None:
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Its URL."""
        self.sql("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    def sql(self, database: str, statement: str) -> str:
        """What psql prints."""
        return self._run(
            *("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database),
            *("-v", "ON_ERROR_STOP=1", "-Atqc", statement),
        )

    def _answers(self) -> bool:
        try:
            return self.sql("postgres", "SELECT 1").strip() == "1"
        except subprocess.CalledProcessError:
            return False

    def _run(self, program: str, *arguments: str) -> str:
        return subprocess.run(
            self._command(program, *arguments), check=True, capture_output=True, text=True
        ).stdout

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [_binary(program), *arguments]
        if self._as_root and program in {"initdb", "postgres", "pg_ctl"}:
            return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *command]
        return command


def _binary(program: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    path = str(found[-1]) if found else shutil.which(program)
    if path is None:
        raise RuntimeError(f"{program} is missing: install the Debian package postgresql")
    return path
