"""fal.ai on loopback: the queue, the storage that inputs are uploaded to, and the CDN that serves results.

Three servers, as there are three hosts: ``api`` (queue and storage, wants the key), ``cdn`` (public: a request
that carries the key is a leak), ``elsewhere`` (a host that nobody has business with). How a request goes wrong
is said by a fault (``faults.py``): a line of the tables below, or a case where the request is handled.
"""

import asyncio
import base64
import io
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from PIL import Image

from tests.fakes import faults as wrong
from tests.fakes.fal_schema import ENDPOINTS, GPT_SIZES, PRESETS, Endpoint, problem
from tests.fakes.faults import Fault, Faults
from tests.fakes.ledger import Ledger
from tests.fakes.pictures import BLACK, bomb, colour_of, picture
from tests.fakes.recorder import Recorder

KEY = "11111111-fake:fal-key-secret"
CDN_TOKEN = "short-lived-cdn-token"
MAX_BODY_BYTES = 80 << 20
HUGE_BYTES = 66 << 20
"""More than any picture of ours may have."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(kind: str, message: str, status: int = 422, **ctx: object) -> web.Response:
    """Answer as a model does that refuses: with a list, and the echo of the input."""
    return web.json_response(
        {"detail": [problem("prompt", kind, message, "<echo of the prompt>", **ctx)]}, status=status
    )


def failure(kind: str, message: str, status: int, **headers: str) -> web.Response:
    """Answer as the platform does when it fails."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(
        {"detail": message, "error_type": kind}, status=status, headers={"X-Fal-Error-Type": kind} | named
    )


