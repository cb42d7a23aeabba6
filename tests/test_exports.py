"""A driver downloads everything held about them, on both databases and both storages."""

import asyncio
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from roadworthy.accounts import users
from roadworthy.database import metadata, open_database
from roadworthy.exports import Exporting, exporting
from roadworthy.exports.archive import Names, index_of, json_of
from roadworthy.exports.held import OF_DRIVERS, OF_PROFILES, SECRET
from roadworthy.exports.reading import LABELS, TITLES, File, sections, size_text
from roadworthy.storage import open_storage
from tests.conftest import Filing, Place
from tests.support.blobs import attach, pdf, png, upload
from tests.support.client import Answer, Client
from tests.support.drivers import PASSWORD, Driver, add_session, new_driver, with_profile
from tests.support.mail import Box, link_to
from tests.support.resumable import begin
from tests.support.resumable import metadata as metadata_of_upload
from tests.support.tables import open_tables

PATH = "/api/v1/users/export"
PAGE = "/account/export"
SECONDS = 20
FORM = {"content-type": "application/x-www-form-urlencoded"}

Connect = Callable[[str], Client]


@pytest.fixture
def client(filing: Filing, connect: Connect) -> Client:
    return connect(filing.running.url)


@pytest.fixture
def driver(filing: Filing) -> Driver:
    return with_profile(filing.tables, new_driver(filing.tables), bio="</dd><script>alert(1)")


def ask(client: Client, driver: Driver) -> None:
    answer = client.send("POST", PATH, driver.signed)
    assert (answer.status, answer.json) == (200, {}), answer


def mailed(filing: Filing, driver: Driver, count: int = 1) -> str:
    """The address that the last of so many mails leads to, without host."""
    (*_, mail) = Box(filing.running.place.folder).wait_for(driver.email, count)
    assert mail.subject == "What we hold about you"
    parts = urlsplit(mail.link)
    return f"{parts.path}?{parts.query}"


def sign_in(client: Client, link: str, email: str, password: str = PASSWORD) -> Answer:
    """What the form sends."""
    token = link.partition("token=")[2]
    given = {"user[token]": token, "user[email]": email, "user[password]": password}
    return client.send("POST", PAGE, FORM, urlencode(given))


def opened(answer: Answer) -> zipfile.ZipFile:
    assert answer.status == 200, answer
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    return archive


def test_everything_is_in_it(client: Client, driver: Driver, filing: Filing) -> None:
    files = {"cv": pdf(), "dbs": pdf(), "replaced": pdf(), "a": png("red"), "b": png("blue")}
    add_session(filing.tables, driver, f"export-{driver.id}", user_agent="<b>Phone</b>")
    replaced = upload(client, driver, files["replaced"], filename="DBS.pdf")
    attach(client, driver, dbs=replaced)
    begin(client, driver, 1000, metadata_of_upload(filename="begun.pdf"))
    attach(
        client,
        driver,
        cv=upload(client, driver, files["cv"], filename="Zoë & <i>me</i>.pdf".replace("/", "")),
        dbs=upload(client, driver, files["dbs"], filename="dbs.pdf"),
        documents=[
            upload(client, driver, files[name], filename="photo.png", content_type="image/png")
            for name in ("a", "b")
        ],
        first_name="Vera",
    )

    ask(client, driver)
    link = mailed(filing, driver)
    form = client.send("GET", link)
    assert (form.status, form.header("cache-control")) == (200, "no-store")
    assert "script-src" not in (form.header("content-security-policy") or "")
    answer = sign_in(client, link, driver.email.upper())

    assert answer.header("content-type") == "application/zip"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-disposition") == 'attachment; filename="roadworthy.zip"'
    assert answer.header("content-security-policy") == "sandbox; default-src 'none'"
    archive = opened(answer)
    found = {name: archive.read(name) for name in archive.namelist() if name.startswith("files/")}
    assert found == {
        "files/cv/Zoë & _i_me_i_.pdf": files["cv"],
        "files/dbs/DBS.pdf": files["replaced"],
        "files/dbs/dbs (2).pdf": files["dbs"],
        "files/documents/photo.png": files["a"],
        "files/documents/photo (2).png": files["b"],
    }

    data = json.loads(archive.read("data.json"))
    assert data["account"][0]["email"] == driver.email
    assert [row["first_name"] for row in data["profiles"]] == ["Vera"]
    assert [row["first_name"] for row in data["profile_versions"]] == ["Virgie"]
    assert len(data["submissions"]) == 2
    assert {row["in_this_archive"] for row in data["files"]} == found.keys()
    assert [row["filename"] for row in data["uploads"]] == ["begun.pdf"]
    assert data["sessions"][0]["user_agent"] == "<b>Phone</b>"
    columns = {name for rows in data.values() if isinstance(rows, list) for r in rows for name in r}
    assert columns & SECRET == set()

    page = archive.read("index.html").decode()
    assert "<script" not in page
    assert "&lt;b&gt;Phone" in page
    assert 'href="files/dbs/dbs%20%282%29.pdf"' in page
    views = filing.tables.rows("file_views", user_id=driver.id)
    assert [(view["viewer_id"], view["manner"]) for view in views] == [(driver.id, "attachment")]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_of_use_to_every_address_and_forgets_what_was_wrong(
    client: Client, filing: Filing, browser: Browser, width: int
) -> None:
    driver = new_driver(filing.tables, email=f"jörg{width}.{time.time()}@example.com")
    ask(client, driver)
    page = browser.new_page(viewport={"width": width, "height": 844})
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.goto(filing.running.url + mailed(filing, driver))
    page.get_by_label("E-mail").fill(driver.email)
    page.get_by_label("Password").fill("wrong horse battery")
    page.get_by_role("button", name="Download").click()
    wrong = page.get_by_text("This is not the address and the password")
    expect(wrong).to_be_visible()
    expect(page.locator("[aria-invalid]")).to_have_count(2)
    assert page.get_by_label("E-mail").input_value() == driver.email
    button = page.get_by_role("button").bounding_box()
    closing = page.get_by_text("It holds your documents").bounding_box()
    assert button is not None
    assert closing is not None
    assert closing["y"] - button["y"] - button["height"] >= 16

    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_download() as download:
        page.get_by_label("Password").press("Enter")
    assert zipfile.ZipFile(download.value.path()).testzip() is None
    expect(wrong).to_be_hidden()
    expect(page.locator("[aria-invalid], [aria-describedby]")).to_have_count(0)
    assert page.title() == "Download what we hold about you · Roadworthy"
    assert [fault for fault in faults if "status of 422" not in fault] == []
    page.close()


