"""The page at `/docs`, as a browser shows it on a phone and on a desk."""

import pytest
from playwright.sync_api import Browser, Request

from tests.conftest import Running


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)], ids=["phone", "desk"])
def test_it_is_whole_at_every_width(
    browser: Browser, service: Running, width: int, height: int
) -> None:
    asked: list[str] = []
    faults: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": height})
    page.on("request", lambda request: asked.append(_url(request)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{service.url}/")

    assert page.url == f"{service.url}/docs"
    assert all(url.startswith(service.url) for url in asked), asked
    assert faults == []
    registration = page.locator("details", has_text="Complete driver registration")
    assert not registration.locator("pre").first.is_visible()
    registration.locator("summary").click()
    assert registration.locator("pre").first.is_visible()
    assert '"enchanced_dbs":{"id":null' in registration.inner_text()
    page.evaluate("document.querySelectorAll('details').forEach(card => card.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    page.close()


def _url(request: Request) -> str:
    return request.url
