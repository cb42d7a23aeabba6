"""The real service, started as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

from tests.support.forks import Forked

SECRET = "a secret that only these tests know"
OLD_SECRET = "the secret that these tests had before it"
ORIGIN = "https://app.example.com"
OTHER_ORIGIN = "http://localhost:3000"

START_SECONDS = 30
STOP_SECONDS = 40

_READY = re.compile(r"^Roadworthy is ready at (https?://[^\s;]+)", re.MULTILINE)

COMMAND = (sys.executable, "-m", "roadworthy")

Process: TypeAlias = subprocess.Popen[bytes] | Forked


class Service:
    """`roadworthy serve` from construction until `stop`, its output in files of `folder`."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        arguments: tuple[str, ...] = (),
        command: str = "serve",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "stdout"
        self._errors = folder / "stderr"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = _begin((command, "--port", "0", *arguments), settings, output, errors)
        try:
            self.url = wait_until_ready(self.process, self._output, self._errors)
        except BaseException:
            self.stop()
            raise

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def log(self) -> str:
        """All that it wrote to standard error."""
        return self._errors.read_text()

    @property
    def errors(self) -> str:
        """What it wrote beside a line for each request, and of how small this machine is."""
        usual = ('{"event":"request"', "roadworthy: there is room for ")
        lines = self.log.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(usual))

    def stop(self) -> int:
        """Ask it to stop as an operator would; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until_ready(process: Process, output: Path, errors: Path) -> str:
    """The URL that it announces in the file `output`."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        ready = _READY.search(output.read_text())
        if ready:
            return ready[1]
        time.sleep(0.01)
    raise RuntimeError(f"the service does not start:\n{output.read_text()}\n{errors.read_text()}")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours without any `ROADWORTHY_*` of whoever runs the tests, and with `settings`."""
    plain = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {**plain, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **settings}


def run(
    *arguments: str, settings: Mapping[str, str] | None = None, seconds: float = START_SECONDS
) -> subprocess.CompletedProcess[str]:
    """A command of ours, run to its end."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = _begin(arguments, settings or {}, output, errors)
        try:
            status = process.wait(seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        written = [_text(file) for file in (output, errors)]
    return subprocess.CompletedProcess([*COMMAND, *arguments], status, *written)


def _begin(
    arguments: tuple[str, ...], settings: Mapping[str, str], output: BinaryIO, errors: BinaryIO
) -> Process:
    # Several server processes share their metrics, which is settled as those are loaded; what
    # settings of others do, they may do as anything is.
    if "--workers" in arguments or not all(map(_is_ours, settings)):
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment(settings),
            start_new_session=True,  # Ctrl-C is for pytest, which then stops it in order
        )
    return Forked(arguments, environment(settings), output, errors)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _is_ours(name: str) -> bool:
    return name.startswith("ROADWORTHY_")