def said(page: Page, title: str) -> list[str]:
    """What stands under `title`: `# ` before a heading, `= ` before a value, ` > ` before where a
    link leads.
    """
    lines: list[str] = page.evaluate(
        """title => Array.from(document.querySelectorAll("section"))
            .filter(section => section.querySelector("h2").innerText === title)
            .flatMap(section => Array.from(section.querySelectorAll("h3, dt, dd")))
            .map(part => {
                const link = part.querySelector("a");
                const words = part.innerText + (link ? " > " + link.getAttribute("href") : "");
                return {H3: "# ", DT: "", DD: "= "}[part.tagName] + words;
            })""",
        title,
    )
    return lines


def test_the_index_loads_nothing_and_fits(
    client: Client, driver: Driver, filing: Filing, browser: Browser, tmp_path: Path
) -> None:
    attach(client, driver, cv=upload(client, driver, filename="100% mine?.pdf"))
    ask(client, driver)
    archive = opened(sign_in(client, mailed(filing, driver), driver.email))
    archive.extractall(tmp_path)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{tmp_path}/index.html")
    assert page.inner_text("h1") == "What Roadworthy holds about you"
    assert "</dd><script>alert(1)" in page.inner_text("body")
    assert len(asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    href = page.evaluate("document.querySelector('a[href^=files]').pathname")
    assert (tmp_path / unquote(href).removeprefix(f"{tmp_path}/")).is_file()
    page.close()


def test_the_index_says_in_words_what_is_held(
    client: Client, driver: Driver, filing: Filing, browser: Browser, tmp_path: Path
) -> None:
    replaced, here = (
        upload(client, driver, pdf("x"), filename=name) for name in ("old.pdf", "new.pdf")
    )
    attach(client, driver, enchanced_dbs=replaced, documents=[upload(client, driver)])
    attach(client, driver, enchanced_dbs=here)
    seen = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    ids = {row["filename"]: row["id"] for row in filing.tables.rows("blobs", user_id=driver.id)}
    for blob_id, kind, manner in (
        (ids["new.pdf"], "staff", "inline"),
        (ids["new.pdf"], "driver", "attachment"),
        (10**12, "staff", "attachment"),
    ):
        values = {"blob_id": blob_id, "viewer_kind": kind, "viewer_id": 7, "manner": manner}
        filing.tables.add("file_views", user_id=driver.id, viewed_at=seen, **values)
    submissions = filing.tables["submissions"]
    theirs = update(submissions).where(submissions.c.user_id == driver.id)
    filing.tables.execute(theirs.values(created_at=seen, expires_on=date(2029, 1, 2)))
    attachments, blobs = filing.tables["attachments"], filing.tables["blobs"]
    placed = update(attachments).where(attachments.c.profile_id == driver.profile_id)
    filing.tables.execute(placed.values(created_at=seen))
    sent = update(blobs).where(blobs.c.user_id == driver.id)
    filing.tables.execute(sent.values(byte_size=1_400, created_at=seen))
    ask(client, driver)
    opened(sign_in(client, mailed(filing, driver), driver.email)).extractall(tmp_path)
    page = browser.new_page()
    page.goto(f"file://{tmp_path}/index.html")

    when = "4 March 2026, 05:06 UTC"
    added = ["Size", "= 1.4 kB", "Added", f"= {when}"]
    old, new = (f"{name}.pdf > files/enchanced_dbs/{name}.pdf" for name in ("old", "new"))
    enhanced = "Enhanced DBS certificate"
    assert said(page, "Your files") == [
        *(f"# {old}", "Place", f"= none; it was handed in as: {enhanced}", *added),
        *(f"# {new}", "Place", f"= {enhanced}, since 4 March 2026", *added),
        *("# cv.pdf > files/documents/cv.pdf", "Place", "= Documents, since 4 March 2026", *added),
    ]
    dates = ["Expires", "= 2 January 2029", "Handed in", f"= {when}"]
    withdrawn = said(page, "Documents you handed in")[8:10]
    assert withdrawn[0] == "Withdrawn"
    assert said(page, "Documents you handed in") == [
        *("As", f"= {enhanced}", "File", f"= {old}", *dates, *withdrawn),
        *("As", f"= {enhanced}", "File", f"= {new}", *dates),
    ]
    assert said(page, "Who was shown your files") == [
        *(f"# {new}", "Looked at by our staff", f"= {when}", "Downloaded by you", f"= {when}"),
        *("# A file that we no longer have", "Downloaded by our staff", f"= {when}"),
    ]
    assert "We hold nothing under: Driving entitlements, Jobs," in page.inner_text("body")
    page.close()


def test_the_index_says_why_a_file_is_not_in_the_archive() -> None:
    gone = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    file = {"filename": "a.pdf", "byte_size": 1, "created_at": gone, "in_this_archive": None}
    for number, (uploaded_at, purged_at, said) in enumerate(
        [
            (gone, gone, ("Deleted", "4 March 2026, 05:06 UTC")),
            (None, gone, ("Deleted", "4 March 2026, 05:06 UTC")),
            (None, None, ("Not in here", "it never arrived whole")),
            (gone, None, ("Not in here", "we could not find it")),
        ]
    ):
        row = {"id": number, "uploaded_at": uploaded_at, "purged_at": purged_at, **file}
        held = {**dict.fromkeys(TITLES, ()), "attachments": (), "files": [row]}
        (entry,) = next(s.entries for s in sections(held) if s.title == TITLES["files"])
        assert entry.facts[-1] == said
        assert entry.title == File("a.pdf", None)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (52_428_800, "52.4 MB"),
        (2_500_000_000, "2.5 GB"),
        (10**13, "10000.0 GB"),
    ],
)
def test_a_size_in_words(count: int, text: str) -> None:
    assert size_text(count) == text


