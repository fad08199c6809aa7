"""A provider that bills, on this machine: it keeps a ledger, and goes wrong when a prompt says so.

``POST /pictures`` makes pictures while the caller waits; ``POST /jobs`` queues them, ``GET`` and ``DELETE`` of
``/jobs/{id}`` fetch and withdraw them. Faults: ``[[fault:slow=1.5]]`` seconds, ``[[fault:late=2]]`` tells a job's id
so late and makes its pictures in four times that, ``[[fault:drop]]`` hangs up once it was paid, ``[[fault:refuse]]``
and ``[[fault:busy]]`` sell nothing.
"""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.faults import Fault, Faults, drop
from tests.fakes.ledger import Ledger
from tests.fakes.pictures import colour_of, picture

PICTURE_SECONDS = 0.02
"""How long a picture takes."""


def picture_of(prompt: str, index: int) -> bytes:
    """The picture that a prompt buys: no other is like it."""
    return picture(colour_of(prompt, None, index), 8, 8)


@dataclass
class Provider:
    """The server. ``sold`` counts what it would bill, by prompt and picture."""

    url: str = ""
    ledger: Ledger = field(default_factory=Ledger)
    sold: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: Faults = field(default_factory=Faults)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody bought something."""

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/pictures", self._sell_now),
                web.post("/jobs", self._queue),
                web.get("/jobs/{id}", self._fetch),
                web.delete("/jobs/{id}", self._withdraw),
            ]
        )
        return app

    def bought(self, prompt: str) -> int:
        """How many pictures of a prompt are on the bill."""
        return sum(count for (of, _), count in self.sold.items() if of == prompt)

    async def _sell_now(self, request: web.Request) -> web.StreamResponse:
        order, fault = await self._order(request)
        if refusal := _refusal(fault):
            return refusal
        self._sell(order)
        if fault.name == "drop":
            return await drop(request)
        await asyncio.sleep(_duration(fault))
        return web.json_response(_pictures(order))

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        order, fault = await self._order(request)
        if refusal := _refusal(fault):
            return refusal
        job_id = self._sell(order)
        self.jobs[job_id] = {**order, "ready": time.monotonic() + _duration(fault)}
        if fault.name == "drop":
            return await drop(request)
        if fault.name == "late":
            await asyncio.sleep(float(fault.value))
        return web.json_response({"id": job_id})

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return web.Response(status=404)
        if time.monotonic() < job["ready"]:
            return web.Response(status=202)
        return web.json_response(_pictures(job))

    async def _withdraw(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        job = self.jobs.get(job_id)
        if job is None or time.monotonic() >= job["ready"]:
            return web.Response(status=409)
        del self.jobs[job_id]
        self.ledger.refund(job_id)
        self.sold.subtract((job["prompt"], index) for index in job["indexes"])
        return web.Response(status=204)

    async def _order(self, request: web.Request) -> tuple[dict[str, Any], Fault]:
        order: dict[str, Any] = await request.json()
        return order, self.faults.next(order["prompt"])

    def _sell(self, order: dict[str, Any]) -> str:
        job_id = f"job-{self.ledger.accepted}"
        self.ledger.buy(job_id, "pictures", len(order["indexes"]))
        self.sold.update((order["prompt"], index) for index in order["indexes"])
        self.asked.set()
        return job_id


def _refusal(fault: Fault) -> web.Response | None:
    status = {"refuse": 400, "busy": 503}.get(fault.name)
    return web.Response(status=status) if status else None


def _duration(fault: Fault) -> float:
    if fault.name == "late":
        return 4 * float(fault.value)
    return float(fault.value) if fault.name == "slow" else PICTURE_SECONDS


def _pictures(order: dict[str, Any]) -> Sequence[str]:
    return [base64.b64encode(picture_of(order["prompt"], index)).decode() for index in order["indexes"]]


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """Run a provider on a free port."""
    provider = Provider()
    runner = web.AppRunner(provider.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
