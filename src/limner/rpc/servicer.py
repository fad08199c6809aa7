"""The calls: read the request, ask the service, write the answer."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from imageservice.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, provenance_pb2

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import Operation
from limner.rpc import mapping, page_token
from limner.rpc.call import Context, current_call, current_caller, header_values
from limner.rpc.provenance import provenance_message
from limner.rpc.violations import Violations, found_by_gateway
from limner.service.addresses import DEFAULT_TTL_S, SignedAddresses
from limner.service.catalogue import Catalogue
from limner.service.contents import Contents
from limner.service.drafts import TaskDraft, checked
from limner.service.idempotency import claim_of
from limner.service.library import ImageLibrary
from limner.service.provenance import ProvenanceReader
from limner.service.tasks import Asked, TaskRunner

_NO_MODEL: Final = "\0"


class ImageServicer(image_service_pb2_grpc.ImageServiceServicer):
    """``imageservice.v1.ImageService``. Every call was authorised before it gets here."""

    def __init__(
        self,
        tasks: TaskRunner,
        library: ImageLibrary,
        catalogue: Catalogue,
        contents: Contents,
        addresses: SignedAddresses,
        provenance: ProvenanceReader,
    ) -> None:
        self._tasks = tasks
        self._library = library
        self._contents = contents
        self._addresses = addresses
        self._catalogue = catalogue
        self._provenance = provenance

    async def GenerateImages(
        self, request: image_service_pb2.GenerateImagesRequest, context: Context
    ) -> image_service_pb2.GenerateImagesResponse:
        """Generate images from a prompt."""
        return await self._do(request, context, image_service_pb2.GenerateImagesResponse)

    async def EditImages(
        self, request: image_service_pb2.EditImagesRequest, context: Context
    ) -> image_service_pb2.EditImagesResponse:
        """Edit existing images by a prompt."""
        return await self._do(request, context, image_service_pb2.EditImagesResponse)

    async def UpscaleImage(
        self, request: image_service_pb2.UpscaleImageRequest, context: Context
    ) -> image_service_pb2.UpscaleImageResponse:
        """Make an image larger."""
        return await self._do(request, context, image_service_pb2.UpscaleImageResponse)

    async def RunTask(
        self, request: image_service_pb2.RunTaskRequest, context: Context
    ) -> AsyncIterator[image_service_pb2.RunTaskEvent]:
        """Run one task and tell how it goes."""
        wrong = Violations(found_by_gateway(context))
        with wrong.gathering():
            asked = self._asked(mapping.run_request(request), request.workspace_id, context)
        wrong.refuse()
        async for event in self._tasks.events(replace(asked, watched=True)):
            yield mapping.event_message(event)

    async def GetGeneration(
        self, request: image_service_pb2.GetGenerationRequest, context: Context
    ) -> image_pb2.Generation:
        """Answer a generation."""
        return mapping.generation_message(await self._tasks.generation(request.workspace_id, request.generation_id))

    async def CancelGeneration(
        self, request: image_service_pb2.CancelGenerationRequest, context: Context
    ) -> image_pb2.Generation:
        """Cancel a running generation."""
        generation = await self._tasks.cancel(current_caller(), request.workspace_id, request.generation_id)
        return mapping.generation_message(generation)

    async def UploadImage(self, request: image_service_pb2.UploadImageRequest, context: Context) -> image_pb2.Image:
        """Keep a picture of the caller's own."""
        image = await self._library.upload(current_caller(), request.workspace_id, request.picture.data)
        return mapping.image_message(image)

    async def GetImage(self, request: image_service_pb2.GetImageRequest, context: Context) -> image_pb2.Image:
        """Answer the facts about an image."""
        return mapping.image_message(await self._library.image(request.workspace_id, request.image_id))

    async def ListImages(
        self, request: image_service_pb2.ListImagesRequest, context: Context
    ) -> image_service_pb2.ListImagesResponse:
        """List the images of a workspace."""
        workspace_id, where, token = request.workspace_id, mapping.list_filter(request), request.page_token
        wrong = Violations(found_by_gateway(context))
        with wrong.gathering():
            limit = _page_size(request.page_size)
        with wrong.gathering():
            after = page_token.decode(token, workspace_id, where) if token else None
        wrong.refuse()
        page = await self._library.images(workspace_id, where, after, limit)
        next_token = page_token.encode(page.next, workspace_id, where) if page.next else ""
        images = map(mapping.image_message, page.images)
        return image_service_pb2.ListImagesResponse(images=images, next_page_token=next_token)

    async def DeleteImage(self, request: image_service_pb2.DeleteImageRequest, context: Context) -> Empty:
        """Delete an image."""
        await self._library.delete(current_caller(), request.workspace_id, request.image_id)
        return Empty()

    async def GetImageContent(
        self, request: image_service_pb2.GetImageContentRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Stream the bytes of an image."""
        content = await self._contents.find(
            request.workspace_id,
            request.image_id,
            request.generation_id,
            width=request.width,
            format_name=request.format,
        )
        size_bytes, chunks = await self._contents.stream(content)
        current_call().headers += (
            ("etag", f'"{content.etag}"'),
            ("cache-control", "private, max-age=31536000, immutable"),
            ("x-content-length", str(size_bytes)),
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                yield mapping.content_message(chunk, content.content_type)

    async def SignContentUrl(
        self, request: image_service_pb2.SignContentUrlRequest, context: Context
    ) -> image_service_pb2.SignContentUrlResponse:
        """Make an address of an image that needs no token."""
        address = await self._addresses.sign(
            request.workspace_id,
            request.image_id,
            ttl_s=request.ttl_seconds if request.HasField("ttl_seconds") else DEFAULT_TTL_S,
            width=request.width,
            format_name=request.format,
            origin=current_call().origin,
        )
        return mapping.address_message(address)

    async def GetProvenance(
        self, request: image_service_pb2.GetProvenanceRequest, context: Context
    ) -> provenance_pb2.Provenance:
        """Tell the marks of an image."""
        return provenance_message(await self._provenance.of_image(request.workspace_id, request.image_id))

    async def VerifyImage(
        self, request: image_service_pb2.VerifyImageRequest, context: Context
    ) -> provenance_pb2.Provenance:
        """Tell the marks of a picture that is not kept."""
        return provenance_message(await self._provenance.of_picture(request.workspace_id, request.picture.data))

    async def ListModels(
        self, request: image_service_pb2.ListModelsRequest, context: Context
    ) -> image_service_pb2.ListModelsResponse:
        """List the models of the catalogue."""
        return image_service_pb2.ListModelsResponse(
            models=(
                mapping.model_message(
                    model.capabilities, model.unready_reason(), self._defaults_of(model.capabilities.id)
                )
                for model in self._catalogue
            )
        )

    async def GetUsage(self, request: image_service_pb2.GetUsageRequest, context: Context) -> image_pb2.Usage:
        """Answer what a workspace used this month."""
        return mapping.usage_message(await self._library.usage(request.workspace_id))

    async def _do(
        self, request: mapping.TaskRequest, context: Context, response: type[mapping.TaskResponse]
    ) -> mapping.TaskResponse:
        """Answer a task call when its images are there, or at once when the caller prefers so (RFC 7240)."""
        asked = self._asked(request, request.workspace_id, context)
        if _prefers_async(context):
            return mapping.task_response(response, await self._tasks.begin(asked))
        return mapping.task_response(response, await self._tasks.run(asked))

    def _asked(self, request: mapping.TaskRequest, workspace_id: str, context: Context) -> Asked:
        """Read a task request; raise ``InvalidFieldError`` when the gateway found it wrong, or its key is."""
        wrong = Violations(found := found_by_gateway(context))
        draft = mapping.draft(request)
        keys = [] if found else header_values(context, "idempotency-key")
        claim = None
        with wrong.gathering():
            claim = claim_of(draft, mapping.request_id(request), keys[0] if keys else None)
        if wrong:
            self._add_wrong_fields(draft, wrong)
            wrong.refuse()
        return Asked(caller=current_caller(), workspace_id=workspace_id, draft=draft, claim=claim)

    def _add_wrong_fields(self, draft: TaskDraft, wrong: Violations) -> None:
        """Add what the task runner would say. Where the model's name is wrong, no model's limits count."""
        with wrong.gathering():
            checked(replace(draft, model_id=_NO_MODEL) if "modelId" in wrong else draft, self._catalogue)

    def _defaults_of(self, model_id: str) -> list[str]:
        return [each.value for each in Operation if self._catalogue.default_id(each) == model_id]


def _prefers_async(context: Context) -> bool:
    preferences = ",".join(header_values(context, "prefer")).split(",")
    return any(each.strip().lower() == "respond-async" for each in preferences)


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidFieldError([FieldViolation("pageSize", "must not be negative")])
    return min(asked or limits.DEFAULT_PAGE_SIZE, limits.MAX_PAGE_SIZE)