def test_only_who_signs_in_to_that_account_gets_it(
    client: Client, driver: Driver, filing: Filing
) -> None:
    other = new_driver(filing.tables)
    ask(client, driver)
    link = mailed(filing, driver)
    for email, password in (
        (driver.email, "wrong horse battery"),
        (driver.email, ""),
        ("", ""),
        ("a\0b", PASSWORD),
        (other.email, PASSWORD),
        ("nobody@example.com", PASSWORD),
    ):
        answer = sign_in(client, link, email, password)
        assert answer.status == 422, (email, answer)
        assert b"not the address and the password" in answer.body
        assert answer.header("content-type") == "text/html; charset=utf-8"
    assert filing.tables.rows("file_views", user_id=driver.id) == []
    for odd in (f"{PAGE}?token=x", PAGE, f"{PAGE}?token[]=x", f"{PAGE}?token=%00", link[:-1]):
        assert client.send("GET", odd).status == 404, odd
    assert sign_in(client, f"{PAGE}?token=x", driver.email).status == 404
    assert client.send("POST", PAGE, FORM, "user=1").status in {400, 404}
    opened(sign_in(client, link, driver.email))
    opened(sign_in(client, link, driver.email))


def test_links_for_other_purposes_do_not_open_it(
    client: Client, driver: Driver, filing: Filing
) -> None:
    ask(client, driver)
    mailed(filing, driver)
    token = link_to(filing.tables, driver.id, "reset")
    assert sign_in(client, f"{PAGE}?token={token}", driver.email).status == 404


