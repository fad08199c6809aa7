"""A small ImageService for the tests of its clients: real gRPC on a real port, pictures in memory.

Prompts decide what happens, so that every outcome can be asked for over the wire.
"""
# ruff: noqa: N802 gRPC names the methods

import asyncio
import io
import threading
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self, TypeVar

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import empty_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from imageservice.v1 import image_pb2, image_service_pb2_grpc, provenance_pb2
from imageservice.v1 import image_service_pb2 as pb
from PIL import Image as Pillow

TOKEN = "good-token"
WORKSPACE = "acme"
USER = "ada"

REFUSED = "refused"
BUSY = "busy"
BROKEN = "broken"
PARTIAL = "partial"
SLOW = "slow"
"""Runs until the caller goes away, after half of the work."""

_CHUNK_BYTES = 4096

R = TypeVar("R", pb.GenerateImagesResponse, pb.EditImagesResponse, pb.UpscaleImageResponse)


class StandIn(image_service_pb2_grpc.ImageServiceServicer):
    """The service. ``address`` is where it listens once it was entered; it runs in a thread of its own."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.address = ""
        self.images: dict[str, image_pb2.Image] = {}
        self.contents: dict[str, bytes] = {}
        self.generations: dict[str, image_pb2.Generation] = {}
        self.tasks: list[pb.RunTaskRequest] = []
        self.calls: dict[str, list[dict[str, str]]] = defaultdict(list)
        """The metadata of each call, by method."""
        self.page_sizes: list[int] = []
        self.running = threading.Event()
        """A slow task has begun."""
        self.left = threading.Event()
        """The caller of a slow task went away."""
        self._credentials = credentials
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", 21 * 1024 * 1024)])
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(self, self._server)
        if self._credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("localhost:0", self._credentials)
        self.address = f"127.0.0.1:{port}" if self._credentials is None else f"localhost:{port}"
        await self._server.start()

    def keep(self, data: bytes, **facts: Any) -> image_pb2.Image:
        """Keep a picture, and return it as the service describes it."""
        image = image_pb2.Image(
            id=uuid.uuid4().hex, workspace_id=WORKSPACE, created_by_user_id=USER, image_size=len(data), **facts
        )
        image.image_width, image.image_height = Pillow.open(io.BytesIO(data)).size
        image.created_at.FromJsonString("2026-11-23T06:43:00Z")
        image.updated_at.CopyFrom(image.created_at)
        image.links.content = f"/v1/workspaces/{WORKSPACE}/images/{image.id}/content"
        self.images[image.id], self.contents[image.id] = image, data
        return image

    async def GenerateImages(self, request: Any, context: Any) -> pb.GenerateImagesResponse:
        await self._admit("GenerateImages", context, request.workspace_id)
        return _response(pb.GenerateImagesResponse, await self._made(request, "generate", context))

    async def EditImages(self, request: Any, context: Any) -> pb.EditImagesResponse:
        await self._admit("EditImages", context, request.workspace_id)
        return _response(pb.EditImagesResponse, await self._made(request, "edit", context))

    async def UpscaleImage(self, request: Any, context: Any) -> pb.UpscaleImageResponse:
        await self._admit("UpscaleImage", context, request.workspace_id)
        return _response(pb.UpscaleImageResponse, await self._made(request, "upscale", context))

    async def RunTask(self, request: Any, context: Any) -> AsyncIterator[pb.RunTaskEvent]:
        await self._admit("RunTask", context, request.workspace_id)
        self.tasks.append(request)
        operation = request.WhichOneof("task")
        task = getattr(request, operation)
        await _check(task, context)
        generation = image_pb2.Generation(
            generation_id=uuid.uuid4().hex,
            workspace_id=WORKSPACE,
            operation=operation,
            state=image_pb2.Generation.RUNNING,
        )
        self.generations[generation.generation_id] = generation
        yield pb.RunTaskEvent(queued=pb.RunTaskEvent.Queued(generation_id=generation.generation_id))
        yield pb.RunTaskEvent(progress=pb.RunTaskEvent.Progress(fraction=0.5))
        if _prompt(task) == SLOW:
            await self._wait_for_caller_to_leave()
        try:
            self._finish(generation, task)
        except _RefusedError as error:
            generation.state = image_pb2.Generation.FAILED
            generation.error.CopyFrom(error.status)
            yield pb.RunTaskEvent(completed=generation)
            await _abort(context, error.status)
        yield pb.RunTaskEvent(preview=pb.RunTaskEvent.Preview(content_type="image/png", data=png(8, 8)))
        for image in generation.images:
            yield pb.RunTaskEvent(image=image)
        yield pb.RunTaskEvent(progress=pb.RunTaskEvent.Progress(fraction=1.0))
        yield pb.RunTaskEvent(completed=generation)

    async def GetGeneration(self, request: Any, context: Any) -> image_pb2.Generation:
        await self._admit("GetGeneration", context, request.workspace_id)
        return await self._generation(request.generation_id, context)

    async def CancelGeneration(self, request: Any, context: Any) -> image_pb2.Generation:
        await self._admit("CancelGeneration", context, request.workspace_id)
        generation = await self._generation(request.generation_id, context)
        if generation.state == image_pb2.Generation.RUNNING:
            generation.state = image_pb2.Generation.CANCELLED
            generation.may_bill = True
        return generation

    async def UploadImage(self, request: Any, context: Any) -> image_pb2.Image:
        await self._admit("UploadImage", context, request.workspace_id)
        try:
            return self.keep(request.picture.data)
        except OSError:
            violation = ("picture", "is no PNG, JPEG or WebP picture")
            await _abort(context, error_status("INVALID_ARGUMENT", "INVALID_FIELD", violations=[violation]))
            raise

    async def GetProvenance(self, request: Any, context: Any) -> provenance_pb2.Provenance:
        await self._admit("GetProvenance", context, request.workspace_id)
        await self._image(request.image_id, context)
        return _unmarked()

    async def VerifyImage(self, request: Any, context: Any) -> provenance_pb2.Provenance:
        await self._admit("VerifyImage", context, request.workspace_id)
        return _unmarked()

    async def GetImage(self, request: Any, context: Any) -> image_pb2.Image:
        await self._admit("GetImage", context, request.workspace_id)
        return await self._image(request.image_id, context)

    async def ListImages(self, request: Any, context: Any) -> pb.ListImagesResponse:
        await self._admit("ListImages", context, request.workspace_id)
        self.page_sizes.append(request.page_size)
        shown = [each for each in reversed(self.images.values()) if _fits(each, request)]
        start, size = int(request.page_token or 0), min(request.page_size or 50, 200)
        more = str(start + size) if start + size < len(shown) else ""
        return pb.ListImagesResponse(images=shown[start : start + size], next_page_token=more)

    async def DeleteImage(self, request: Any, context: Any) -> empty_pb2.Empty:
        await self._admit("DeleteImage", context, request.workspace_id)
        await self._image(request.image_id, context)
        del self.images[request.image_id]
        return empty_pb2.Empty()

    async def GetImageContent(self, request: Any, context: Any) -> AsyncIterator[HttpBody]:
        await self._admit("GetImageContent", context, request.workspace_id)
        await self._image(request.image_id, context)
        data = self.contents[request.image_id]
        for start in range(0, len(data), _CHUNK_BYTES):
            yield HttpBody(content_type="image/png", data=data[start : start + _CHUNK_BYTES])
        if b"torn" in data:
            await _abort(context, error_status("UNAVAILABLE", "STORAGE_UNAVAILABLE", "The storage is not available."))

    async def SignContentUrl(self, request: Any, context: Any) -> pb.SignContentUrlResponse:
        await self._admit("SignContentUrl", context, request.workspace_id)
        return pb.SignContentUrlResponse(url=f"/v1/content/{request.image_id}")

    async def ListModels(self, request: Any, context: Any) -> pb.ListModelsResponse:
        await self._admit("ListModels", context)
        return pb.ListModelsResponse(models=[SKETCH, UNREADY, REALESRGAN])

    async def GetUsage(self, request: Any, context: Any) -> image_pb2.Usage:
        await self._admit("GetUsage", context, request.workspace_id)
        return image_pb2.Usage(
            workspace_id=WORKSPACE,
            month="2026-11",
            images=image_pb2.Usage.Images(limit=100, used=7),
            money=image_pb2.Usage.Money(currency="USD", used=0.28),
        )

    async def _admit(self, method: str, context: Any, workspace_id: str = WORKSPACE) -> None:
        metadata = dict(context.invocation_metadata())
        self.calls[method].append(metadata)
        context.set_trailing_metadata((("x-request-id", metadata["x-request-id"]),))
        if "authorization" not in metadata:
            status = error_status("UNAUTHENTICATED", "CREDENTIALS_MISSING", "This call needs an access token.")
            await _abort(context, status)
        if metadata["authorization"] != f"Bearer {TOKEN}":
            status = error_status("UNAUTHENTICATED", "CREDENTIALS_INVALID", "The access token is not accepted.")
            await _abort(context, status)
        if workspace_id != WORKSPACE:
            status = error_status("PERMISSION_DENIED", "PERMISSION_DENIED", "You are no member of this workspace.")
            await _abort(context, status)

    async def _image(self, image_id: str, context: Any) -> image_pb2.Image:
        if image_id not in self.images:
            await _abort(context, error_status("NOT_FOUND", "IMAGE_NOT_FOUND", "There is no such image."))
        return self.images[image_id]

    async def _generation(self, generation_id: str, context: Any) -> image_pb2.Generation:
        if generation_id not in self.generations:
            await _abort(context, error_status("NOT_FOUND", "GENERATION_NOT_FOUND", "There is no such generation."))
        return self.generations[generation_id]

    async def _made(self, task: Any, operation: str, context: Any) -> image_pb2.Generation:
        await _check(task, context)
        if _prompt(task) == SLOW:
            await self._wait_for_caller_to_leave()
        generation = image_pb2.Generation(generation_id=uuid.uuid4().hex, workspace_id=WORKSPACE, operation=operation)
        try:
            self._finish(generation, task)
        except _RefusedError as error:
            await _abort(context, error.status)
        return generation

    def _finish(self, generation: image_pb2.Generation, task: Any) -> None:
        prompt = _prompt(task)
        if prompt == REFUSED:
            raise _RefusedError
        asked = getattr(task, "num_images", 0) or 1
        made = asked - 1 if prompt == PARTIAL else asked
        for _ in range(made):
            image = self.keep(
                png(64, 48, getattr(task, "output_format", "") or "png"),
                generation_id=generation.generation_id,
                prompt=prompt,
                model=task.model_id or SKETCH.id,
                input_image_ids=_inputs(task),
            )
            image.parameters.update({"aspectRatio": "1:1", "numImages": asked})
            generation.images.append(image)
        if made < asked:
            _note_missing(generation, asked, made)
        generation.state = image_pb2.Generation.SUCCEEDED

    async def _wait_for_caller_to_leave(self) -> None:
        self.running.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.left.set()
            raise


SKETCH = image_pb2.Model(
    id="sketch",
    description="Draws icons.",
    operations=["generate", "edit"],
    aspect_ratios=["1:1", "16:9"],
    output_formats=["png", "jpeg", "webp"],
    max_images=10,
    max_input_images=4,
    seeds=True,
    max_prompt_chars=32_000,
    price_usd=0,
    ready=True,
    default_for=["generate", "edit"],
)
REALESRGAN = image_pb2.Model(
    id="realesrgan-x4plus",
    description="Upscales.",
    operations=["upscale"],
    output_formats=["png", "jpeg", "webp"],
    max_images=1,
    max_input_images=1,
    upscale_factors=[2, 3, 4],
    ready=True,
)
UNREADY = image_pb2.Model(
    id="realesr-animevideo",
    description="Upscales drawings.",
    operations=["upscale"],
    max_images=1,
    max_input_images=1,
    upscale_factors=[2, 3, 4],
    unready_reason="the weights are missing",
)


class _RefusedError(Exception):
    status = None

    def __init__(self) -> None:
        self.status = error_status("INVALID_ARGUMENT", "CONTENT_REJECTED", "The provider refuses this prompt.")


def error_status(
    code: str,
    reason: str,
    message: str = "",
    *,
    metadata: dict[str, str] | None = None,
    violations: Sequence[tuple[str, str]] = (),
    retry_after_s: float = 0,
) -> status_pb2.Status:
    """Return an error as the service puts it."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="imageservice", metadata=metadata or {})]
    if violations:
        fields = [{"field": field, "description": text} for field, text in violations]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
        message = "; ".join(f"{field}: {text}" for field, text in violations)
    if retry_after_s:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(retry_after_s * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    for each in details:
        packed = AnyMessage()
        packed.Pack(each)
        status.details.append(packed)
    return status


def png(width: int, height: int, kind: str = "png") -> bytes:
    """Return a small picture, one that does not compress to nothing."""
    picture = Pillow.effect_noise((width, height), 40).convert("RGB")
    with io.BytesIO() as file:
        picture.save(file, kind.upper())
        return file.getvalue()


async def _check(task: Any, context: Any) -> None:
    prompt = _prompt(task)
    if hasattr(task, "prompt") and not prompt:
        wrong = [("prompt", "must not be empty"), ("numImages", "must be 1 to 10")]
        await _abort(context, error_status("INVALID_ARGUMENT", "INVALID_FIELD", violations=wrong))
    if prompt == BUSY:
        await _abort(
            context, error_status("RESOURCE_EXHAUSTED", "OVERLOADED", "Too much is in flight.", retry_after_s=1.5)
        )
    if prompt == BROKEN:
        request_id = dict(context.invocation_metadata())["x-request-id"]
        await _abort(context, error_status("INTERNAL", "INTERNAL", "A bug.", metadata={"requestId": request_id}))


async def _abort(context: Any, status: Any) -> None:
    code = next(each for each in grpc.StatusCode if each.value[0] == status.code)
    request_id = dict(context.invocation_metadata())["x-request-id"]
    trailers = (("grpc-status-details-bin", status.SerializeToString()), ("x-request-id", request_id))
    await context.abort(code, status.message, trailers)


def _response(kind: type[R], generation: image_pb2.Generation) -> R:
    detail = generation.detail if generation.HasField("detail") else None
    return kind(images=generation.images, generation_id=generation.generation_id, detail=detail)


def _note_missing(generation: image_pb2.Generation, asked: int, made: int) -> None:
    detail = generation.detail
    detail.code, detail.message = "PARTIAL_RESULT", f"{made} of {asked} images were made."
    detail.requested_images, detail.created_images = asked, made
    detail.missing_images.add(index=made, reason="PROVIDER_UNAVAILABLE", message="The model is not available now.")


def _prompt(task: Any) -> str:
    return str(getattr(task, "prompt", ""))


def _inputs(task: Any) -> list[str]:
    if isinstance(task, pb.UpscaleImageRequest):
        return [task.image_id]
    return list(getattr(task, "image_ids", ()))


def _fits(image: image_pb2.Image, request: Any) -> bool:
    return request.generation_id in {"", image.generation_id} and request.created_by_user_id in {
        "",
        image.created_by_user_id,
    }


def _unmarked() -> provenance_pb2.Provenance:
    mark = provenance_pb2.Mark(kind=provenance_pb2.Mark.C2PA, state=provenance_pb2.Mark.ABSENT, by="unknown")
    return provenance_pb2.Provenance(marks=[mark], source_type=provenance_pb2.Provenance.UNKNOWN)
