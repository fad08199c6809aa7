"""A fake of OpenAI's Images API, and of five servers that speak it in a dialect of their own.

It checks requests as the vendor does, sells pictures, and goes wrong when it is told to (``tests/fakes/faults.py``).
Faults: every one of ``_FAULTS``, and those of the pictures, of the list and of the stream named beside them.
``python -m tests.fakes.openai`` runs one in a process of its own and prints its address.
"""

import argparse
import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tests.fakes import faults as ways
from tests.fakes.faults import Fault, Faults
from tests.fakes.ledger import Ledger
from tests.fakes.openai_dialects import DIALECTS, Dialect, Refusal, Wanted
from tests.fakes.pictures import bomb, colour_of, picture
from tests.fakes.recorder import Recorder
from tests.pictures import encoded, noise

KEY: Final = "sk-fake-openai-0123456789"
_MAX_BODY_BYTES: Final = 900 << 20
_HANG_S: Final = 3600.0

Answer = Callable[[web.Request, Wanted, Fault], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Made:
    """One picture: its bytes, or ``None`` where the list has an entry without any."""

    data: bytes | None
    b64: str = ""
    """What stands in the answer instead of the right base64."""


class FakeOpenAi:
    """One server. ``base_url`` ends in ``/v1``; ``cdn_url`` is another server, where the key must never arrive."""

    def __init__(self, dialect: str = "openai", *, key: str = KEY, payload: bytes = b"", delay_s: float = 0.0) -> None:
        self.dialect: Dialect = DIALECTS[dialect]
        self.key = key
        self.ledger = Ledger()
        self.faults = Faults()
        self.recorder = Recorder(key)
        self.base_url = ""
        self.cdn_url = ""
        self.requests: list[Wanted] = []
        """What was asked for, in order, the refused requests left out."""
        self.running = 0
        """How many requests are being worked on."""
        self.abandoned = 0
        """How many callers hung up before their answer."""
        self._payload = payload
        self._delay_s = delay_s
        self._kept: dict[str, bytes] = {}
        self._ready: dict[int, bytes] = {}
        self._refused_fields: dict[str, tuple[int, Mapping[str, Any]]] = {}

    def refuse_field(self, name: str, status: int, document: Mapping[str, Any]) -> None:
        """Refuse every request from now on that has the field, with this answer."""
        self._refused_fields[name] = (status, document)

    # What the server answers.

    def api(self) -> web.Application:
        """Return the provider's API."""
        app = web.Application(
            client_max_size=_MAX_BODY_BYTES,
            middlewares=[self.recorder.middleware("api", may_have_secret=True)],
        )
        app.router.add_get("/v1/models", self._models)
        for path, operation in self.dialect.routes:
            app.router.add_post(path, self._handler(operation))
        app.router.add_get("/generated-images/{name}", self._download)
        app.router.add_get("/v1/images/{name}/content", self._download)
        return app

    def cdn(self) -> web.Application:
        """Return another server, from which pictures may be had without a key."""
        app = web.Application(middlewares=[self.recorder.middleware("cdn", may_have_secret=False)])
        app.router.add_get("/{name}", self._download)
        app.router.add_route("*", "/{tail:.*}", _teapot)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        self._check_key(request)
        return web.json_response({"object": "list", "data": [{"id": each, "object": "model"} for each in ("any",)]})

    def _handler(self, operation: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.running += 1
            try:
                return await self._serve(request, operation)
            except Refusal as refusal:
                return self._refuse(refusal)
            except asyncio.CancelledError:
                self.abandoned += 1
                raise
            finally:
                self.running -= 1

        return handle

    async def _serve(self, request: web.Request, operation: str) -> web.StreamResponse:
        self._check_key(request)
        if refused := await self._refused_field(request):
            return refused
        wanted = await self.dialect.read(request, operation)
        self.requests.append(wanted)
        fault = self.faults.next(wanted.prompt)
        if answer := _FAULTS.get(fault.name):
            return await answer(self, request, wanted, fault)
        return await self._sell(request, wanted, fault)

    async def _refused_field(self, request: web.Request) -> web.Response | None:
        sent = json.loads(await request.read()) if request.content_type == "application/json" else {}
        for name, (status, document) in self._refused_fields.items():
            if name in sent:
                return web.json_response(document, status=status)
        return None

    async def _sell(self, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
        self._buy(wanted)
        await asyncio.sleep(self._delay_s)
        if wanted.stream:
            return await self._stream(request, wanted, fault)
        return await self._document(wanted, fault)

    def _buy(self, wanted: Wanted) -> None:
        self.ledger.buy(uuid.uuid4().hex, wanted.model, wanted.count, wanted.prompt)

    def _check_key(self, request: web.Request) -> None:
        if self.dialect.has_keys and request.headers.get("Authorization") != f"Bearer {self.key}":
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def _refuse(self, refusal: Refusal) -> web.Response:
        headers = {**_headers(), **refusal.headers}
        return web.json_response(self.dialect.error(refusal), status=refusal.status, headers=headers)

    # Pictures and the shapes they are answered in.

    def _pictures(self, wanted: Wanted, fault: Fault) -> list[Made]:
        made = [self._picture(wanted, index, fault) for index in range(wanted.count)]
        if fault.name == "empty":
            return []
        return made[: -int(fault.value or 1)] if fault.name == "fewer" else made

    def _picture(self, wanted: Wanted, index: int, fault: Fault) -> Made:
        if fault.name in _BAD_PICTURES and fault.hits(index):
            return _BAD_PICTURES[fault.name](wanted)
        if self._payload:
            return Made(self._payload)
        colour = colour_of(wanted.plain_prompt, wanted.seed_of(index), 0 if wanted.seeds else index)
        return Made(picture(colour, wanted.width, wanted.height, wanted.output_format))

    async def _document(self, wanted: Wanted, fault: Fault) -> web.Response:
        if self._payload and not fault.name and wanted.response_format != "url":
            return web.Response(body=self._ready_body(wanted), content_type="application/json", headers=_headers())
        made = await asyncio.to_thread(self._pictures, wanted, fault)
        wants_url = wanted.response_format == "url" or fault.name.startswith("url")
        entry = self._address_entry if wants_url else _base64_entry
        data = [entry(each, fault) for each in made]
        body = self.dialect.answer(data, wanted)
        text = await asyncio.to_thread(json.dumps, body)
        return web.Response(text=text, content_type="application/json", headers=_headers())

    def _ready_body(self, wanted: Wanted) -> bytes:
        """Return the answer that holds the payload, made once: who measures a caller should not measure this server."""
        if wanted.count not in self._ready:
            data = [_base64_entry(Made(self._payload), Fault())] * wanted.count
            self._ready[wanted.count] = json.dumps(self.dialect.answer(data, wanted)).encode()
        return self._ready[wanted.count]

    def _address_entry(self, made: Made, fault: Fault) -> dict[str, Any]:
        name = f"{uuid.uuid4().hex}.png"
        self._kept[name] = made.data or b""
        own = self.base_url.removesuffix("/v1")
        addresses = {
            "": own + self.dialect.result_path.format(name=name),
            "url-relative": self.dialect.result_path.format(name=name),
            "url-cdn": f"{self.cdn_url}/{name}",
            "url-foreign": f"https://pictures.example.net/{name}",
            "url-internal": f"http://169.254.169.254/latest/{name}",
            "url-redirect": f"{own}/generated-images/redirect-{name}",
            "url-gone": own + self.dialect.result_path.format(name="gone.png"),
        }
        return {"url": addresses.get(fault.name, addresses[""])}

    async def _download(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name.startswith("redirect-"):
            return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/secret"})
        if name not in self._kept:
            return web.Response(status=404, text="Image not found")
        return web.Response(body=self._kept[name], content_type="image/png")

    async def _stream(self, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **_headers()})
        await response.prepare(request)
        async for event in self._events(wanted, fault):
            if event is None:
                assert request.transport is not None
                request.transport.close()
                return response
            await response.write(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()))
        await response.write_eof()
        return response

    async def _events(self, wanted: Wanted, fault: Fault) -> AsyncIterator[dict[str, Any] | None]:
        """Yield the events of a stream; ``None`` where the connection breaks."""
        prefix = "image_edit" if wanted.inputs else "image_generation"
        partials = 0 if fault.name == "no-partials" else wanted.partial_images
        for index in range(partials):
            made = Made(picture(colour_of(wanted.plain_prompt, -1, index), 64, 64, wanted.output_format))
            yield _event(f"{prefix}.partial_image", made, wanted) | {"partial_image_index": index}
            if fault.name in _STREAM_ENDS:
                break
            await asyncio.sleep(self._delay_s)
        if fault.name in _STREAM_ENDS:
            yield _STREAM_ENDS[fault.name]
            return
        if fault.name == "stream-unfinished":
            return
        made = (await asyncio.to_thread(self._pictures, wanted, fault))[0]
        yield _event(f"{prefix}.completed", made, wanted) | {"usage": wanted.usage()}


@asynccontextmanager
async def fake_openai(dialect: str = "openai", **options: Any) -> AsyncIterator[FakeOpenAi]:
    """Run a fake on free ports of the loopback."""
    fake = FakeOpenAi(dialect, **options)
    runners = [web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1) for app in (fake.api(), fake.cdn())]
    try:
        fake.base_url = f"http://127.0.0.1:{await _listen(runners[0])}/v1"
        fake.cdn_url = f"http://127.0.0.1:{await _listen(runners[1])}"
        yield fake
    finally:
        for runner in runners:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int = 0) -> int:
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return int(runner.addresses[0][1])


