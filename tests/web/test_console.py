"""The console: its files for anybody, and what a person does with it in a real browser."""

import re
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from limner.gateway.web_routes import WEB_ROUTES
from limner.service.caller import Role
from limner.web.console import CONTENT_SECURITY_POLICY
from tests.pictures import jpeg, png
from tests.service import Service
from tests.tenant import Tenant
from tests.web.browser import CHROMIUM, Page, browser_page

FILES = [route.path for route in WEB_ROUTES if route.path.startswith("/console")]
FOLDER = Path(str(resources.files("limner.web.console")))
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{service.http_address}") as client:
        yield client


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", FILES)
def test_each_file_may_load_nothing_from_elsewhere(client: httpx.Client, path: str, encoding: str) -> None:
    response = client.get(path, headers={"accept-encoding": encoding})

    assert response.status_code == 200
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers.get("content-encoding", "identity") == encoding
    assert not re.search(r"unsafe|http|\*", CONTENT_SECURITY_POLICY)
    assert response.content


@pytest.mark.parametrize("path", FILES)
def test_head_answers_like_get_without_the_body(client: httpx.Client, path: str) -> None:
    got, asked = client.get(path), client.head(path)

    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-type", "content-length", "content-security-policy", "cache-control"):
        assert asked.headers[name] == got.headers[name]


def test_all_that_the_page_asks_for_is_served() -> None:
    named = {
        path
        for file in FOLDER.iterdir()
        if file.suffix in (".html", ".js", ".css")
        for path in re.findall(r'["\'(](/console/[\w.]+)["\')]', file.read_text())
    }

    assert named | {"/console"} == set(FILES)


def test_the_page_holds_no_script_style_or_address_of_its_own() -> None:
    page = (FOLDER / "page.html").read_text()

    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|://", page)


def test_no_text_can_become_markup() -> None:
    for file in FOLDER.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", file.read_text()
        )


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser_page(tmp_path / "profile") as page:
        await page.look()
        yield page


def token_of(tenant: Tenant) -> str:
    return tenant.service.token(workspaces={tenant.id: Role.MEMBER})


def address_of(service: Service, tenant: Tenant) -> str:
    return f"http://{service.http_address}/console#token={token_of(tenant)}"


def images_of(tenant: Tenant) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = tenant.rest().get("/images").json()["images"]
    return listed


TILES = "document.querySelectorAll('.tile img.loaded').length"
ENDED = "document.querySelectorAll('.task[data-state=done]').length"
FAILED = "document.querySelector('.task[data-state=failed]')"
IN_DETAILS = "document.querySelector('#details').open && document.querySelector('.whole').naturalWidth > 0"
IS_IN = "!document.querySelector('#studio').hidden"
UNNAMED = """
[...document.querySelectorAll("button, input:not([type=file]), select, textarea, img")]
  .filter((it) => it.checkVisibility())
  .filter((it) => !(it.labels?.length || it.ariaLabel || it.alt || it.textContent.trim()))
  .filter((it) => !it.querySelector("img[alt]"))
  .map((it) => it.outerHTML)
"""
"""What nobody who hears the page can tell apart."""


@in_a_browser
async def test_a_person_makes_changes_and_keeps_pictures(
    service: Service, tenant: Tenant, page: Page, tmp_path: Path
) -> None:
    await page.open(f"http://{service.http_address}/console")
    await page.write("#token", token_of(tenant))
    await page.click("#token-form button")
    await page.until(IS_IN)
    await page.until("document.querySelector('#more').textContent.startsWith('No pictures yet')")

    await page.write("#prompt", "a <b>red</b> apple on a table <img src=x onerror=alert(1)>")
    await page.click("#run")
    await page.until(f"{ENDED} === 1 && {TILES} === 1")

    await page.click(".tile")
    await page.until(f"{IN_DETAILS} && document.querySelector('.mark')")
    assert await page.run("document.querySelector('#details-title').textContent") == (
        "a <b>red</b> apple on a table <img src=x onerror=alert(1)>"
    )
    await page.click("#details .actions .primary")
    assert await page.run("document.querySelector('#aspect').selectedOptions[0].text") == "like the first"
    await page.write("#prompt", "make it warmer")
    await page.click("#run")
    await page.until(f"{ENDED} === 2 && {TILES} === 2")

    await page.click(".tile")
    await page.until(f"{IN_DETAILS} && document.querySelector('#details .pictures img.loaded')")
    assert "Made from" in await page.run("document.querySelector('#details').innerText")
    await page.press("Escape")

    kept, dropped = tmp_path / "kept.png", tmp_path / "dropped.jpg"
    kept.write_bytes(png(48, 32))
    dropped.write_bytes(jpeg(40, 40))
    await page.pick_files("#files", kept)
    await page.until(f"{TILES} === 3")
    await page.drop_files(dropped)
    await page.until(f"{TILES} === 4")

    await page.click(".tile")
    await page.until(IN_DETAILS)
    await page.click("#details .actions button:nth-child(2)")
    await page.choose("#model", "realesr-animevideo")
    await page.choose("#factor", "2")
    await page.click("#run")
    await page.until(f"{ENDED} === 3 && {TILES} === 5")
    newest = images_of(tenant)[0]
    assert (newest["imageWidth"], newest["imageHeight"]) == (80, 80)

    await page.click(".tile")
    await page.until(IN_DETAILS)
    await page.click("#details .danger")
    await page.click("[data-answer=yes]")
    await page.until(f"!document.querySelector('#details').open && {TILES} === 4")
    assert len(images_of(tenant)) == 4

    asked = {f"{urlsplit(each['url']).scheme}://{urlsplit(each['url']).netloc}" for each in page.requests}
    assert asked - {"blob://"} == {f"http://{service.http_address}"}
    assert await page.violations() == []
    assert page.complaints == []


