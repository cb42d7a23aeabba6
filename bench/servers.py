"""The two programs under measurement, and how to ask them something."""

import http.client
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.databases import Database, free_port, program
from bench.processes import Process

PATH = "/api/v1/users/profile"
READY = "Roadworthy is ready at "
START_SECONDS = 30
LOG_SHOWN = 4000

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Server:
    """A program that answers at `url` from `database`."""

    name: str
    url: str
    process: Process
    database: Database

    @property
    def processes(self) -> list[Process]:
        """What answers: its own, and PostgreSQL where it is used."""
        return [each for each in (self.process, self.database.postgresql) if each]


@dataclass(frozen=True)
class Answer:
    """What a server answered; header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Client:
    """One kept connection to a server. A context manager."""

    def __init__(self, server: Server):
        self._connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None, path: str = PATH
    ) -> Answer:
        """Send one request."""
        self._connection.request(method, path, body, dict(headers))
        response = self._connection.getresponse()
        named = [(name.lower(), value) for name, value in response.getheaders()]
        return Answer(response.status, named, response.read())


NO_LIMITS = {
    f"ROADWORTHY_{name}_LIMIT": "100000/1m,100000/1m" for name in ("SIGN_IN", "SIGN_UP", "MAIL")
}
"""All load is one address: its tries are counted, and never too many."""


@contextmanager
def service(database: Database, extra: Environment | None = None) -> Iterator[Server]:
    """The service as a user starts it, one server process; `extra` goes to its environment."""
    command = [program("roadworthy"), "serve", "--port", "0"]
    environment = NO_LIMITS | dict(extra or {})
    with _started("service", command, database, environment) as (process, log):
        yield Server("service", _announced_url(process, log), process, database)


@contextmanager
def floor(database: Database, extra: Environment | None = None) -> Iterator[Server]:
    """The floor."""
    port = free_port()
    command = [sys.executable, "-m", "bench.floor", database.url, str(port)]
    with _started("floor", command, database, extra) as (process, _):
        server = Server("floor", f"http://127.0.0.1:{port}", process, database)
        _wait_until_it_answers(server)
        yield server


@contextmanager
def _started(
    name: str, command: list[str], database: Database, extra: Environment | None
) -> Iterator[tuple[Process, Path]]:
    """The process and the file with what it prints; should anything fail, that is shown."""
    log = database.folder / f"{name}.log"
    env = database.environment() | {"PYTHONUNBUFFERED": "1"} | dict(extra or {})
    try:
        with (
            log.open("w") as output,
            Process.started(command, env=env, stdout=output, stderr=output) as process,
        ):
            yield process, log
    except Exception:
        print(log.read_text()[-LOG_SHOWN:], file=sys.stderr)
        raise


def _announced_url(process: Process, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.popen.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                return line.removeprefix(READY).strip()
        time.sleep(0.01)
    raise ChildProcessError("the service did not start")


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.popen.poll() is None:
        with suppress(OSError), Client(server) as client:
            client.ask("GET", {})
            return
        time.sleep(0.02)
    raise ChildProcessError(f"the {server.name} did not start")
