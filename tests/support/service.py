"""The real service, started as an operator would start it."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from roadworthy.accounts import Tokens
from tests.support.rows import Rows

SECRET = "the secret of the tests is long enough for anybody"
ORIGIN = "https://app.example.com"
PROFILE = "/api/v1/users/profile"
READY_SECONDS = 30

VALID = {
    "first_name": "Virgie",
    "last_name": "Luettgen",
    "postcode": "123",
    "start_date": "2020-03-20",
    "birth_date": "2000-03-20",
    "contact_phone_number": "07856 207372",
}

_numbers = count(1)


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with only these settings of ours."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("ROADWORTHY_")}
    return {**others, **{f"ROADWORTHY_{name.upper()}": value for name, value in settings.items()}}


def roadworthy(
    *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "roadworthy", *arguments],
        env=dict(env) if env is not None else environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Driver:
    """A driver who is signed in."""

    id: int
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Service:
    """A running service. `settings` are names without the prefix, in lower case."""

    settings: dict[str, str]
    workers: int = 1
    port: int = 0
    arguments: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    extra_environment: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait for its one line."""
        self._log = tempfile.NamedTemporaryFile(prefix="roadworthy-log-", delete=False)  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                *self.wrapper,
                *(sys.executable, "-m", "roadworthy", "serve", "--port", str(self.port)),
                *("--workers", str(self.workers), *self.arguments),
            ],
            env={**environment(**self.settings), **self.extra_environment},
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        said = self._first_line()
        self.url = said.strip().rpartition(" ")[2]
        self.port = int(self.url.rpartition(":")[2])

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        said = self.process.stdout.readline().decode() if readable else ""
        if not said:
            self.kill()
            raise RuntimeError(f"it did not start: {self.log()}")
        return said

    def stop(self) -> int:
        """SIGTERM, as an operator's supervisor does: the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._forget()
        return status

    def kill(self) -> None:
        """SIGKILL to every process of it at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._forget()

    def log(self) -> str:
        """What it wrote to standard error."""
        return Path(self._log.name).read_text()

    def server_pids(self) -> list[int]:
        """The server processes, without the one that watches over them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    @property
    def rows(self) -> Rows:
        """Its database."""
        embedded = f"sqlite:///{self.settings.get('data_dir')}/roadworthy.db"
        return Rows(self.settings.get("database_url", embedded))

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, verify=False, **options)  # noqa: S501 -- no TLS

    def new_driver(self, profile: Mapping[str, Any] | None = None, **claims: Any) -> Driver:
        """A driver who is signed in, with that profile if one is given."""
        email = f"driver{next(_numbers)}.{os.getpid()}@example.com"
        driver = Driver(self._insert_user(email), email, "")
        driver = Driver(driver.id, email, self.token_for(driver.id, **claims))
        if profile is not None:
            with self.client() as client:
                created = client.post(PROFILE, json={"profile": profile}, headers=driver.headers)
                assert created.status_code == 200, created.text
        return driver

    def token_for(self, user_id: int, audience: str | None = None) -> str:
        return Tokens((SECRET,)).issue(user_id, audience, datetime.now(UTC))

    def _insert_user(self, email: str) -> int:
        now: Any = datetime.now(UTC)
        if self.rows.is_sqlite:
            now = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        inserted = self.rows(
            "INSERT INTO users (email, password_digest, created_at, updated_at)"
            " VALUES ($1, 'none', $2, $2) RETURNING id",
            email,
            now,
        )
        return int(inserted[0]["id"])

    def _forget(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder for the embedded database."""
    with tempfile.TemporaryDirectory(prefix="roadworthy-test-") as folder:
        yield Path(folder)