def test_who_waits_for_one_asks_in_vain_and_a_new_one_replaces_it(
    client: Client, driver: Driver, filing: Filing
) -> None:
    """Until it is made; then the older link is dead, and its file gone from the rows."""
    now = datetime.now(UTC)
    waiting = filing.tables.add("data_exports", user_id=driver.id, requested_at=now)
    ask(client, driver)
    ask(client, driver)
    assert [row["id"] for row in filing.tables.rows("data_exports", user_id=driver.id)] == [waiting]
    exports = filing.tables["data_exports"]
    filing.tables.execute(exports.delete().where(exports.c.id == waiting))

    ask(client, driver)
    first = mailed(filing, driver)
    ask(client, driver)
    second = mailed(filing, driver, 2)

    assert sign_in(client, first, driver.email).status == 404
    opened(sign_in(client, second, driver.email))
    (row,) = filing.tables.rows("data_exports", user_id=driver.id)
    (old, new) = filing.tables.rows("blobs", user_id=driver.id)
    assert row["blob_id"] == new["id"]
    assert old["purged_at"] is not None
    assert new["purged_at"] is None


def test_asked_again_under_one_key_it_is_made_once(
    client: Client, driver: Driver, filing: Filing
) -> None:
    """Also when the first has been mailed already; without a key that asks for another."""
    keyed = {**driver.signed, "idempotency-key": "one"}
    first = client.send("POST", PATH, keyed)
    mailed(filing, driver)
    again = client.send("POST", PATH, keyed)
    other = client.send("POST", PATH, keyed, '{"not":"the same"}')

    assert (first.status, again.status, other.status) == (200, 200, 422), (first, again, other)
    assert first.body == again.body
    assert len(filing.tables.rows("data_exports", user_id=driver.id)) == 1
    ask(client, driver)
    mailed(filing, driver, 2)


def test_nobody_else_asks(client: Client) -> None:
    assert client.send("POST", PATH).status == 401


def test_it_expires(client: Client, driver: Driver, filing: Filing) -> None:
    ask(client, driver)
    link = mailed(filing, driver)
    exports, links = filing.tables["data_exports"], filing.tables["mailed_links"]
    (row,) = filing.tables.rows("mailed_links", user_id=driver.id)
    left = row["expires_at"] - datetime.now(UTC)
    assert timedelta(days=6) < left <= timedelta(days=7)
    past = datetime.now(UTC) - timedelta(hours=3)
    filing.tables.execute(
        update(exports).where(exports.c.user_id == driver.id).values(expires_at=past)
    )
    assert sign_in(client, link, driver.email).status == 404
    filing.tables.execute(
        update(exports)
        .where(exports.c.user_id == driver.id)
        .values(expires_at=past + timedelta(days=1))
    )
    assert client.send("GET", link).status == 200
    filing.tables.execute(update(links).where(links.c.user_id == driver.id).values(expires_at=past))
    assert client.send("GET", link).status == 404

    filing.tables.execute(
        update(exports).where(exports.c.user_id == driver.id).values(expires_at=past)
    )
    key = filing.tables.rows("blobs", user_id=driver.id)[0]["key"]
    assert filing.keys() >= {key}
    jobs = filing.tables["jobs"]
    filing.tables.execute(
        update(jobs)
        .where(jobs.c.kind == "purge")
        .values(
            payload=json.dumps({"last_run": (past + timedelta(hours=1)).isoformat()}),
            run_at=past,
            leased_until=None,
        )
    )
    until = time.monotonic() + SECONDS
    while filing.tables.rows("blobs", user_id=driver.id):
        assert time.monotonic() < until, filing.tables.rows("jobs")
        time.sleep(0.1)
    assert filing.tables.rows("data_exports", user_id=driver.id) == []
    assert not filing.keys() & {key}


def test_a_closed_account_is_handed_nothing(client: Client, driver: Driver, filing: Filing) -> None:
    ask(client, driver)
    link = mailed(filing, driver)
    assert client.send("DELETE", "/api/v1/users", driver.signed).status == 204
    assert sign_in(client, link, driver.email).status == 404


