"""A gRPC server behind the gateway that does what a request says, and remembers what reached it.

The prompt is an order: ``fail NOT_FOUND``, ``fail NOT_FOUND after-metadata``, ``strange`` (an error whose details
nobody knows), ``wait 2``; anything else succeeds. The image id is one too: ``missing``, or ``bytes-SIZE-CHUNK``.
"""
# ruff: noqa: N802 gRPC names the methods

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NoReturn

import grpc
from google.api import httpbody_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import ServicerContext
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from imageservice.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, provenance_pb2
from imageservice.v1.image_service_pb2_grpc import ImageServiceServicer

from limner.domain.errors import InvalidFieldError
from limner.domain.limits import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MIB
from limner.rpc.status import DETAILS_KEY, status_of
from limner.rpc.violations import found_by_gateway

Context = ServicerContext[Any, Any]
ETAG = '"0123456789abcdef"'
CACHE_CONTROL = "private, max-age=31536000, immutable"
OWN_REQUEST_ID = "the-service-says"


class StandIn(ImageServiceServicer):
    """The service as the gateway sees it."""

    def __init__(self) -> None:
        self.requests: list[Message] = []
        self.calls = 0
        self.metadata: Mapping[str, str] = {}

    async def note(self, request: Message, context: Context) -> None:
        """Remember a request, and refuse it when the gateway found it wrong."""
        self.requests = [request]
        self.calls += 1
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        if found := found_by_gateway(context):
            status = status_of(InvalidFieldError(found))
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, status.message, ((DETAILS_KEY, status.SerializeToString()),)
            )

    async def GenerateImages(
        self, request: image_service_pb2.GenerateImagesRequest, context: Context
    ) -> image_service_pb2.GenerateImagesResponse:
        await self.note(request, context)
        await obey(request.prompt, context)
        await context.send_initial_metadata((("x-request-id", OWN_REQUEST_ID),))
        image = image_pb2.Image(id="1", workspace_id=request.workspace_id, prompt=request.prompt)
        return image_service_pb2.GenerateImagesResponse(images=[image])

    async def EditImages(
        self, request: image_service_pb2.EditImagesRequest, context: Context
    ) -> image_service_pb2.EditImagesResponse:
        await self.note(request, context)
        return image_service_pb2.EditImagesResponse()

    async def RunTask(
        self, request: image_service_pb2.RunTaskRequest, context: Context
    ) -> AsyncIterator[image_service_pb2.RunTaskEvent]:
        await self.note(request, context)
        await obey(request.generate.prompt, context)
        yield image_service_pb2.RunTaskEvent(queued=image_service_pb2.RunTaskEvent.Queued(generation_id="g"))
        yield image_service_pb2.RunTaskEvent(progress=image_service_pb2.RunTaskEvent.Progress(fraction=0.5))
        await obey(request.generate.prompt.removeprefix("later "), context)
        yield image_service_pb2.RunTaskEvent(completed=image_pb2.Generation(generation_id="g"))

    async def UploadImage(self, request: image_service_pb2.UploadImageRequest, context: Context) -> image_pb2.Image:
        await self.note(request, context)
        return image_pb2.Image(id="1", workspace_id=request.workspace_id, image_size=len(request.picture.data))

    async def VerifyImage(
        self, request: image_service_pb2.VerifyImageRequest, context: Context
    ) -> provenance_pb2.Provenance:
        await self.note(request, context)
        return provenance_pb2.Provenance()

    async def GetProvenance(
        self, request: image_service_pb2.GetProvenanceRequest, context: Context
    ) -> provenance_pb2.Provenance:
        await self.note(request, context)
        return provenance_pb2.Provenance()

    async def GetImage(self, request: image_service_pb2.GetImageRequest, context: Context) -> image_pb2.Image:
        await self.note(request, context)
        return image_pb2.Image(id=request.image_id, workspace_id=request.workspace_id)

    async def ListImages(
        self, request: image_service_pb2.ListImagesRequest, context: Context
    ) -> image_service_pb2.ListImagesResponse:
        await self.note(request, context)
        images = [image_pb2.Image(prompt="é" * 32_000)] * request.page_size
        return image_service_pb2.ListImagesResponse(images=images)

    async def UpscaleImage(
        self, request: image_service_pb2.UpscaleImageRequest, context: Context
    ) -> image_service_pb2.UpscaleImageResponse:
        await self.note(request, context)
        return image_service_pb2.UpscaleImageResponse()

    async def GetGeneration(
        self, request: image_service_pb2.GetGenerationRequest, context: Context
    ) -> image_pb2.Generation:
        await self.note(request, context)
        return image_pb2.Generation(generation_id=request.generation_id)

    async def CancelGeneration(
        self, request: image_service_pb2.CancelGenerationRequest, context: Context
    ) -> image_pb2.Generation:
        await self.note(request, context)
        return image_pb2.Generation(generation_id=request.generation_id, state=image_pb2.Generation.CANCELLED)

    async def ListModels(
        self, request: image_service_pb2.ListModelsRequest, context: Context
    ) -> image_service_pb2.ListModelsResponse:
        await self.note(request, context)
        return image_service_pb2.ListModelsResponse()

    async def GetUsage(self, request: image_service_pb2.GetUsageRequest, context: Context) -> image_pb2.Usage:
        await self.note(request, context)
        return image_pb2.Usage()

    async def DeleteImage(self, request: image_service_pb2.DeleteImageRequest, context: Context) -> empty_pb2.Empty:
        await self.note(request, context)
        return empty_pb2.Empty()

    async def SignContentUrl(
        self, request: image_service_pb2.SignContentUrlRequest, context: Context
    ) -> image_service_pb2.SignContentUrlResponse:
        await self.note(request, context)
        return image_service_pb2.SignContentUrlResponse(url=self.metadata["x-limner-origin"])

    async def GetImageContent(
        self, request: image_service_pb2.GetImageContentRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        await self.note(request, context)
        if request.image_id == "missing":
            await fail(context, grpc.StatusCode.NOT_FOUND)
        size, chunk = map(int, request.image_id.split("-")[1:])
        length = ("x-content-length", str(size))
        await context.send_initial_metadata((("etag", ETAG), ("cache-control", CACHE_CONTROL), length))
        message = httpbody_pb2.HttpBody(content_type="image/png", data=b"x" * chunk)
        for _ in range(size // chunk):
            yield message


async def obey(prompt: str, context: Context) -> None:
    """Fail or wait as a prompt orders."""
    order, *rest = prompt.split(" ") if prompt else [""]
    if order == "wait":
        await asyncio.sleep(float(rest[0]))
    if order == "strange":
        await fail(context, grpc.StatusCode.NOT_FOUND, details=[any_pb2.Any(type_url="type.googleapis.com/no.Such")])
    if order == "fail":
        if "after-metadata" in rest:
            await context.send_initial_metadata((("x-request-id", OWN_REQUEST_ID), ("retry-after", "2")))
        await fail(context, grpc.StatusCode[rest[0]])


async def fail(context: Context, code: grpc.StatusCode, *, details: Sequence[any_pb2.Any] = ()) -> NoReturn:
    """End the call as the service does: a rich status, its facts in the trailing metadata."""
    number = int(code.value[0])
    status = status_pb2.Status(code=number, message=f'{code.name} "ü" \n', details=details or usual_details())
    trailing = (("grpc-status-details-bin", status.SerializeToString()), ("retry-after", "2"))
    await context.abort(code, status.message, trailing)


def usual_details() -> list[any_pb2.Any]:
    """Return one of each detail that the service uses."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason="OVERLOADED", domain="imageservice", metadata={"key": 'a "value"'}),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2)),
        error_details_pb2.BadRequest(
            field_violations=[error_details_pb2.BadRequest.FieldViolation(field="prompt", description="is bad")]
        ),
    ]
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    return packed


async def serve(address: str = "127.0.0.1:0") -> tuple[grpc.aio.Server, StandIn, str]:
    """Start the stand-in, on a free port where none is given; return it with its address."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", 64 * MIB),
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ]
    )
    stand_in = StandIn()
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(stand_in, server)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME, "imageservice.v1.ImageService"), server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, stand_in, f"127.0.0.1:{port}"
