"""A ClamAV of our own, with one signature of our own: in a temporary folder, and gone after."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.ports import free_port

START_SECONDS = 30
STREAM_MB = 1

HARMFUL = b"what our signature finds"

MISSING = "These tests need ClamAV's daemon. On Debian: apt-get install clamav-daemon"


class Clamd:
    """Runs from construction until `stop`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="roadworthy-clamd-"))
        self._socket = self._folder / "socket"
        self._port = free_port()
        self._configure()
        self.start()

    @property
    def urls(self) -> tuple[str, str]:
        return f"unix://{self._socket}", f"tcp://127.0.0.1:{self._port}"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_clamd(), "--config-file", self._folder / "clamd.conf"],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"clamd does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def pause(self) -> None:
        """It takes connections, and does nothing about them."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def halt(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """Halt, and leave nothing."""
        self.halt()
        shutil.rmtree(self._folder)

    def _configure(self) -> None:
        signatures = self._folder / "signatures"
        signatures.mkdir()
        (signatures / "ours.ndb").write_text(f"Roadworthy.Test:0:*:{HARMFUL.hex()}\n")
        options = {
            "DatabaseDirectory": signatures,
            "LocalSocket": self._socket,
            "TCPAddr": "127.0.0.1",
            "TCPSocket": self._port,
            "StreamMaxLength": f"{STREAM_MB}M",
            "Foreground": "yes",
            **({"User": "root"} if os.geteuid() == 0 else {}),
        }
        lines = [f"{name} {value}\n" for name, value in options.items()]
        (self._folder / "clamd.conf").write_text("".join(lines))

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self._socket))
                asking.sendall(b"zPING\0")
                return asking.recv(16) == b"PONG\0"
        except OSError:
            return False


def find_clamd() -> str:
    found = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
    if not found:
        raise RuntimeError(MISSING)
    return found
