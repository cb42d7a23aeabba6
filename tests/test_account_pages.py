"""The pages that links in mails lead to, as a browser shows them on a phone and on a desk."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, Page, expect

from roadworthy.migrations import migrate
from tests.conftest import Place, Running
from tests.support.client import Client
from tests.support.drivers import PASSWORD, Driver, new_driver
from tests.support.mail import link_to
from tests.support.postgres import Cluster
from tests.support.service import Service
from tests.support.tables import Tables

CONFIRMATION = "/account/confirmation"
CHOOSE = "/account/password"

NEW_PASSWORD = "another correct horse"

_WIDTHS = [(390, 844), (1280, 800)]


@pytest.fixture(params=_WIDTHS, ids=["phone", "desk"])
def page(request: pytest.FixtureRequest, browser: Browser, service: Running) -> Iterator[Page]:
    """Without JavaScript; it has shown no fault, loaded nothing else, and fits, when it ends."""
    width, height = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=False
    )
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert all(url.startswith(service.url) for url in asked), asked
    assert [fault for fault in faults if "status of" not in fault] == []
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width, "it scrolls sideways"
    context.close()


def confirmation(tables: Tables, driver: Driver) -> str:
    return f"{CONFIRMATION}?confirmation_token={link_to(tables, driver.id, 'confirmation')}"


def choice(tables: Tables, driver: Driver) -> str:
    return f"{CHOOSE}?reset_password_token={link_to(tables, driver.id, 'reset')}"


def is_confirmed(tables: Tables, driver: Driver) -> bool:
    (user,) = tables.rows("users", id=driver.id)
    return user["confirmed_at"] is not None


def has_password(tables: Tables, driver: Driver, password: str) -> bool:
    (user,) = tables.rows("users", id=driver.id)
    return PasswordHasher().verify(user["password_digest"], password)


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def test_an_address_is_confirmed_by_a_button(
    page: Page, service: Running, tables: Tables, driver: Driver
) -> None:
    url = service.url + confirmation(tables, driver)
    page.goto(url)
    heading(page, "Confirm your e-mail address")
    assert driver.email in page.inner_text("main")
    assert not is_confirmed(tables, driver), "opening the page was enough"

    page.get_by_role("button", name="Yes, confirm it").click()
    heading(page, "Your address is confirmed")
    assert page.url == f"{service.url}{CONFIRMATION}", "the address bar keeps the token"
    assert is_confirmed(tables, driver)

    page.goto(url)
    heading(page, "This link does not work")


def test_a_password_is_chosen(page: Page, service: Running, tables: Tables, driver: Driver) -> None:
    page.goto(service.url + choice(tables, driver))
    heading(page, "Choose a new password")
    assert driver.email in page.inner_text("main")
    page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    page.get_by_label("The password again").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change my password").click()

    heading(page, "Your password is changed")
    assert has_password(tables, driver, NEW_PASSWORD)


_WRONG = [
    ("", "", "password", "Password can't be blank"),
    ("short", "short", "password", "Password is too short (minimum is 8 characters)"),
    ("short", "", "password", "Password is too short (minimum is 8 characters)"),
    ("x" * 129, "x" * 129, "password", "Password is too long (maximum is 128 characters)"),
    (NEW_PASSWORD, "another", "password_confirmation", "It is not the same password"),
    (NEW_PASSWORD, "", "password_confirmation", "It is not the same password"),
]


def test_what_is_wrong_stands_at_its_field_and_the_link_stays_good(
    page: Page, service: Running, tables: Tables, driver: Driver
) -> None:
    page.goto(service.url + choice(tables, driver))
    for first, again, field, said in _WRONG:
        page.fill("#password", first)
        page.fill("#password_confirmation", again)
        page.click("button")

        marked = page.locator("input[aria-invalid]")
        expect(marked).to_have_count(1)
        assert marked.get_attribute("id") == field
        hint = f"{page.inner_text('#password_hint')} " if field == "password" else ""
        expect(marked).to_have_accessible_description(f"{hint}{said}")
        expect(marked).to_be_focused()
        assert page.title().startswith("Error: ")
        assert page.input_value("#password") == "", "what was typed is sent back"
        assert has_password(tables, driver, PASSWORD)

    page.fill("#password", NEW_PASSWORD)
    page.fill("#password_confirmation", NEW_PASSWORD)
    page.click("button")
    heading(page, "Your password is changed")
    assert has_password(tables, driver, NEW_PASSWORD)


_DEAD = [
    CONFIRMATION,
    CHOOSE,
    f"{CONFIRMATION}?confirmation_token=x",
    f"{CHOOSE}?reset_password_token=x",
    f"{CHOOSE}?reset_password_token[]=x",
    f"{CHOOSE}?reset_password_token=%00",
]


def test_a_link_that_is_not_good_says_so(page: Page, service: Running) -> None:
    for path in _DEAD:
        answer = page.goto(service.url + path)
        assert answer is not None
        assert answer.status == 404
        heading(page, "This link does not work")


def test_a_page_that_stayed_open_for_too_long_says_so(
    page: Page, service: Running, tables: Tables, driver: Driver
) -> None:
    for link, button in ((confirmation, "Yes, confirm it"), (choice, "Change my password")):
        page.goto(service.url + link(tables, driver))
        tables.execute(tables["mailed_links"].delete())
        page.get_by_role("button", name=button).click()
        heading(page, "This link does not work")
    assert has_password(tables, driver, PASSWORD)
    assert not is_confirmed(tables, driver)


def test_nobody_is_told_of_the_link_and_nobody_keeps_it(
    client: Client, service: Running, tables: Tables, driver: Driver
) -> None:
    token = link_to(tables, driver.id, "reset")
    paths = [
        f"{CHOOSE}?reset_password_token={token}",
        f"{CHOOSE}?reset_password_token=x{token}",
        confirmation(tables, driver),
    ]
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = client.send(method, path)
            assert answer.header("referrer-policy") == "no-referrer", answer
            assert answer.header("cache-control") == "no-store", answer
            assert answer.names.count("referrer-policy") == 1
            policy = answer.header("content-security-policy") or ""
            for directive in (
                "default-src 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            ):
                assert directive in policy
            assert answer.header("content-type") == "text/html; charset=utf-8"
    form = {"content-type": "application/x-www-form-urlencoded"}
    client.send("POST", CHOOSE, form, f"user[reset_password_token]={token}&user[password]=x")

    assert not is_confirmed(tables, driver), "whoever follows links has confirmed it"
    time.sleep(1)  # lines are written a few times a second
    assert token not in service.process.log
    assert token not in client.send("GET", "/metrics").text
    assert f'"route":"{CHOOSE}"' in service.process.log


def test_what_is_written_into_a_page_is_no_markup(client: Client, tables: Tables) -> None:
    driver = new_driver(tables, email='"><script>alert(1)</script>@example.com')
    text = client.send("GET", choice(tables, driver)).text

    assert "<script" not in text
    assert "&lt;script&gt;" in text


_FORM: Mapping[str, str | bytes] = {"content-type": "application/x-www-form-urlencoded"}
_UNREADABLE: list[tuple[int, str, str, Mapping[str, str | bytes], str | None]] = [
    (400, "GET", "?confirmation_token=%ff&reset_password_token=x", {}, None),
    (400, "POST", "", {"content-type": "application/json"}, "{"),
    (400, "POST", "", _FORM, "a=%"),
    (413, "POST", "", _FORM, "a=" + "x" * 20_000),
]


@pytest.mark.parametrize("path", [CONFIRMATION, CHOOSE])
@pytest.mark.parametrize("case", _UNREADABLE, ids=lambda case: f"{case[1]} {case[0]}")
def test_what_cannot_be_read_is_answered_with_a_page(
    client: Client, path: str, case: tuple[int, str, str, Mapping[str, str | bytes], str | None]
) -> None:
    status, method, query, headers, body = case
    answer = client.send(method, path + query, headers, body)

    assert answer.status == status, answer
    assert "<h1>That did not work</h1>" in answer.text
    assert "Open the link in the mail again" in answer.text


def test_while_the_database_is_away_a_page_says_when_to_come_back(
    start: Callable[..., Service], connect: Callable[[str], Client], tmp_path: Path
) -> None:
    cluster = Cluster()
    try:
        place = Place(tmp_path, cluster.create("away"))
        migrate(place.url)
        client = connect(start(tmp_path, place.settings).url)
        cluster.halt()
        answer = client.send("GET", f"{CHOOSE}?reset_password_token=x")
    finally:
        cluster.stop()

    assert (answer.status, answer.header("retry-after")) == (503, "1"), answer
    assert "try again in a minute" in answer.text
    assert answer.header("cache-control") == "no-store"
