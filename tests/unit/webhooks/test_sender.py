"""One attempt to deliver an event, to receivers on loopback that go wrong in real ways."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from limner.domain.identifiers import new_id
from limner.domain.task import Generation, GenerationState, Operation
from limner.outbound.resolver import NameLookup, PublicResolver
from limner.service.ports import Delivery, DeliveryError, ReceiverGoneError
from limner.webhooks.configuration import Webhook
from limner.webhooks.sender import HttpWebhookSender
from tests.unit.outbound.servers import answering, certificate, head, serving, silent_port

KEY = bytes(range(32))
NOW = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)
GENERATION = Generation(
    id=new_id(),
    workspace_id="acme",
    created_by_user_id="ada",
    operation=Operation.GENERATE,
    model="sketch",
    prompt="a fox",
    requested_images=1,
    state=GenerationState.SUCCEEDED,
    created_at=NOW,
    updated_at=NOW,
)
DELIVERY = Delivery(id=new_id(), workspace_id="acme", generation_id=GENERATION.id, attempts=0)


def rest_form(generation: Generation) -> Mapping[str, Any]:
    return {"generationId": generation.id}


@asynccontextmanager
async def sender_to(url: str, **options: Any) -> AsyncIterator[HttpWebhookSender]:
    webhook = Webhook(workspace="acme", url=url, secrets=(KEY,))
    resolver = options.pop("resolver", None) or PublicResolver()
    sender = HttpWebhookSender([webhook], rest_form, resolver, **options)
    try:
        yield sender
    finally:
        await sender.close()


async def sent(url: str, **options: Any) -> None:
    async with sender_to(url, **options) as sender:
        await sender.send(DELIVERY, GENERATION)


@dataclass
class Receiver:
    """Keeps what it is sent and answers as it is told."""

    answer: Callable[[], Awaitable[web.StreamResponse]]
    requests: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path_qs, request.headers.copy(), await request.read()))
        return await self.answer()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Receiver"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.receive)
        async with serving(app, tls=tls) as self.port:
            yield self

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def answers(status: int, **headers: str) -> Receiver:
    async def answer() -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): each for name, each in headers.items()})

    return Receiver(answer)


async def test_the_event_arrives_signed() -> None:
    async with answers(204).running() as receiver:
        await sent(receiver.url("/hook?from=limner"))
    ((path, headers, body),) = receiver.requests
    assert path == "/hook?from=limner"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == DELIVERY.id
    webhook = standardwebhooks.Webhook(base64.b64encode(KEY).decode())
    assert webhook.verify(body, dict(headers)) == json.loads(body)
    assert json.loads(body)["data"] == {"generationId": GENERATION.id}


async def test_each_attempt_has_the_same_id_and_its_own_moment() -> None:
    moments = iter([NOW, NOW.replace(hour=20)])
    async with (
        answers(200).running() as receiver,
        sender_to(receiver.url(), clock=lambda: next(moments)) as sender,
    ):
        await sender.send(DELIVERY, GENERATION)
        await sender.send(replace(DELIVERY, attempts=1), GENERATION)
    first, second = (headers for _, headers, _ in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 8 * 3600
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_another_status_is_a_failure(status: int) -> None:
    async with answers(status).running() as receiver:
        with pytest.raises(DeliveryError, match=str(status)) as caught:
            await sent(receiver.url())
    assert not isinstance(caught.value, ReceiverGoneError)


async def test_a_receiver_that_is_gone_says_so() -> None:
    async with answers(410).running() as receiver:
        with pytest.raises(ReceiverGoneError):
            await sent(receiver.url())


@pytest.mark.parametrize(("text", "seconds"), [("120", 120.0), ("soon", 0.0), ("-5", 0.0), ("9" * 400, 0.0), ("", 0.0)])
async def test_a_receiver_may_ask_for_time(text: str, seconds: float) -> None:
    async with answers(503, retry_after=text).running() as receiver:
        with pytest.raises(DeliveryError) as caught:
            await sent(receiver.url())
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    async with answers(200).running() as other, answers(status, location=other.url()).running() as receiver:
        with pytest.raises(DeliveryError, match=str(status)):
            await sent(receiver.url())
    assert len(receiver.requests) == 1
    assert other.requests == []


async def test_a_cookie_is_not_kept() -> None:
    async with (
        answers(200, set_cookie="session=1; Path=/").running() as receiver,
        sender_to(receiver.url()) as sender,
    ):
        for _ in range(2):
            await sender.send(DELIVERY, GENERATION)
    assert all("cookie" not in headers for _, headers, _ in receiver.requests)


async def test_nobody_there_is_a_failure() -> None:
    with silent_port() as port, pytest.raises(DeliveryError, match="no answer"):
        await sent(f"http://127.0.0.1:{port}/")


async def test_a_broken_answer_is_a_failure() -> None:
    async with answering(b"what?\r\n\r\n") as receiver:
        with pytest.raises(DeliveryError, match="no answer"):
            await sent(receiver.url)
    assert len(receiver.requests) == 1


async def test_silence_is_a_failure_when_the_time_is_over() -> None:
    async def answer() -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    begin = time.monotonic()
    async with Receiver(answer).running() as receiver:
        with pytest.raises(DeliveryError, match="TimeoutError"):
            await sent(receiver.url(), timeout_s=0.2)
    assert time.monotonic() - begin < 3


async def test_the_body_of_the_answer_is_not_waited_for() -> None:
    endless = (head("200 OK", Content_Length=10**9), *([b"x" * 65_536] * 20))
    async with answering(*endless, pause_s=0.2) as receiver:
        await asyncio.wait_for(sent(receiver.url), 2)
    assert len(receiver.requests) == 1


def leading_to(*addresses: str, allowed: Callable[[str], bool] | None = None) -> PublicResolver:
    """A resolver for which every name has these addresses."""

    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    return PublicResolver(lookup, allowed) if allowed else PublicResolver(lookup)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "::1", "fd00::1", "::ffff:127.0.0.1"]
)
async def test_a_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    async with answers(200).running() as receiver:
        with pytest.raises(DeliveryError, match="no answer"):
            url = f"https://hooks.example.com:{receiver.port}/"
            await sent(url, resolver=leading_to("93.184.216.34", address), timeout_s=2)
    assert receiver.requests == []


async def test_names_are_looked_up_by_the_system() -> None:
    lookup = NameLookup("names")
    assert set(await lookup("localhost", 443)) <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError, match=r".+"):
        await lookup("a name that nobody has", 443)


async def test_https_goes_to_the_address_that_was_checked(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "hooks.example.com")
    checked: list[str] = []

    def allowed(address: str) -> bool:
        checked.append(address)
        return True

    async with answers(200).running(server) as receiver:
        url = f"https://hooks.example.com:{receiver.port}/hook"
        await sent(url, resolver=leading_to("127.0.0.1", allowed=allowed), tls=client)
        with pytest.raises(DeliveryError, match="no answer"):
            await sent(url, resolver=leading_to("127.0.0.1", allowed=allowed))  # an authority that nobody knows
    assert checked == ["127.0.0.1"] * 2
    ((_, headers, _),) = receiver.requests
    assert headers["host"] == f"hooks.example.com:{receiver.port}"
