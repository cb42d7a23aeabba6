"""ClamAV: what it finds is refused, and without its answer nothing is taken."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from roadworthy.inspection import ClamAV, FileRefused, Inspector, Reason, ScannerAway
from roadworthy.storage import NotStored
from tests.support.clamd import HARMFUL, STREAM_MB, Clamd
from tests.support.files import pdf, picture
from tests.support.ports import free_port

CLEAN = b"nothing of the kind" * 50_000


@pytest.fixture(params=[0, 1], ids=["unix", "tcp"])
def url(clamd: Clamd, request: pytest.FixtureRequest) -> str:
    return clamd.urls[request.param]


def scan(url: str, folder: Path, content: bytes, seconds: float = 30) -> None:
    path = folder / "scanned"
    path.write_bytes(content)
    asyncio.run(ClamAV(url, connect_seconds=seconds, scan_seconds=seconds).scan(path))


@pytest.mark.parametrize("content", [b"", b"x", CLEAN])
def test_what_is_clean_passes(url: str, tmp_path: Path, content: bytes) -> None:
    scan(url, tmp_path, content)


@pytest.mark.parametrize("content", [HARMFUL, CLEAN + HARMFUL, HARMFUL + CLEAN])
def test_what_is_found_is_refused(url: str, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FileRefused) as refused:
        scan(url, tmp_path, content)
    assert refused.value.reason == Reason.HARMFUL


@pytest.mark.parametrize("megabytes", [STREAM_MB + 1, 20])
def test_what_is_too_large_for_it_is_not_taken(url: str, tmp_path: Path, megabytes: int) -> None:
    with pytest.raises(ScannerAway):
        scan(url, tmp_path, bytes(megabytes * 1024 * 1024))


def test_what_was_removed_meanwhile_is_not_there(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotStored):
        asyncio.run(ClamAV(url).scan(tmp_path / "gone"))


def test_nobody_there(tmp_path: Path) -> None:
    for url in (f"tcp://127.0.0.1:{free_port()}", f"unix://{tmp_path}/nothing"):
        with pytest.raises(ScannerAway):
            scan(url, tmp_path, CLEAN)


def test_away_and_back(clamd: Clamd, url: str, tmp_path: Path) -> None:
    clamd.halt()
    with pytest.raises(ScannerAway):
        scan(url, tmp_path, CLEAN)

    clamd.start()
    scan(url, tmp_path, CLEAN)


def test_too_slow(clamd: Clamd, url: str, tmp_path: Path) -> None:
    clamd.pause()
    try:
        with pytest.raises(ScannerAway):
            scan(url, tmp_path, CLEAN, seconds=0.2)
    finally:
        clamd.resume()
    scan(url, tmp_path, CLEAN)


@pytest.mark.parametrize(
    "reply",
    [b"", b"stream: OK", b"stream: OKAY\0", b"OK\0", b"\0", b"x" * 100_000, b"\xff\0"],
)
def test_an_answer_that_is_none(tmp_path: Path, reply: bytes) -> None:
    """Whoever else listens there says nothing is clean."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer, args=(server, reply))
        answering.start()
        with pytest.raises(ScannerAway):
            scan(f"tcp://127.0.0.1:{server.getsockname()[1]}", tmp_path, b"x")
        answering.join()


def _answer(server: socket.socket, reply: bytes) -> None:
    client, _ = server.accept()
    with client:
        client.recv(100)
        client.sendall(reply)


def test_an_inspector_asks_it_as_well(clamd: Clamd, tmp_path: Path) -> None:
    photograph, certificate = tmp_path / "photograph", tmp_path / "certificate"
    photograph.write_bytes(picture(comment=HARMFUL))
    certificate.write_bytes(pdf())

    async def inspect(url: str, path: Path) -> str:
        inspector = Inspector(ClamAV(url))
        try:
            return await inspector.inspect(path)
        finally:
            inspector.close()

    assert asyncio.run(inspect(clamd.urls[0], certificate)) == "application/pdf"
    with pytest.raises(FileRefused, match="has been found harmful"):
        asyncio.run(inspect(clamd.urls[0], photograph))
    with pytest.raises(ScannerAway):
        asyncio.run(inspect("unix:///nowhere", certificate))
