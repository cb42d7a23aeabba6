"""Files of 10 MB in and out, against nginx; what many at once take; a profile full of files."""

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterator
from statistics import median
from typing import Any

import pikepdf

from bench.databases import databases
from bench.load import GET, Pace
from bench.measure import measure
from bench.nginx import nginx
from bench.scenarios.finding import Finding
from bench.seed import FULL, mint, seed
from bench.servers import PATH, Client, Server, service
from bench.transfer import Transfer, megabytes_per_second

DRIVERS = 400
EMPTY = FULL + 1
"""A driver whose profile has nothing but what registration asks for."""
MEGABYTES = 10
CONNECTIONS = 8
FILES = 40
"""In each half of a round."""
OF_ONE = 5
"""Files that one driver announces."""
AT_ONCE = 50


def measure_files(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """Throughput, in turn with nginx; then memory, and the reads that files make no slower."""
    rounds = 2 if quick else 7
    content = _pdf(MEGABYTES * 1024 * 1024)
    with databases(kind) as made:
        database = made.make("files")
        seed(database, DRIVERS, DRIVERS)
        drivers = iter(mint(EMPTY + 1, DRIVERS - EMPTY))
        with service(database) as server, nginx(database.folder / "nginx") as (url, folder):
            (folder / "down.pdf").write_bytes(content)
            ours = [_download(server, next(drivers), content)] * FILES
            for path, how in (("down.pdf", ""), ("copied/down.pdf", " without sendfile")):
                theirs = [Transfer("GET", f"{url}/{path}", len(content))] * FILES
                measured = [_in_turn(ours, theirs) for _ in range(rounds + 1)]
                yield _finding(kind, "downloads", measured, how)
            uploads = []
            for turn in range(rounds + 1):
                ours = _uploads(server, drivers, content, FILES)
                uploads.append(_in_turn(ours, _puts(f"{url}/{turn}", content)))
            yield _finding(kind, "uploads", uploads)
        with service(database) as server:
            megabytes_per_second(_uploads(server, drivers, content, AT_ONCE), AT_ONCE)
            peak = server.process.peak_megabytes()
            what = f"peak memory with {AT_ONCE} uploads of {MEGABYTES} MB at once"
            yield Finding(kind, what, peak, " MB", 150)
            yield _full_over_empty(server, rounds)


def _in_turn(ours: list[Transfer], theirs: list[Transfer]) -> tuple[float, float]:
    return megabytes_per_second(ours, CONNECTIONS), megabytes_per_second(theirs, CONNECTIONS)


def _finding(kind: str, what: str, measured: list[tuple[float, float]], how: str = "") -> Finding:
    """Of every round but the first, which warms up."""
    ours, theirs = (median(rates) for rates in zip(*measured[1:], strict=True))
    return Finding(
        kind,
        f"{what} of {MEGABYTES} MB, throughput over nginx's{how}",
        median(one / other for one, other in measured[1:]),
        "x",
        0.5,
        at_most=False,
        detail=f"{ours:.0f} MB/s for {theirs:.0f} MB/s over {CONNECTIONS} connections",
    )


def _full_over_empty(server: Server, rounds: int) -> Finding:
    pace = Pace(16, 1)
    pairs = [
        [measure(server, GET, mint(who, 1), pace) for who in (FULL, EMPTY)]
        for _ in range(rounds + 1)
    ][1:]
    return Finding(
        server.database.kind,
        "GET CPU per request of a profile with every place filled, over an empty one",
        median(
            (full.cpu_ms + full.database_cpu_ms) / (empty.cpu_ms + empty.database_cpu_ms)
            for full, empty in pairs
        ),
        "x",
        1.3,
        detail=f"{pairs[-1][0].rate:.0f}/s for {pairs[-1][1].rate:.0f}/s",
    )


def _uploads(server: Server, drivers: Iterator[str], content: bytes, count: int) -> list[Transfer]:
    tokens = [next(drivers) for _ in range(-(-count // OF_ONE))]
    with Client(server) as client:
        announced = [
            _announce(client, tokens[number // OF_ONE], content) for number in range(count)
        ]
    return [
        Transfer("PUT", each["url"], len(content), content, each["headers"])
        for each in (one["direct_upload"] for one in announced)
    ]


def _puts(url: str, content: bytes) -> list[Transfer]:
    """They stay, as ours do: what is written where others were removed costs no new memory."""
    return [Transfer("PUT", f"{url}-{n}.pdf", len(content), content) for n in range(FILES)]


def _download(server: Server, token: str, content: bytes) -> Transfer:
    """A driver's CV, handed in as an app does."""
    with Client(server) as client:
        blob = _announce(client, token, content)
        direct = blob["direct_upload"]
        megabytes_per_second(
            [Transfer("PUT", direct["url"], len(content), content, direct["headers"])], 1
        )
        profile = {"profile": {"cv": blob["signed_id"]}}
        shown = _ask(client, "PATCH", token, PATH, profile)["profile"]
    return Transfer("GET", shown["cv"]["url"], len(content))


def _announce(client: Client, token: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    blob = {
        "filename": "cv.pdf",
        "content_type": "application/pdf",
        "byte_size": len(content),
        "checksum": base64.b64encode(digest).decode(),
    }
    return _ask(client, "POST", token, "/api/v1/direct_uploads", {"blob": blob})


def _ask(client: Client, method: str, token: str, path: str, body: object) -> dict[str, Any]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    answer = client.ask(method, headers, json.dumps(body).encode(), path)
    if answer.status != 200:  # noqa: PLR2004
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.body!r}")
    said: dict[str, Any] = json.loads(answer.body)
    return said


def _pdf(size: int) -> bytes:
    """One with a page, and so many bytes in it that nothing makes smaller."""
    document = pikepdf.new()
    page = document.add_blank_page(page_size=(200, 100))
    page.Contents = document.make_stream(b"%" + os.urandom(size // 2 - 1000).hex().encode())
    file = io.BytesIO()
    document.save(file, compress_streams=False)
    return file.getvalue()
