"""Google's Gemini image models on loopback, as the Developer API and as Vertex AI serve them.

Three servers: ``api`` (both APIs, wants the key or a token in a header), ``tokens`` (where google-auth gets
tokens for Vertex), ``elsewhere`` (a host that nobody has business with). How a request goes wrong is said by a
fault (``faults.py``); each is a line in one of the tables below, or a case of ``_made`` or ``_sent``.
"""

import asyncio
import base64
import json
import sys
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final

from aiohttp import web

from tests.fakes import faults as wrong
from tests.fakes.faults import Fault, Faults
from tests.fakes.google_schema import MODELS, RETIRED, InvalidArgumentError, Wish, understood
from tests.fakes.ledger import Ledger
from tests.fakes.pictures import bomb, colour_of, picture
from tests.fakes.recorder import Recorder
from tests.pictures import png

SECRET: Final = "google-fake-secret"
"""Part of the key and of each token, so that one search finds any of them."""
KEY: Final = f"AIza-{SECRET}-key"
PROJECT, LOCATION = "acme-project", "europe-west4"
MAX_BODY_BYTES: Final = 120 << 20
HUGE_BYTES: Final = 140 << 20
"""More than any answer of ours may have."""

Json = dict[str, Any]


def error(code: int, status: str, message: str, *details: Json, as_list: bool = False) -> web.Response:
    """Answer as Google's APIs do when they fail; Vertex and streaming answers are a list of one."""
    body = {"error": {"code": code, "message": message, "status": status} | ({"details": details} if details else {})}
    return web.json_response([body] if as_list else body, status=code)


def _detail(kind: str, **fields: object) -> Json:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


def _quota(quota_id: str, limit: int, *details: Json) -> web.Response:
    metric = "generativelanguage.googleapis.com/generate_requests_per_model"
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n"
        f"* Quota exceeded for metric: {metric}, limit: {limit}, model: gemini-3.1-flash-image"
    )
    violation = {"quotaMetric": metric, "quotaId": quota_id, "quotaValue": str(limit)}
    return error(429, "RESOURCE_EXHAUSTED", message, _detail("QuotaFailure", violations=[violation]), *details)


def _busy(**headers: str) -> web.Response:
    answer = error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


def _key_invalid() -> web.Response:
    info = _detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com")
    return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", info)


def _retry_info(delay: str) -> Json:
    return _detail("RetryInfo", retryDelay=delay)


