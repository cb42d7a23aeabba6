"""The stock clients, unmodified, in a real browser on a page of another origin."""

import functools
import hashlib
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, sync_playwright

from tests.conftest import Place
from tests.support.blobs import attach, pdf, png
from tests.support.buckets import Server
from tests.support.client import Client
from tests.support.cutting import cutting_proxy
from tests.support.drivers import PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.processes import growth
from tests.support.proxy import cors_proxy
from tests.support.resumable import UPLOADS_PATH, Resumable
from tests.support.service import Service
from tests.support.tables import open_tables

PACKAGES = Path(__file__).parent / "browser" / "node_modules"
# Which database it is changes nothing here.
pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)

CLIENTS = ("@rails/activestorage", "activestorage-6")
_SCRIPT = "app/assets/javascripts/activestorage.js"

MEGABYTE = 1024 * 1024
SIZE, CUTS = 200, 10
MOST_GROWTH = 60
"""Megabytes that the service may take for a file of `SIZE`."""

_PAGE = """<!doctype html>
<meta name="csrf-token" content="of-the-page">
<input type="file" id="file">
<script src="/activestorage.js"></script>
<script src="/tus.min.js"></script>
"""
_UPLOAD = """([url, token]) => new Promise(resolve => {
    const progress = [];
    const upload = new ActiveStorage.DirectUpload(document.querySelector("#file").files[0], url, {
        directUploadWillCreateBlobWithXHR(xhr) {
            xhr.setRequestHeader("Authorization", token);
        },
        directUploadWillStoreFileWithXHR(xhr) {
            xhr.upload.addEventListener("progress", e => progress.push([e.loaded, e.total]));
        },
    });
    upload.create((error, blob) => resolve({error: error && String(error), blob, progress}));
})"""
_UPLOAD_WITH_TUS = """([url, token, chunkSize]) => new Promise(resolve => {
    let retries = 0, signedId = null;
    const upload = new tus.Upload(document.querySelector("#file").files[0], {
        endpoint: url,
        headers: {Authorization: token},
        chunkSize,
        retryDelays: Array(30).fill(200),
        metadata: {filename: "long.bin", filetype: "application/octet-stream"},
        onShouldRetry: () => { retries += 1; return true; },
        onAfterResponse: (_, answer) => {
            signedId = answer.getHeader("Upload-Signed-Id") || signedId;
        },
        onError: error => resolve({error: String(error)}),
        onSuccess: () => resolve({url: upload.url, retries, signedId}),
    });
    upload.start();
})"""
_ATTACH = """([url, token, fields]) => fetch(url, {
    method: "PATCH",
    headers: {"Authorization": token, "Content-Type": "application/json"},
    body: JSON.stringify({profile: fields}),
}).then(answer => answer.json())"""
_SHOW = """url => new Promise(resolve => {
    const image = new Image();
    image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => resolve(null);
    image.src = url;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(params=CLIENTS)
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an app serves its page, and a stock client, from."""
    script = PACKAGES / request.param / _SCRIPT
    assert script.exists(), "the stock clients are missing: run `scripts/setup dev npm`"
    (tmp_path / "index.html").write_text(_PAGE)
    shutil.copy(script, tmp_path / "activestorage.js")
    shutil.copy(PACKAGES / "tus-js-client/dist/tus.min.js", tmp_path)
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(
    place: Place,
    storage_kind: str,
    origin: str,
    start: Callable[..., Service],
    request: pytest.FixtureRequest,
) -> Iterator[Service]:
    settings = {**place.settings, "ROADWORTHY_CORS_ORIGINS": origin}
    if storage_kind == "local":
        yield start(place.folder, settings)
        return
    server: Server = request.getfixturevalue("bucket_server")
    with cors_proxy(server.endpoint, origin) as endpoint:
        url = Server(endpoint).url(place.folder.name)
        yield start(place.folder, {**settings, "ROADWORTHY_STORAGE_URL": url})


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """A page of an app, at an origin that may call the API."""
    page = browser.new_page()
    page.goto(f"{origin}/index.html")
    yield page
    page.close()