def test_a_file_that_is_missing_does_not_stop_the_rest(
    client: Client, driver: Driver, filing: Filing
) -> None:
    attach(client, driver, cv=upload(client, driver), dbs=upload(client, driver))
    blobs = filing.tables["blobs"]
    (cv, _) = filing.tables.rows("blobs", user_id=driver.id)
    filing.tables.execute(update(blobs).where(blobs.c.id == cv["id"]).values(key="a" * 32))
    ask(client, driver)
    archive = opened(sign_in(client, mailed(filing, driver), driver.email))
    assert [name for name in archive.namelist() if name.startswith("files/")] == [
        "files/dbs/cv.pdf"
    ]
    filing.tables.execute(update(blobs).where(blobs.c.id == cv["id"]).values(key=cv["key"]))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_while_it_is_written_down_others_are_answered(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of views take seconds: the event loop must not be what spends them."""
    written_by = {}

    def noted(write: Callable[..., bytes]) -> Callable[..., bytes]:
        def writing(*given: Any) -> bytes:
            written_by[write.__name__] = threading.current_thread()
            return write(*given)

        return writing

    for write in (json_of, index_of):
        monkeypatch.setattr(exporting, write.__name__, noted(write))
    tables = open_tables(place.url)
    driver = new_driver(tables)
    now = datetime.now(UTC)
    export_id = tables.add("data_exports", user_id=driver.id, requested_at=now)

    async def make() -> None:
        database = open_database(place.url)
        storage = open_storage(f"file://{place.folder}/files", place.folder / "incoming")
        await database.open()
        try:
            await Exporting(database, storage, lambda: now).make({"export_id": export_id})
        finally:
            await storage.close()
            await database.close()

    asyncio.run(make())
    (made,) = tables.rows("data_exports")
    tables.close()
    assert made["blob_id"] is not None
    assert written_by.keys() == {"json_of", "index_of"}
    assert threading.main_thread() not in written_by.values()


def test_every_table_about_a_driver_is_in_it() -> None:
    """But for what is kept for a day, and numbers that outlive an account."""
    by_driver = {t.name for t in metadata.sorted_tables if "user_id" in t.c}
    assert by_driver == {t.name for t in OF_DRIVERS.values()} | {
        "closed_accounts",
        "idempotency_keys",
        "tombstones",
    }
    by_profile = {t.name for t in metadata.sorted_tables if "profile_id" in t.c}
    assert by_profile == {t.name for t in OF_PROFILES.values()} | {"profile_versions"}


def test_the_index_leaves_out_only_what_machines_read() -> None:
    """All else that is in data.json has words in the index."""
    elsewhere = {
        "files": {"filename"},
        "attachments": {"blob_id", "slot", "created_at"},
        "file_views": {"blob_id", "viewer_kind", "manner", "viewed_at"},
        "known_addresses": {"seen_at"},
        "data_exports": {"blob_id"},
    }
    for_machines = {
        *("id", "user_id", "profile_id", "version", "jti", "position", "viewer_id"),
        *("checksum", "content_type", "detected_type", "service_name", "name", "metadata"),
        *("uploaded_at", "unattached_since", "is_proven"),
    } | SECRET
    for name, table in {"account": users, **OF_DRIVERS, **OF_PROFILES}.items():
        words = set(LABELS.get(name, ())) | elsewhere.get(name, set())
        assert {column.name for column in table.c} - for_machines == words, name


@given(st.lists(st.text(max_size=300), max_size=20))
def test_names_are_safe_and_no_two_the_same(filenames: list[str]) -> None:
    names = Names()
    given_names = [names.of("cv", filename) for filename in filenames]
    assert len({name.casefold() for name in given_names}) == len(filenames)
    for name in given_names:
        folder, slot, last = name.split("/")
        assert (folder, slot) == ("files", "cv")
        assert last.strip(" .") == last != ""
        assert not set(last) & set('<>:"|?*\\\0\n\r')
        assert len(last.encode()) <= 150


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/passwd", "_._etc_passwd"),
        ("con.pdf", "_con.pdf"),
        ("NUL", "_NUL"),
        ("..", "file"),
        ("", "file"),
        ("a\0b.pdf", "a_b.pdf"),
        ("a:b?.pdf", "a_b_.pdf"),
        ("C:\\x.pdf", "C__x.pdf"),
        ("x." + "y" * 300, "x." + "y" * 15),
    ],
)
def test_a_name(filename: str, name: str) -> None:
    assert Names().of("cv", filename) == f"files/cv/{name}"
