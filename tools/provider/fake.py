"""Acme on loopback, as documented. How a request goes wrong is said by a fault (``faults.py``)."""

import base64
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from tests.fakes import faults as wrong
from tests.fakes.faults import Faults
from tests.fakes.ledger import Ledger
from tests.fakes.recorder import Recorder
from tests.pictures import png

SECRET: Final = "acme-fake-secret"
KEY: Final = f"key-{SECRET}"


def error(status: int, code: str, message: str, **headers: str) -> web.Response:
    """Answer as the vendor does when it fails."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


NOT_TAKEN: Mapping[str, Callable[[], web.Response]] = {
    "busy": lambda: error(429, "rate_limited", "Too many requests.", **{"Retry-After": "0"}),
    "moderated": lambda: error(400, "content_policy_violation", "This prompt violates our content policy."),
    "key": lambda: error(401, "invalid_api_key", "The API key is not valid."),
    "field": lambda: error(400, "invalid_parameter", "Unknown parameter: 'seed'."),
}
"""Requests that are not taken, so that nothing is bought."""

FAILED: Mapping[str, Callable[[], web.Response]] = {
    "500": lambda: wrong.html(500),
    "502": lambda: wrong.html(502, wrong.BAD_GATEWAY_PAGE),
    "page": lambda: wrong.html(200),
    "no-picture": lambda: web.json_response({"id": "1"}),
}
"""Requests that were taken, and whose answer does not say what became of them."""


class FakeAcme:
    """The vendor's API, and what it would put on the bill."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.ledger = Ledger()
        self.recorder = Recorder(SECRET)
        self.base_url = ""

    async def images(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a picture."""
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return NOT_TAKEN["key"]()
        wish: dict[str, Any] = await request.json()
        fault = self.faults.next(wish["prompt"])
        if fault.name in NOT_TAKEN:
            return NOT_TAKEN[fault.name]()
        self.ledger.buy(uuid.uuid4().hex, wish["model"], 1)
        if fault.name in FAILED:
            return FAILED[fault.name]()
        if fault.name == "drop":
            return await wrong.drop(request)
        return web.json_response({"image": base64.b64encode(png()).decode()})


@asynccontextmanager
async def fake_acme() -> AsyncIterator[FakeAcme]:
    """Run the vendor on a free port of loopback."""
    fake = FakeAcme()
    app = web.Application(middlewares=[fake.recorder.middleware("api", may_have_secret=True)])
    app.router.add_post("/v1/images", fake.images)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.base_url = f"http://{host}:{port}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()