@in_a_browser
async def test_a_token_leaves_the_address_and_is_kept_for_the_tab_alone(
    service: Service, tenant: Tenant, page: Page
) -> None:
    await page.open(address_of(service, tenant))
    await page.until(IS_IN)

    assert await page.run("location.href") == f"http://{service.http_address}/console"
    assert await page.run("document.cookie + JSON.stringify(localStorage)") == "{}"
    await page.reload()
    await page.until(IS_IN)
    await page.click("#sign-out")
    await page.until("!document.querySelector('#door').hidden")
    assert await page.run("JSON.stringify(sessionStorage)") == "{}"


@in_a_browser
async def test_a_task_whose_answer_was_lost_is_asked_for_again_by_its_key(
    service: Service, tenant: Tenant, page: Page
) -> None:
    await page.open(address_of(service, tenant))
    await page.until(IS_IN)
    await page.cut_off(lambda address: address.endswith("image-tasks:stream"))
    await page.write("#prompt", "a boat")
    await page.press("Enter", modifiers=2)
    await page.until(f"{ENDED} === 1 && {TILES} === 1")

    sent = [each for each in page.requests if each["url"].endswith("image-tasks:stream")]
    assert len(sent) == 2
    assert len({each["headers"]["idempotency-key"] for each in sent}) == 1
    assert len(images_of(tenant)) == 1


@in_a_browser
async def test_a_refusal_is_told_with_its_reason_and_request(service: Service, tenant: Tenant, page: Page) -> None:
    await page.open(f"http://{service.http_address}/console#token=nonsense&workspace=acme")
    await page.until("document.querySelector('#token-problem .complaint')")
    told = await page.run("document.querySelector('#token-problem').innerText")
    assert "CREDENTIALS_INVALID, request " in told

    await page.write("#token", token_of(tenant))
    await page.write("#token-workspace", tenant.id)
    await page.press("Enter")
    await page.until(IS_IN)
    await page.write("#prompt", "a boat")
    await page.run("document.querySelector('#count').max = 99")
    await page.write("#count", "42")
    await page.click("#run")
    await page.until(FAILED)
    told = await page.run(f"{FAILED}.innerText")
    assert "INVALID_FIELD, request " in told
    assert re.search(r"num_?[iI]mages", told)


@in_a_browser
async def test_the_gallery_loads_further_pages_as_one_scrolls(service: Service, tenant: Tenant, page: Page) -> None:
    upload = tenant.rest()
    for _ in range(60):
        upload.post("/images", content=png(16, 16)).raise_for_status()
    await page.look(height=400)
    await page.open(address_of(service, tenant))
    await page.until(f"{TILES} > 0")
    assert await page.run("document.querySelectorAll('.tile').length") < 60

    await page.until("(scrollTo(0, document.body.scrollHeight), document.querySelectorAll('.tile').length === 60)")
    lists = [each["url"] for each in page.requests if "/images?" in each["url"]]
    assert len(lists) == len(set(lists)) == 3


@in_a_browser
async def test_the_keyboard_alone_does_it_on_a_small_screen(service: Service, tenant: Tenant, page: Page) -> None:
    await page.look(dark=True, width=390, height=844)
    await page.open(address_of(service, tenant))
    await page.until(IS_IN)
    focused = "document.activeElement"
    for _ in range(20):
        await page.press("Tab")
        if await page.run(f"{focused}.id === 'prompt'"):
            break
    await page.command("Input.insertText", text="a cat")
    await page.press("Enter", modifiers=2)
    await page.until(f"{ENDED} === 1")
    for _ in range(20):
        await page.press("Tab")
        if await page.run(f"{focused}.className === 'open'"):
            break
    await page.press("Enter")
    await page.until(IN_DETAILS)
    await page.press("Escape")
    await page.until("!document.querySelector('#details').open")

    assert await page.run(f"{focused}.className") == "open"
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")
    assert await page.run(UNNAMED) == []
