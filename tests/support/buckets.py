"""S3-compatible servers: one that checks signatures, and one that keeps versions."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session

from tests.support.ports import free_port
from tests.support.service import environment

KEY, SECRET_KEY = "AKIDOFTHETESTS", "their/secret+key"
BUCKET = "drivers"
START_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """Where it listens, and the bucket there."""

    endpoint: str
    bucket: str = BUCKET

    def url(self, prefix: str) -> str:
        """What `ROADWORTHY_STORAGE_URL` says of it."""
        whose = f"{KEY}:{quote(SECRET_KEY, safe='')}"
        return f"s3://{whose}@{self.bucket}/{prefix}?endpoint={self.endpoint}&region=eu-west-2"

    @property
    def client(self) -> Any:
        """To look into it without the service's own code."""
        return _client_of(self.endpoint)

    def names(self, prefix: str) -> list[str]:
        """Of the objects there."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{prefix}/")
        return [each["Key"] for each in found.get("Contents", [])]

    def with_bucket(self, name: str) -> "Server":
        """The server with another bucket, which is new."""
        self.client.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
        )
        return replace(self, bucket=name)

    def keep_versions(self, status: str | None) -> None:
        """From now on (`Enabled`) or no longer (`Suspended`); `None`: as it was."""
        if status:
            self.client.put_bucket_versioning(
                Bucket=self.bucket, VersioningConfiguration={"Status": status}
            )


@cache
def _client_of(endpoint: str) -> Any:
    """It reads the whole of S3's description: half a second of a processor, once."""
    session = botocore.session.get_session()
    session.set_credentials(KEY, SECRET_KEY)
    return session.create_client("s3", endpoint_url=endpoint, region_name="eu-west-2")


@contextlib.contextmanager
def signing_server(folder: Path) -> Iterator[Server]:
    """`rclone serve s3`, which refuses what is signed wrongly; it knows no versions."""
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("rclone")),
        *("serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{KEY},{SECRET_KEY}", "--config", "/dev/null"),
    ]
    with _running(command, port, folder / "log"):
        yield Server(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def versioning_server(folder: Path) -> Iterator[Server]:
    """An emulator that keeps versions; it takes any signature."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("moto_server")),
        *("-H", "127.0.0.1", "-p", str(port)),
    ]
    with _running(command, port, folder / "log"):
        server = Server(f"http://127.0.0.1:{port}").with_bucket(BUCKET)
        server.keep_versions("Enabled")
        yield server


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=_environment(), start_new_session=True
        )
    try:
        _wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait()


def _environment() -> Mapping[str, str]:
    return environment({})


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"{port} does not answer:\n{log.read_text()}")