def detail(status: int, message: str, **headers: str) -> web.Response:
    """Answer with a plain text as ``detail``."""
    return web.json_response(
        {"detail": message}, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


_LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."

BUSY: Mapping[str, Callable[[], web.Response]] = {
    "retry-after": lambda: detail(429, "Too many requests", Retry_After="1"),
    "date": lambda: detail(429, "Too many requests", Retry_After=wrong.in_seconds(1)),
    "ms": lambda: detail(429, "Too many requests", retry_after_ms="40"),
    "text": lambda: detail(429, "Rate limit reached, please try again in 40ms."),
    "none": lambda: detail(429, "Too many requests"),
    "concurrent": lambda: failure("concurrent_requests_limit", "Too many at once", 429, X_Fal_Needs_Retry="1"),
    "retryable": lambda: failure("concurrent_requests_limit", "Too many at once", 429, X_Fal_Retryable="true"),
    "never": lambda: failure("concurrent_requests_limit", "Too many at once", 429, X_Fal_Retryable="false"),
    "long": lambda: detail(429, "Too many requests", Retry_After="900"),
}
"""A 429, with every form of hint."""

NOT_TAKEN: Mapping[str, Callable[[], web.Response]] = {
    "401": lambda: detail(401, "Invalid authentication credentials"),
    "403": lambda: detail(403, "Access denied"),
    "no-credit": lambda: detail(403, _LOCKED),
    "404": lambda: detail(404, "Application not found"),
    "400": lambda: failure("bad_request", "Bad request", 400),
    "413": lambda: wrong.html(413, "<html><center>nginx</center></html>"),
    "503-hint": lambda: failure("runner_scheduling_failure", "No runner", 503, Retry_After="1", X_Fal_Needs_Retry="1"),
    "503": lambda: failure("runner_scheduling_failure", "No runner", 503),
    "nginx": lambda: wrong.html(502, wrong.BAD_GATEWAY_PAGE),
    "redirect-submit": lambda: web.Response(status=307, headers={"Location": "http://localhost:9/"}),
}
"""Submissions that are not accepted, so that nothing is bought."""

FAILED: Mapping[str, Callable[[], web.Response]] = {
    "refused": lambda: refusal("content_policy_violation", "The content could not be processed: it was flagged."),
    "no-media": lambda: refusal("no_media_generated", "The model returned no media."),
    "bad-input": lambda: refusal("image_load_error", "Failed to load the image."),
    "too-large": lambda: refusal("image_too_large", "Image too large", max_width=4096, max_height=4096),
    "422-text": lambda: detail(422, "The request could not be processed."),
    "422-old": lambda: refusal("value_error.missing", "field required"),
    "422-ours": lambda: web.json_response(
        {"detail": [problem("num_images", "less_than_equal", "ensure this value is less than or equal to 4", 5, le=4)]},
        status=422,
    ),
    "downstream": lambda: refusal("downstream_service_error", "Downstream service error", 400),
    "crash": lambda: refusal("internal_server_error", "Internal server error", 500),
    "crash-untold": lambda: refusal("internal_server_error", "Internal server error", 500),
    "timeout": lambda: refusal("generation_timeout", "Generation took too long", 504),
    "runner": lambda: failure("runner_disconnected", "Runner disconnected", 503),
    "never-began": lambda: failure("request_timeout", "Request timed out", 504, X_Fal_Request_Timeout_Type="user"),
    "result-401": lambda: detail(401, "Invalid authentication credentials"),
    "result-html": lambda: wrong.html(500),
}
"""Jobs that were accepted and then fail; a 5xx is not billed."""


@dataclass(slots=True)
class Job:
    """One accepted request."""

    id: str
    app: str
    endpoint: str
    body: Mapping[str, Any]
    fault: Fault
    began_at: float = field(default_factory=time.monotonic)
    withdrawn: bool = False
    hiccups: int = 0
    """How many answers about it went wrong already."""
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class File:
    """What the CDN serves under a name."""

    data: bytes
    content_type: str
    fault: Fault = field(default_factory=Fault)


WRONG_PICTURES: Mapping[str, Callable[[File], web.Response]] = {
    "picture-403": lambda _: web.Response(status=403),
    "picture-404": lambda _: web.Response(status=404),
    "picture-503": lambda _: web.Response(status=503),
    "picture-html": lambda file: web.Response(body=wrong.CRASH_PAGE.encode(), content_type=file.content_type),
    "picture-type": lambda file: web.Response(body=file.data, content_type="application/octet-stream"),
    "picture-cut": lambda file: web.Response(body=file.data[: len(file.data) // 2], content_type=file.content_type),
    "picture-noise": lambda file: web.Response(body=file.data[:40] + b"Z" * 4000, content_type=file.content_type),
    "picture-empty": lambda file: web.Response(content_type=file.content_type),
    "picture-bomb": lambda _: web.Response(body=bomb(), content_type="image/png"),
    "picture-loop": lambda file: web.Response(status=302, headers={"Location": "?again"}),
}
"""Answers of the CDN that are wrong as a whole."""


class FakeFal:
    """fal.ai. Jobs wait ``queue_s`` and work ``work_s`` seconds, or as long as ``hold`` is on."""

    def __init__(self, *, queue_s: float = 0.01, work_s: float = 0.01) -> None:
        self.ledger = Ledger()
        self.faults = Faults()
        self.recorder = Recorder(KEY)
        self.jobs: dict[str, Job] = {}
        self.unknown_fields: dict[str, set[str]] = {}
        """Fields that an endpoint was sent and does not know."""
        self.queue_s, self.work_s = queue_s, work_s
        self.hold = False
        self.url = self.cdn_url = self.elsewhere_url = ""
        self._files: dict[str, File] = {}
        self._runners: list[web.AppRunner] = []

    @property
    def cdn_host(self) -> str:
        """Host and port of the CDN."""
        return self.cdn_url.removeprefix("http://")

    async def start(self) -> None:
        """Listen."""
        self.url = await self._serve("api", self._api_routes(), may_have_secret=True)
        self.cdn_url = await self._serve("cdn", self._cdn_routes(), may_have_secret=False)
        self.elsewhere_url = await self._serve(
            "elsewhere", [web.get("/{path:.*}", self._elsewhere)], may_have_secret=False
        )

    async def stop(self) -> None:
        """Listen no longer."""
        for runner in self._runners:
            await runner.cleanup()

    def submissions(self) -> list[tuple[str, dict[str, Any]]]:
        """Return endpoint and body of each accepted submission, in order."""
        return [(job.endpoint, dict(job.body)) for job in self.jobs.values()]

    async def _serve(self, name: str, routes: list[web.RouteDef], *, may_have_secret: bool) -> str:
        recording = self.recorder.middleware(name, may_have_secret=may_have_secret)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[recording])
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _api_routes(self) -> list[web.RouteDef]:
        of_job = "/{owner}/{app}/requests/{id}"
        return [
            web.post("/storage/auth/token", self._guarded(self._token)),
            web.post("/storage/upload/initiate", self._guarded(self._initiate)),
            web.get(f"{of_job}/status", self._guarded(self._status)),
            web.get(f"{of_job}/status/stream", self._guarded(self._status_stream)),
            web.get(of_job, self._guarded(self._result)),
            web.get(f"{of_job}/response", self._guarded(self._result)),
            web.put(f"{of_job}/cancel", self._guarded(self._cancel)),
            web.post("/{endpoint:.*}", self._guarded(self._submit)),
        ]

    def _cdn_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/files/{name}", self._file),
            web.post("/files/upload", self._upload),
            web.put("/files/put/{name}", self._put),
        ]

    def _guarded(self, handler: Answer) -> Answer:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Key {KEY}":
                return detail(401, "Invalid authentication credentials")
            return await handler(request)

        return guarded

    # Submitting.

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        endpoint = request.match_info["endpoint"]
        if endpoint not in ENDPOINTS:
            return detail(404, f"Application {endpoint} not found")
        body = json.loads(await request.read())
        fault = self.faults.next(str(body.get("prompt", "")))
        if fault.name == "429":
            return BUSY[fault.value]()
        if fault.name in NOT_TAKEN:
            return NOT_TAKEN[fault.name]()
        waiting = sum(self._state(job) == "IN_QUEUE" for job in self.jobs.values())
        if waiting > int(request.query.get("fal_max_queue_length", 10**6)):
            return detail(429, "Queue is full")
        return await self._taken(request, self._accept(endpoint, body, fault))

    def _accept(self, endpoint: str, body: Mapping[str, Any], fault: Fault) -> Job:
        job = Job(str(uuid.uuid4()), "/".join(endpoint.split("/")[:2]), endpoint, body, fault)
        self.jobs[job.id] = job
        if unknown := ENDPOINTS[endpoint].unknown(body):
            self.unknown_fields.setdefault(endpoint, set()).update(unknown)
        self.ledger.buy(job.id, endpoint, int(body.get("num_images", 1)), str(body.get("prompt", "")))
        return job

    async def _taken(self, request: web.Request, job: Job) -> web.StreamResponse:
        """Answer a submission that was accepted, in every way that this can go wrong."""
        ticket = self._ticket(job, status="IN_QUEUE", queue_position=0)
        match job.fault.name:
            case "drop":
                return await wrong.drop(request)
            case "truncated-submit":
                return await wrong.truncate(request, json.dumps(ticket).encode(), "application/json")
            case "html-500":
                return wrong.html(500)
            case "html-200":
                return wrong.html(200)
            case "no-id":
                return web.json_response({"status": "IN_QUEUE"})
            case "slow-submit":
                await asyncio.sleep(float(job.fault.value))
            case "foreign-urls":
                ticket = {k: str(v).replace(self.url, self.elsewhere_url) for k, v in ticket.items()}
            case "id-only":
                ticket = {"request_id": job.id, "status": "IN_QUEUE"}
        return web.json_response(ticket, headers={"x-fal-request-id": job.id})

    def _ticket(self, job: Job, **more: object) -> dict[str, Any]:
        address = f"{self.url}/{job.app}/requests/{job.id}"
        urls = {"response_url": address, "status_url": f"{address}/status", "cancel_url": f"{address}/cancel"}
        return {"request_id": job.id, **urls, **more}

    # Waiting.

    def _job(self, request: web.Request) -> Job | None:
        job = self.jobs.get(request.match_info["id"])
        app = f"{request.match_info['owner']}/{request.match_info['app']}"
        return job if job is not None and job.app == app and job.fault.name != "gone" else None

    def _state(self, job: Job) -> str:
        if job.withdrawn:
            return "COMPLETED"
        if job.fault.name == "stuck":
            return "IN_QUEUE"
        age = time.monotonic() - job.began_at
        if age < self.queue_s:
            return "IN_QUEUE"
        if job.fault.name == "endless" or self.hold or age < self.queue_s + self.work_s:
            return "IN_PROGRESS"
        return "COMPLETED"

    def _described(self, job: Job, *, logs: bool) -> dict[str, Any]:
        state = self._state(job)
        told: dict[str, Any] = {"status": "PAUSED" if job.fault.name == "odd-status" else state}
        if state == "IN_QUEUE":
            told["queue_position"] = 0
        else:
            line = {"message": "working", "level": "INFO", "source": "USER", "timestamp": "2026-11-01T00:00:00Z"}
            told["logs"] = [line] if logs else None
        if state == "COMPLETED":
            told["metrics"] = {"inference_time": self.work_s}
            told |= self._told_failure(job)
        return self._ticket(job, **told)

    def _told_failure(self, job: Job) -> dict[str, str]:
        if job.withdrawn:
            return {"error": "Request cancelled", "error_type": "client_cancelled"}
        answer = self._failed(job)
        if answer is None or job.fault.name.endswith("-untold"):
            return {}
        return {
            "error": f"Invalid status code: {answer.status}",
            "error_type": answer.headers.get("X-Fal-Error-Type", ""),
        }

    async def _status(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if job.fault.name.startswith("status-") and job.hiccups < int(job.fault.value or 1):
            job.hiccups += 1
            return await self._status_gone_wrong(request, job.fault.name)
        told = self._described(job, logs=request.query.get("logs") in ("1", "true"))
        return web.json_response(told, status=200 if told["status"] == "COMPLETED" else 202)

    async def _status_gone_wrong(self, request: web.Request, name: str) -> web.StreamResponse:
        if name == "status-drop":
            return await wrong.drop(request)
        if name == "status-429":
            return BUSY["ms"]()
        return wrong.html(502, wrong.BAD_GATEWAY_PAGE)

    async def _status_stream(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        state, told = "", {}
        while state != "COMPLETED":
            told = self._described(job, logs=True)
            if told["status"] != state:
                state = told["status"]
                await response.write(f"data: {json.dumps(told)}\n\n".encode())
            await asyncio.sleep(0.005)
        return response

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        state = self._state(job)
        if state == "COMPLETED":
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        job.withdrawn = True
        if state == "IN_PROGRESS":
            return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)
        self.ledger.refund(job.id)
        return web.json_response({"status": "OK"})

    # Results.

    async def _result(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if self._state(job) != "COMPLETED":
            return detail(400, "Request is still in progress")
        if job.withdrawn:
            return failure("client_cancelled", "Request cancelled", 499)
        if job.fault.name.startswith("result-") and job.hiccups < int(job.fault.value or 1):
            job.hiccups += 1
            gone_wrong = await self._result_gone_wrong(request, job)
            if gone_wrong is not None:
                return gone_wrong
        answer = self._failed(job)
        if answer is not None:
            return answer
        return web.json_response(self._made(job), headers={"x-fal-request-id": job.id})

    async def _result_gone_wrong(self, request: web.Request, job: Job) -> web.StreamResponse | None:
        match job.fault.name:
            case "result-drop":
                return await wrong.drop(request)
            case "result-truncated":
                return await wrong.truncate(request, json.dumps(self._made(job)).encode(), "application/json")
            case "result-nginx":
                return wrong.html(502, wrong.BAD_GATEWAY_PAGE)
            case "result-early":
                return detail(400, "Request is still in progress")
            case "result-nonsense":
                return web.json_response(["what", "is", "this"])
        return None

    def _failed(self, job: Job) -> web.Response | None:
        """Return how the job failed, or ``None``."""
        problems = ENDPOINTS[job.endpoint].problems(job.body)
        problems += [self._unloadable(url) for url in self._inputs(job) if self._load(url) is None]
        if problems:
            self.ledger.refund(job.id)
            return web.json_response({"detail": problems}, status=422)
        make = FAILED.get(job.fault.name)
        if make is None:
            return None
        answer = make()
        if answer.status >= 500:
            self.ledger.refund(job.id)
        return answer

    def _unloadable(self, url: str) -> dict[str, Any]:
        return problem("image_url", "file_download_error", "Failed to download the file.", url)

    def _inputs(self, job: Job) -> list[str]:
        single = [job.body[name] for name in ("image_url", "mask_url", "mask_image_url") if name in job.body]
        return [*single, *job.body.get("image_urls", [])]

    def _load(self, url: str) -> bytes | None:
        """Return an input picture: a data URI, or what was uploaded. fal would fetch any public address."""
        if url.startswith("data:image/"):
            with suppress(ValueError):
                return base64.b64decode(url.partition(";base64,")[2], validate=True)
        file = self._files.get(url.removeprefix(f"{self.cdn_url}/files/"))
        return file.data if file is not None else None

    def _made(self, job: Job) -> Mapping[str, Any]:
        if job.result is None:
            job.result = self._make(job, ENDPOINTS[job.endpoint])
        return job.result

    def _make(self, job: Job, endpoint: Endpoint) -> Mapping[str, Any]:
        body, fault = job.body, job.fault
        count = 1 if endpoint.factor else int(body.get("num_images", 1))
        if fault.name == "short":
            count -= int(fault.value)
        if fault.name == "more":
            count += int(fault.value)
        black = [fault.name == "nsfw" and fault.hits(index) for index in range(count)]
        images: list[Any] = [self._image(job, endpoint, index, black[index]) for index in range(count)]
        if fault.name == "empty":
            images, black = [], []
        if fault.name == "null":
            images = [None for _ in images]
        if fault.name == "bare":
            images = [image["url"] for image in images]
        told: dict[str, Any] = {"image": images[0] if images else None} if endpoint.factor else {"images": images}
        beside = {
            "seed": body.get("seed", 4242),
            "timings": {"inference": self.work_s},
            "prompt": body.get("prompt", ""),
            "has_nsfw_concepts": black,
            "description": f"Here is {body.get('prompt', '')}",
        }
        return told | {name: beside[name] for name in endpoint.answer}

    def _image(self, job: Job, endpoint: Endpoint, index: int, black: bool) -> dict[str, Any]:
        body = job.body
        colour = BLACK if black else colour_of(str(body.get("prompt", "")), body.get("seed"), index)
        width, height = self._size(job, endpoint)
        to = str(body.get("output_format", endpoint.default_format)).replace("jpg", "jpeg")
        data, content_type, fault = picture(colour, width, height, to), f"image/{to}", job.fault
        if fault.name == "mislabelled" and fault.hits(index):
            data = picture(colour, width, height, "jpeg" if to != "jpeg" else "png")
        name = f"{uuid.uuid4().hex}.{to}"
        meant = fault.name.startswith("picture-") and fault.hits(index)
        self._files[name] = File(data, content_type, fault if meant else Fault())
        described = {"url": f"{self.cdn_url}/files/{name}", "content_type": content_type, "file_name": name}
        described["url"] = self._other_address(fault, index) or described["url"]
        if body.get("sync_mode"):
            described["url"] = f"data:{content_type};base64,{base64.b64encode(data).decode()}"
        sizes = {"width": width, "height": height} if endpoint.measures else {}
        return {**described, "file_size": len(data), **sizes}

    def _other_address(self, fault: Fault, index: int) -> str:
        """Return an address that nobody may fetch, when the fault says so."""
        addresses = {
            "internal-url": f"{self.elsewhere_url}/secret.png",
            "metadata-url": "http://169.254.169.254/latest/meta-data/",
            "private-url": "https://10.0.0.1/picture.png",
            "file-url": "file:///etc/passwd",
            "foreign-url": "https://pictures.example.com/picture.png",
        }
        return addresses.get(fault.name, "") if fault.name in addresses and fault.hits(index) else ""

    def _size(self, job: Job, endpoint: Endpoint) -> tuple[int, int]:
        body = job.body
        if endpoint.factor:
            width, height = self._input_size(job)
            factor = float(body.get(endpoint.factor, endpoint.default_factor))
            return round(width * factor), round(height * factor)
        size = body.get("image_size")
        if isinstance(size, dict):
            return int(size["width"]), int(size["height"])
        if size in PRESETS or size in GPT_SIZES:
            return (PRESETS | GPT_SIZES)[size]
        ratio = body.get("aspect_ratio", body.get("resolution_mode", ""))
        if ":" in ratio:
            across, down = (int(each) for each in ratio.split(":"))
            edge = 1024 / max(across, down)
            return round(across * edge), round(down * edge)
        return self._input_size(job) if self._inputs(job) else endpoint.default_size

    def _input_size(self, job: Job) -> tuple[int, int]:
        data = self._load(self._inputs(job)[0])
        assert data is not None
        with Image.open(io.BytesIO(data)) as opened:
            return opened.size

    # Storage and CDN.

    async def _token(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("storage_type") != "fal-cdn-v3":
            return detail(400, "Unknown storage type")
        expires_at = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        told = {"token": CDN_TOKEN, "token_type": "Bearer", "base_url": self.cdn_url, "expires_at": expires_at}
        return web.json_response(told)

    async def _initiate(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        name = f"{uuid.uuid4().hex}-{asked['file_name']}"
        return web.json_response(
            {"upload_url": f"{self.cdn_url}/files/put/{name}", "file_url": f"{self.cdn_url}/files/{name}"}
        )

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {CDN_TOKEN}":
            return detail(401, "Unauthorized")
        name = f"{uuid.uuid4().hex}-{request.headers.get('X-Fal-File-Name', 'upload.bin')}"
        self._files[name] = File(await request.read(), request.content_type)
        return web.json_response({"access_url": f"{self.cdn_url}/files/{name}"})

    async def _put(self, request: web.Request) -> web.StreamResponse:
        self._files[request.match_info["name"]] = File(await request.read(), request.content_type)
        return web.Response()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.match_info["name"])
        if "Authorization" in request.headers:
            return detail(403, "Credentials are not wanted here")
        if file is None:
            return web.Response(status=404)
        return await self._served(request, file)

    async def _served(self, request: web.Request, file: File) -> web.StreamResponse:
        """Serve a file, in every way that this can go wrong."""
        if file.fault.name in WRONG_PICTURES:
            return WRONG_PICTURES[file.fault.name](file)
        match file.fault.name:
            case "picture-truncated":
                return await wrong.truncate(request, file.data, file.content_type)
            case "picture-drop":
                return await wrong.drop(request)
            case "picture-drip":
                return await wrong.drip(request, file.data, file.content_type, pause_s=0.05)
            case "picture-huge":
                return await wrong.flood(request, HUGE_BYTES, file.content_type)
            case "picture-redirect":
                raise web.HTTPFound(f"{self.elsewhere_url}/picture.png")
            case "picture-moved" if "moved" not in request.query:
                raise web.HTTPTemporaryRedirect(f"{request.path}?moved=1")
        return web.Response(body=file.data, content_type=file.content_type)

    async def _elsewhere(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=picture((200, 16, 16), 64, 64), content_type="image/png")


@asynccontextmanager
async def fake_fal(**options: float) -> AsyncIterator[FakeFal]:
    """Run a fal of one's own."""
    fal = FakeFal(**options)
    await fal.start()
    try:
        yield fal
    finally:
        await fal.stop()