def _headers() -> dict[str, str]:
    return {
        "x-request-id": f"req_{uuid.uuid4().hex}",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "openai-processing-ms": "12",
    }


def _base64_entry(made: Made, fault: Fault) -> dict[str, Any]:
    if made.data is None and not made.b64:
        return {"b64_json": None, "url": None}
    return {"b64_json": made.b64 or base64.b64encode(made.data or b"").decode()}


def _event(kind: str, made: Made, wanted: Wanted) -> dict[str, Any]:
    return {
        "type": kind,
        "b64_json": made.b64 or base64.b64encode(made.data or b"").decode(),
        "created_at": int(time.time()),
        "size": f"{wanted.width}x{wanted.height}",
        "quality": wanted.quality,
        "background": "opaque",
        "output_format": wanted.output_format,
    }


async def _teapot(request: web.Request) -> web.Response:
    return web.Response(status=418)


# Pictures that are none, and what they stand for.

_PAGE: Final = b"<!doctype html><html><body>not a picture</body></html>"
_BAD_PICTURES: Final[dict[str, Callable[[Wanted], Made]]] = {
    "null": lambda wanted: Made(None),
    "zero-byte": lambda wanted: Made(b""),
    "bad-base64": lambda wanted: Made(b"", b64="%%% this is not base64 %%%"),
    "html-picture": lambda wanted: Made(_PAGE),
    "noise": lambda wanted: Made(picture((9, 9, 9), 64, 64)[:40] + bytes(range(256)) * 8),
    "cut-picture": lambda wanted: Made(picture((9, 9, 9), 64, 64)[:-20]),
    "bomb": lambda wanted: Made(bomb()),
    "wrong-format": lambda wanted: Made(picture((9, 9, 9), wanted.width, wanted.height, "jpeg")),
    "black": lambda wanted: Made(picture((0, 0, 0), wanted.width, wanted.height)),
}