@pytest.fixture
def driver(place: Place) -> Driver:
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    tables.close()
    return driver


def _upload(page: Page, service: Service, driver: Driver, file: FilePayload) -> dict[str, Any]:
    page.set_input_files("#file", file)
    url = f"{service.url}/rails/active_storage/direct_uploads"
    found: dict[str, Any] = page.evaluate(_UPLOAD, [url, driver.signed["authorization"]])
    return found


def _asked(request: Request) -> str:
    return f"{request.method} {request.url}"


def test_it_uploads_a_file_that_then_attaches_and_shows(
    page: Page, service: Service, driver: Driver, connect: Callable[[str], Client]
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(_asked(request)))
    content = pdf(filler=3_000_000)
    uploaded = _upload(
        page,
        service,
        driver,
        {"name": "Zoë's CV.pdf", "mimeType": "application/pdf", "buffer": content},
    )
    assert uploaded["error"] is None
    assert uploaded["progress"][-1] == [len(content), len(content)]
    token = driver.signed["authorization"]
    url = service.url + PROFILE_PATH
    shown = page.evaluate(_ATTACH, [url, token, {"cv": uploaded["blob"]["signed_id"]}])
    cv = shown["profile"]["cv"]
    assert (cv["filename"], cv["byte_size"]) == ("Zoë's CV.pdf", len(content))
    assert len([each for each in sent if each.startswith("PUT ")]) == 1, sent

    picture: FilePayload = {"name": "front.png", "mimeType": "image/png", "buffer": png()}
    photograph = _upload(page, service, driver, picture)["blob"]["signed_id"]
    card = attach(connect(service.url), driver, driving_license=[photograph])["driving_license"][0]
    assert page.evaluate(_SHOW, card["url"]) == [40, 30]
    assert page.evaluate(_SHOW, card["url"] + "?disposition=inline") == [40, 30]


def test_it_is_told_what_is_refused(page: Page, service: Service, driver: Driver) -> None:
    too_long: FilePayload = {"name": "a" * 256, "mimeType": "", "buffer": b"x"}
    uploaded = _upload(page, service, driver, too_long)
    assert "422" in uploaded["error"], uploaded


@pytest.mark.parametrize("origin", CLIENTS[:1], indirect=True)
def test_tus_gets_through_a_connection_that_is_cut_ten_times(
    page: Page,
    origin: str,
    place: Place,
    start: Callable[..., Service],
    connect: Callable[[str], Client],
    tmp_path: Path,
) -> None:
    file, digest = tmp_path / "long.bin", hashlib.sha256()
    with file.open("wb") as written:
        for _ in range(SIZE):
            piece = secrets.token_bytes(MEGABYTE)
            digest.update(piece)
            written.write(piece)
    more = {"ROADWORTHY_MAX_FILE_MB": str(SIZE), "ROADWORTHY_CORS_ORIGINS": origin}
    service = start(place.folder, {**place.settings, **more})
    tables = open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    cuts = [(number + 1) * (SIZE // (CUTS + 2)) * MEGABYTE for number in range(CUTS)]
    page.set_default_timeout(400_000)
    page.set_input_files("#file", file)

    with cutting_proxy(service.url, cuts) as way, growth(service) as grown:
        token = driver.signed["authorization"]
        said = page.evaluate(_UPLOAD_WITH_TUS, [way.url + UPLOADS_PATH, token, 64 * MEGABYTE])

    assert said.get("error") is None
    assert way.made == CUTS
    assert said["retries"] > 0, "the browser itself tries again now and then, not always"
    (blob,) = tables.rows("blobs")
    tables.close()
    stored = place.folder / "files" / blob["key"][:2] / blob["key"][2:4] / blob["key"]
    with stored.open("rb") as stored_file:
        assert hashlib.file_digest(stored_file, "sha256").digest() == digest.digest()
    assert blob["filename"] == "long.bin"
    assert grown() < MOST_GROWTH, "it is held in memory"
    upload = Resumable(driver, urlsplit(said["url"]).path)
    answer = upload.send(connect(service.url), "HEAD")
    assert answer.header("upload-signed-id") == said["signedId"]
