"""The console where things take time, cost, run out or are missing."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from limner.service.caller import Role
from tests.e2e.providers import Catalogue, service_with, settings_of
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.service import Service
from tests.web.browser import CHROMIUM, Page, browser_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

IS_IN = "!document.querySelector('#studio').hidden"
STATE = "document.querySelector('.task')?.dataset.state"
USAGE = "document.querySelector('#usage').innerText"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAi]:
    with background() as loop:
        yield loop.enter(fake_openai(delay_s=0.5))


@pytest.fixture(scope="module")
def slow_service(fake: FakeOpenAi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One whose only model takes its time and costs money, with a second one whose key is missing."""
    catalogue = Catalogue()
    catalogue.add("openai/any", settings_of(fake, "openai/any") | {"price_usd": 0.04, "seeds": False})
    catalogue.add("openai/unready", settings_of(fake, "openai/any") | {"api_key_env": "NOT_SET_HERE"})
    with service_with(catalogue, tmp_path_factory.mktemp("slow"), LIMNER_QUOTA_IMAGES_PER_MONTH="2") as service:
        yield service


@pytest.fixture
async def page(slow_service: Service, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """The console of a workspace of the test's own."""
    token = slow_service.token(workspaces={request.node.name: Role.MEMBER})
    async with browser_page(tmp_path / "profile") as page:
        await page.look()
        await page.open(f"http://{slow_service.http_address}/console#token={token}")
        await page.until(IS_IN)
        yield page


async def test_early_forms_and_progress_are_seen_before_the_picture(page: Page) -> None:
    await page.write("#prompt", "a fox")
    await page.click("#run")

    await page.until("document.querySelector('.task .preview')?.naturalWidth > 0")
    assert await page.run(STATE) == "running"
    await page.until(f"{STATE} === 'done' && document.querySelector('.task .open img.loaded')")
    assert await page.run("document.querySelectorAll('.preview').length") == 0
    assert await page.violations() == []


async def test_a_task_goes_on_by_its_key_when_the_page_is_loaded_again(page: Page, fake: FakeOpenAi) -> None:
    before = len(fake.ledger.purchases)
    await page.write("#prompt", "a fox")
    await page.click("#run")
    await page.until("document.querySelector('.task .preview')")
    await page.reload()

    await page.until(f"{STATE} === 'done'")
    sent = [each for each in page.requests if each["url"].endswith("image-tasks:stream")]
    assert len({each["headers"]["idempotency-key"] for each in sent}) == 1
    assert len(sent) == 2
    assert len(fake.ledger.purchases) - before == 1


async def test_a_task_of_long_ago_is_not_asked_for_again(page: Page) -> None:
    """Its key may be forgotten by now, so that it would be bought again."""
    order = {"key": "k", "title": "a fox", "task": {"generate": {"prompt": "a fox"}}, "begunAt": 0}
    workspace = await page.run("document.querySelector('#workspace').value")
    entry = json.dumps([f"limner.pending.{workspace}", json.dumps([order])])
    await page.run(f"sessionStorage.setItem(...{entry})")
    await page.reload()

    await page.until(f"{STATE} === 'failed'")
    assert "too long ago" in await page.run("document.querySelector('.task').innerText")
    assert not [each for each in page.requests if each["url"].endswith("image-tasks:stream")]


async def test_usage_counts_and_a_used_up_quota_is_told(page: Page) -> None:
    assert await page.run(USAGE) == "0 of 2 pictures"
    await page.write("#prompt", "a fox")
    await page.write("#count", "2")
    assert await page.run("document.querySelector('#price').textContent") == "$0.080 for 2 pictures"
    await page.click("#run")
    await page.until(f"{STATE} === 'done' && {USAGE}.startsWith('2 of 2 pictures')")

    await page.click("#run")
    await page.until(f"{STATE} === 'failed'")
    assert "QUOTA_EXCEEDED, request " in await page.run("document.querySelector('.task .complaint').innerText")


async def test_a_cancelled_task_says_so(page: Page) -> None:
    await page.write("#prompt", "a fox")
    await page.click("#run")
    await page.click(".task .spread button")
    await page.click("[data-answer=yes]")

    await page.until(f"{STATE} === 'failed'")
    assert "GENERATION_CANCELLED" in await page.run("document.querySelector('.task').innerText")


async def test_only_what_the_model_can_is_offered_and_why_one_is_not_ready_is_said(page: Page) -> None:
    assert await page.run("[...document.querySelectorAll('#model option')].map((it) => [it.value, it.disabled])") == [
        ["openai/any", False],
        ["openai/unready", True],
    ]
    assert not await page.run("document.querySelector('#seed').checkVisibility()")
    await page.run("document.querySelector('[name=operation][value=upscale]').click()")
    assert await page.run("document.querySelector('#run').disabled")

    await page.click("#show-models")
    told = await page.run("document.querySelector('.model[data-ready=false]').innerText")
    assert "not ready" in told
    assert "NOT_SET_HERE" in told


async def test_events_are_read_however_they_are_cut(page: Page) -> None:
    text = 'data: {"a":"é"}\r\n\r\n: a comment\n\ndata:{"b":2}\n\n'
    script = f"""
    (async () => {{
      const {{ parsedEvents }} = await import("/console/service.js");
      const bytes = new TextEncoder().encode({json.dumps(text)});
      const found = [];
      for (let size = 1; size <= bytes.length; size += 1) {{
        const body = new ReadableStream({{
          start(stream) {{
            for (let at = 0; at < bytes.length; at += size) stream.enqueue(bytes.slice(at, at + size));
            stream.close();
          }},
        }});
        const events = [];
        for await (const event of parsedEvents(body)) events.push(event);
        found.push(JSON.stringify(events));
      }}
      return [...new Set(found)];
    }})()
    """
    assert await page.run(script) == ['[{"a":"é"},{"b":2}]']