_MODERATION: Final = {
    "type": "image_generation_user_error",
    "code": "moderation_blocked",
    "message": "Your request was rejected by the safety system.",
    "param": None,
}
_STREAM_ENDS: Final[dict[str, dict[str, Any] | None]] = {
    "stream-cut": None,
    "stream-moderation": {"type": "error", "error": _MODERATION},
    "stream-moderation-flat": _MODERATION | {"type": "error"},
    "stream-error": {"type": "error", "error": {"type": "server_error", "code": None, "message": "oops"}},
}


# Ways to go wrong. Those that come after the work was done are bought.

_Way = Callable[[FakeOpenAi, web.Request, Wanted, Fault], Awaitable[web.StreamResponse]]


def _refusing(*args: Any, **kwargs: Any) -> _Way:
    """Refuse before anything is done."""

    async def refuse(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
        raise Refusal(*args, **kwargs)

    return refuse


def _limited(text: str = "Rate limit reached on images per min.", **headers: str) -> _Way:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _refusing(429, text, code="rate_limit_exceeded", kind="requests", headers=named)


def _after_work(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> _Way:
    """Do the work, and then go wrong."""

    async def fail(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
        fake._buy(wanted)
        return await answer(request)

    return fail


def _page(status: int, page: str = ways.CRASH_PAGE) -> _Way:
    async def answer(request: web.Request) -> web.StreamResponse:
        return ways.html(status, page)

    return _after_work(answer)


def _text(text: str) -> _Way:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/json")

    return _after_work(answer)


async def _limited_until(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
    raise Refusal(429, "Rate limit reached.", code="rate_limit_exceeded", headers={"Retry-After": ways.in_seconds(1)})


async def _crash(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
    fake._buy(wanted)
    raise Refusal(500, f"The server had an error processing {wanted.prompt}", kind="server_error")


async def _truncate(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
    fake._buy(wanted)
    document = await fake._document(wanted, Fault())
    assert isinstance(document.body, bytes)
    return await ways.truncate(request, document.body, "application/json")


async def _hang(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
    fake._buy(wanted)
    await asyncio.sleep(float(fault.value or _HANG_S))
    return await fake._document(wanted, Fault())


async def _flood(request: web.Request) -> web.StreamResponse:
    return await ways.flood(request, 600 << 20, "application/json")


async def _redirect(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": f"{fake.cdn_url}/v1/images/generations"})


async def _moderated_afterwards(
    fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault
) -> web.StreamResponse:
    fake._buy(wanted)
    raise Refusal(400, **_moderation("output"))


def _saying(status: int, document: object, *, bought: bool = False, before: bytes = b"") -> _Way:
    """Answer with a document, after white space that kept the connection alive."""

    async def say(fake: FakeOpenAi, request: web.Request, wanted: Wanted, fault: Fault) -> web.StreamResponse:
        if bought:
            fake._buy(wanted)
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for each in (before[at : at + 1] for at in range(len(before))):
            await response.write(each)
        await response.write(json.dumps(document).encode())
        await response.write_eof()
        return response

    return say


def _moderation(stage: str) -> dict[str, Any]:
    details = {"moderation_details": {"moderation_stage": stage, "categories": ["violence"]}}
    words = {"message": _MODERATION["message"], "kind": _MODERATION["type"], "code": _MODERATION["code"]}
    return words | {"extra": details}


_FAULTS: Final[dict[str, _Way]] = {
    "bad-key": _refusing(401, "Incorrect API key provided.", code="invalid_api_key"),
    "forbidden": _refusing(403, "Your organization must be verified to use this model."),
    "moderation": _refusing(400, **_moderation("input")),
    "moderation-output": _moderated_afterwards,
    "insufficient-quota": _refusing(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
        kind="insufficient_quota",
    ),
    "billing-limit": _refusing(
        400, "Billing hard limit has been reached.", code="billing_hard_limit_reached", kind="billing_limit_user_error"
    ),
    "model-not-found": _refusing(404, "The model does not exist or you do not have access.", code="model_not_found"),
    "bad-parameter": _refusing(400, "Unknown parameter: 'size'.", code="unknown_parameter", param="size"),
    "bad-image": _refusing(400, "Invalid image file or mode.", code="invalid_image_file", param="image"),
    "too-large": _refusing(413, "The request is too large."),
    "rate-limit": _limited(Retry_After="1"),
    "rate-limit-ms": _limited(retry_after_ms="30"),
    "rate-limit-date": _limited_until,
    "rate-limit-text": _limited("Rate limit reached on input-images per min: Limit 5. Please try again in 30ms."),
    "rate-limit-plain": _limited(),
    "rate-limit-long": _limited(Retry_After="90"),
    "rate-limit-final": _limited(x_should_retry="false", retry_after_ms="30"),
    "loading": _refusing(503, "the model is loading", headers={"Retry-After": "1"}),
    "unavailable": _refusing(503, "The engine is currently overloaded, please try again later", kind="server_error"),
    "crash": _crash,
    "html-500": _page(500),
    "bad-gateway": _page(502, ways.BAD_GATEWAY_PAGE),
    "gateway-timeout": _page(504, ways.BAD_GATEWAY_PAGE),
    "drop": _after_work(ways.drop),
    "truncate": _truncate,
    "hang": _hang,
    "flood": _after_work(_flood),
    "html-200": _page(200),
    "not-json": _text('{"created": 1, "data": [{"b64_json": "aGk='),
    "no-data": _text('{"created": 1}'),
    "list": _text("[]"),
    "redirect": _redirect,
    "words-400": _saying(400, {"code": "The request is wrong", "error": "Stopped by content moderation"}),
    "words-403": _saying(403, {"error": {"message": "This violates our usage guidelines", "code": None}}),
    "words-502": _saying(502, {"error": {"message": "The model finds this inappropriate"}}, bought=True),
    "words-200": _saying(200, {"error": {"code": "OutputImageSensitiveContentDetected"}}, bought=True),
    "waiting-200": _saying(200, {"error": {"message": "Flagged as NSFW"}}, bought=True, before=b" \n \n"),
    "empty-url": _saying(200, {"data": [{"url": "", "respect_moderation": False}]}, bought=True),
    "empty-flag": _saying(200, {"data": [{"b64_json": None, "finish_reason": "content_filter"}]}, bought=True),
    "unexplained": _saying(400, {"error": {"message": "Bad request."}}),
    "bad-picture": _saying(400, {"error": {"code": "image_parse_error", "message": "No picture."}}),
}


def main() -> None:
    """Run one fake until its standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dialect", default="openai", choices=sorted(DIALECTS))
    parser.add_argument("--picture-bytes", type=int, default=0, help="about so many bytes in every picture")
    parser.add_argument("--picture", type=Path, help="the file that every picture is")
    parser.add_argument("--delay-s", type=float, default=0.0)
    asyncio.run(_run(parser.parse_args()))


async def _run(options: argparse.Namespace) -> None:
    edge = int((options.picture_bytes / 3) ** 0.5)
    payload = encoded(noise(edge, edge), "PNG", compress_level=0) if edge else b""
    if options.picture:
        payload = options.picture.read_bytes()
    async with fake_openai(options.dialect, payload=payload, delay_s=options.delay_s) as fake:
        print(fake.base_url, flush=True)
        await asyncio.to_thread(input_ends)


def input_ends() -> None:
    """Return when nobody writes to the standard input any longer."""
    try:
        while True:
            input()
    except EOFError:
        return


if __name__ == "__main__":
    main()
