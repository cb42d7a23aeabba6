"""The stock `@rails/activestorage`, unmodified, in a real browser on a page of another origin."""

import functools
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, sync_playwright

from tests.conftest import Place
from tests.support.blobs import attach, pdf, png
from tests.support.buckets import Server
from tests.support.client import Client
from tests.support.drivers import PROFILE_PATH, Driver, new_driver, with_profile
from tests.support.proxy import cors_proxy
from tests.support.service import Service
from tests.support.tables import open_tables

PACKAGES = Path(__file__).parent / "browser" / "node_modules"
# Which database it is changes nothing here.
pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)

CLIENTS = ("@rails/activestorage", "activestorage-6")
_SCRIPT = "app/assets/javascripts/activestorage.js"

_PAGE = """<!doctype html>
<meta name="csrf-token" content="of-the-page">
<input type="file" id="file">
<script src="/activestorage.js"></script>
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