BUSY: Mapping[str, Callable[[], web.Response]] = {
    "retry-info": lambda: _quota("GenerateRequestsPerMinutePerProjectPerModel", 10, _retry_info("0.04s")),
    "retry-info-long": lambda: _quota("GenerateRequestsPerMinutePerProjectPerModel", 10, _retry_info("47.8s")),
    "none": lambda: _busy(),
    "retry-after": lambda: _busy(Retry_After="1"),
    "date": lambda: _busy(Retry_After=wrong.in_seconds(2)),
    "ms": lambda: _busy(retry_after_ms="40"),
    "list": lambda: error(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.", as_list=True),
    "capacity": lambda: error(
        429, "RESOURCE_EXHAUSTED", "No capacity available.", _detail("ErrorInfo", reason="MODEL_CAPACITY_EXHAUSTED")
    ),
    "day": lambda: _quota("GenerateRequestsPerDayPerProjectPerModel", 100, _retry_info("31s")),
    "free-tier": lambda: _quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", 0, _retry_info("11.7s")),
    "no-credit": lambda: error(
        429,
        "RESOURCE_EXHAUSTED",
        "Your prepayment credits are depleted. Please go to AI Studio.",
    ),
    "cap": lambda: error(429, "RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap."),
    "html": lambda: wrong.html(429, wrong.BAD_GATEWAY_PAGE),
}
"""A 429, with every form of hint and every kind of quota."""

NOT_TAKEN: Mapping[str, Callable[[], web.Response]] = {
    "key-invalid": _key_invalid,
    "400": lambda: error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "input-image": lambda: error(400, "INVALID_ARGUMENT", "Unable to process input image. Please retry."),
    "billing": lambda: error(400, "FAILED_PRECONDITION", "The free tier is not available. Please enable billing."),
    "location": lambda: error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    "401": lambda: error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "403": lambda: error(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
    "403-list": lambda: error(403, "PERMISSION_DENIED", "Permission denied on resource project.", as_list=True),
    "404": lambda: error(404, "NOT_FOUND", "models/gemini-2.5-flash-image is no longer available."),
    "413": lambda: wrong.html(413, "<html><center>413 Request Entity Too Large</center></html>"),
    "overloaded": lambda: error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "demand": lambda: error(503, "UNAVAILABLE", "This model is currently experiencing high demand."),
    "no-capacity": lambda: error(
        503, "UNAVAILABLE", "No capacity available.", _detail("ErrorInfo", reason="MODEL_CAPACITY_EXHAUSTED")
    ),
    "redirect": lambda: web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"}),
}
"""Requests that are not taken, so that nothing is bought."""

FAILED: Mapping[str, Callable[[], web.Response]] = {
    "500": lambda: error(500, "INTERNAL", "An internal error has occurred."),
    "500-list": lambda: error(500, "INTERNAL", "An internal error has occurred.", as_list=True),
    "500-html": lambda: wrong.html(500),
    "502-html": lambda: wrong.html(502, wrong.BAD_GATEWAY_PAGE),
    "503": lambda: error(503, "UNAVAILABLE", "The service is currently unavailable."),
    "503-html": lambda: wrong.html(503, wrong.BAD_GATEWAY_PAGE),
    "504": lambda: error(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "408": lambda: error(408, "CANCELLED", "The request timed out."),
    "499": lambda: error(499, "CANCELLED", "The operation was cancelled."),
    "200-html": lambda: wrong.html(200),
    "200-text": lambda: web.Response(text="ok"),
    "200-array": lambda: web.json_response([]),
    "200-null": lambda: web.json_response(None),
    "200-empty-body": lambda: web.Response(content_type="application/json"),
}
"""Requests that were taken, and whose answer does not say what became of them."""


PICTURELESS: Mapping[str, Callable[[str], Json]] = {
    "block": lambda reason: {"promptFeedback": {"blockReason": reason}, "usageMetadata": _usage(0)},
    "finish": lambda reason: _answer([], reason, finishMessage="Unable to show the generated image."),
    "no-candidates": lambda _: {"usageMetadata": _usage(0)},
    "empty": lambda _: {"candidates": [], "usageMetadata": _usage(0)},
    "no-parts": lambda _: _answer([], "STOP"),
    "text-only": lambda _: _answer([{"text": "I can't draw that."}], "STOP"),
    "thought-only": lambda _: _answer(_thoughts(), "STOP"),
}
"""Answers of status 200 without a picture; only a draft that was thought of is billed."""

SPOILT: Mapping[str, Callable[[bytes], bytes]] = {
    "bad-bytes": lambda data: data[:40] + b"\x5a" * 4000,
    "cut": lambda data: data[: len(data) // 2],
    "html-picture": lambda _: wrong.CRASH_PAGE.encode(),
    "zero-byte": lambda _: b"",
    "bomb": lambda _: bomb(),
}
"""What stands in the place of a picture."""


class FakeGoogle:
    """Both APIs, with one ledger. ``hold`` keeps requests that were taken waiting."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.faults = Faults()
        self.recorder = Recorder(SECRET)
        self.hold = asyncio.Event()
        self.hold.set()
        self.working = 0
        """How many requests were taken and are not answered."""
        self.url = self.tokens_url = self.elsewhere_url = ""
        self.token_lifetime_s = 3600
        self.tokens: list[str] = []
        """Those that were given out; only the last one counts."""
        self.token_fault = 0
        """The status of the next answers of the token server; 0 for good ones."""
        self._runners: list[web.AppRunner] = []

    @property
    def developer_url(self) -> str:
        """What the operator writes as ``base_url`` for the Developer API."""
        return f"{self.url}/v1beta"

    @property
    def vertex_url(self) -> str:
        """What the operator writes as ``base_url`` for Vertex AI."""
        return f"{self.url}/v1/projects/{PROJECT}/locations/{LOCATION}/publishers/google"

    async def start(self) -> None:
        """Listen."""
        calls = [web.post("/{version}/{path:.*}", self._call)]
        self.url = await self._serve("api", calls, may_have_secret=True)
        self.tokens_url = await self._serve("tokens", [web.post("/token", self._token)], may_have_secret=False)
        elsewhere = [web.route("*", "/{path:.*}", self._elsewhere)]
        self.elsewhere_url = await self._serve("elsewhere", elsewhere, may_have_secret=False)

    async def stop(self) -> None:
        """Listen no longer."""
        self.hold.set()
        for runner in self._runners:
            await runner.cleanup()

    def calls(self) -> list[Json]:
        """Return the bodies that arrived at the API, in order."""
        return [json.loads(arrival.body) for arrival in self.recorder.to("api")]

    def service_account(self, private_key: str) -> Json:
        """Return what stands in a service account's file."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "limner@acme-project.iam.gserviceaccount.com",
            "token_uri": f"{self.tokens_url}/token",
        }

    async def _serve(self, name: str, routes: list[web.RouteDef], *, may_have_secret: bool) -> str:
        recording = self.recorder.middleware(name, may_have_secret=may_have_secret)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[recording])
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    # Both APIs.

    async def _call(self, request: web.Request) -> web.StreamResponse:
        path, _, method = request.match_info["path"].rpartition(":")
        scope, _, model = path.rpartition("models/")
        vertex = scope == f"projects/{PROJECT}/locations/{LOCATION}/publishers/google/"
        if request.match_info["version"] not in ("v1", "v1beta", "v1beta1") or (scope and not vertex):
            return web.Response(status=404, text="<html>404. That’s an error.</html>", content_type="text/html")
        if (refused := self._unauthorised(request, vertex=vertex)) is not None:
            return refused
        if model not in MODELS or method != "generateContent":
            return error(404, "NOT_FOUND", _not_found(model, request.match_info["version"]))
        return await self._generate(request, model, vertex=vertex)

    def _unauthorised(self, request: web.Request, *, vertex: bool) -> web.Response | None:
        if vertex:
            valid = self.tokens and request.headers.get("Authorization") == f"Bearer {self.tokens[-1]}"
            return None if valid else NOT_TAKEN["401"]()
        given = request.headers.get("x-goog-api-key")
        if given is None:
            return error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        return None if given == KEY else _key_invalid()

    async def _generate(self, request: web.Request, model: str, *, vertex: bool) -> web.StreamResponse:
        try:
            wish = understood(MODELS[model], json.loads(await request.read()), vertex=vertex)
        except (InvalidArgumentError, ValueError, KeyError) as wrong_request:
            return error(400, "INVALID_ARGUMENT", str(wrong_request))
        fault = self.faults.next(wish.prompt)
        if fault.name == "429":
            return BUSY[fault.value]()
        if fault.name == "redirect" and fault.value:
            return web.Response(status=int(fault.value), headers={"Location": f"{self.elsewhere_url}/v1beta"})
        if fault.name in NOT_TAKEN:
            return NOT_TAKEN[fault.name]()
        return await self._taken(request, model, wish, fault)

    async def _taken(self, request: web.Request, model: str, wish: Wish, fault: Fault) -> web.StreamResponse:
        response_id = uuid.uuid4().hex
        self.ledger.buy(response_id, model, 1, wish.prompt)
        self.working += 1
        try:
            await self.hold.wait()
            if fault.name in ("delay", "stall"):
                await asyncio.sleep(float(fault.value or 3600))
        finally:
            self.working -= 1
        if fault.name in FAILED:
            return FAILED[fault.name]()
        answer = self._made(model, wish, fault) | {"modelVersion": model, "responseId": response_id}
        if not _has_picture(answer):
            self.ledger.refund(response_id)
        return await self._sent(request, json.dumps(answer).encode(), fault)

    def _made(self, model: str, wish: Wish, fault: Fault) -> Json:
        """Return the answer without its envelope, in every way that it can lack a picture or hold a bad one."""
        if fault.name in PICTURELESS:
            return PICTURELESS[fault.name](fault.value)
        words = [{"text": "Here is what you asked for."}] if wish.words else []
        content_type = MODELS[model].content_type
        if fault.name == "file-uri":
            uri = f"{self.elsewhere_url}/picture.png"
            return _answer([*words, {"fileData": {"mimeType": content_type, "fileUri": uri}}], "STOP")
        data = picture(colour_of(wish.prompt, wish.seed, 0), *wish.size, content_type.removeprefix("image/"))
        if fault.name == "large":
            content_type, data = "image/png", large(int(fault.value))
        if fault.name == "mislabelled":
            content_type = "image/png" if content_type == "image/jpeg" else "image/jpeg"
        encoded = base64.b64encode(SPOILT.get(fault.name, bytes)(data)).decode()
        if fault.name == "bad-base64":
            encoded = "!!!" + encoded[3:]
        thoughts = _thoughts() if model == "gemini-3-pro-image" else []
        return _answer([*thoughts, *words, _inline(content_type, encoded)], "STOP")

    async def _sent(self, request: web.Request, body: bytes, fault: Fault) -> web.StreamResponse:
        """Send a good answer, in every way that this can go wrong."""
        match fault.name:
            case "drop":
                return await wrong.drop(request)
            case "truncate":
                return await wrong.truncate(request, body, "application/json")
            case "prefix":
                return web.Response(body=body[: len(body) // 2], content_type="application/json")
            case "drip":
                return await wrong.drip(request, body, "application/json", pause_s=0.05)
            case "huge":
                return await wrong.flood(request, HUGE_BYTES, "application/json")
        return web.Response(body=body, content_type="application/json")

    # The other servers.

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if self.token_fault:
            return web.json_response({"error": "invalid_grant"}, status=self.token_fault)
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        self.tokens.append(f"ya29.{SECRET}-token-{len(self.tokens) + 1}")
        answer = {"access_token": self.tokens[-1], "expires_in": self.token_lifetime_s, "token_type": "Bearer"}
        return web.json_response(answer)

    async def _elsewhere(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=picture((200, 16, 16), 64, 64), content_type="image/png")


def _not_found(model: str, version: str) -> str:
    if model in RETIRED:
        return f"models/{model} is no longer available. Please use a newer model."
    return f"models/{model} is not found for API version {version}, or is not supported for generateContent."


def _inline(content_type: str, data: str) -> Json:
    return {"inlineData": {"mimeType": content_type, "data": data}}


def _thoughts() -> list[Json]:
    draft = base64.b64encode(picture((1, 1, 1), 64, 64)).decode()
    return [{"text": "First, a draft.", "thought": True}, _inline("image/png", draft) | {"thought": True}]


def _answer(parts: list[Json], finish_reason: str, **more: str) -> Json:
    content = {"content": {"role": "model", "parts": parts}} if parts else {}
    usage = _usage(1290 if finish_reason == "STOP" else 0)
    return {"candidates": [{**content, "finishReason": finish_reason, "index": 0, **more}], "usageMetadata": usage}


def _usage(candidates: int) -> Json:
    return {"promptTokenCount": 9, "candidatesTokenCount": candidates, "totalTokenCount": 9 + candidates}


def _has_picture(answer: Json) -> bool:
    parts = [part for each in answer.get("candidates", []) for part in each.get("content", {}).get("parts", [])]
    return any(part.keys() & {"inlineData", "fileData"} for part in parts)


@lru_cache(maxsize=1)
def large(mebibytes: int) -> bytes:
    """Return a whole PNG of about so many MiB, whose pixels are stored without compression."""
    edge = 2048
    rows = (mebibytes << 20) // (1 + 3 * edge)
    return png(edge, rows, idat=zlib.compress(bytes((1 + 3 * edge) * rows), 0))


@asynccontextmanager
async def fake_google() -> AsyncIterator[FakeGoogle]:
    """Run a Google of one's own."""
    google = FakeGoogle()
    await google.start()
    try:
        yield google
    finally:
        await google.stop()


def main() -> None:
    """Run one until its standard input ends; the first line that it prints is the Developer API's address."""
    asyncio.run(_run())


async def _run() -> None:
    async with fake_google() as google:
        print(google.developer_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    main()
