"""Between protobuf messages and the domain. No decisions are made here."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias, TypeVar
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from imageservice.v1 import image_pb2, image_service_pb2

from limner.domain import image, task, usage
from limner.domain.errors import FieldViolation, InvalidFieldError, QuotaExceededError
from limner.domain.model import ModelCapabilities
from limner.rpc.status import status_of_failure
from limner.service import events
from limner.service.addresses import SignedAddress
from limner.service.drafts import TaskDraft

TaskResponse = TypeVar(
    "TaskResponse",
    image_service_pb2.GenerateImagesResponse,
    image_service_pb2.EditImagesResponse,
    image_service_pb2.UpscaleImageResponse,
)

TaskRequest: TypeAlias = (
    image_service_pb2.GenerateImagesRequest
    | image_service_pb2.EditImagesRequest
    | image_service_pb2.UpscaleImageRequest
)

_STATES = {
    task.GenerationState.RUNNING: image_pb2.Generation.RUNNING,
    task.GenerationState.SUCCEEDED: image_pb2.Generation.SUCCEEDED,
    task.GenerationState.FAILED: image_pb2.Generation.FAILED,
    task.GenerationState.CANCELLED: image_pb2.Generation.CANCELLED,
    task.GenerationState.UNKNOWN: image_pb2.Generation.FAILED,
}
_EPOCH_ORDINAL = datetime(1970, 1, 1).toordinal()


def generate_draft(request: image_service_pb2.GenerateImagesRequest) -> TaskDraft:
    """Read a generate request."""
    return TaskDraft(
        operation=task.Operation.GENERATE,
        model_id=request.model_id,
        prompt=request.prompt,
        num_images=request.num_images if request.HasField("num_images") else None,
        aspect_ratio=request.aspect_ratio,
        output_format=request.output_format,
        seed=request.seed if request.HasField("seed") else None,
    )


def edit_draft(request: image_service_pb2.EditImagesRequest) -> TaskDraft:
    """Read an edit request."""
    return TaskDraft(
        operation=task.Operation.EDIT,
        model_id=request.model_id,
        prompt=request.prompt,
        image_ids=tuple(request.image_ids),
        num_images=request.num_images if request.HasField("num_images") else None,
        aspect_ratio=request.aspect_ratio,
        output_format=request.output_format,
        seed=request.seed if request.HasField("seed") else None,
    )


def upscale_draft(request: image_service_pb2.UpscaleImageRequest) -> TaskDraft:
    """Read an upscale request."""
    return TaskDraft(
        operation=task.Operation.UPSCALE,
        model_id=request.model_id,
        image_ids=(request.image_id,),
        output_format=request.output_format,
        upscale_factor=request.upscale_factor,
    )


def request_id(request: TaskRequest) -> str | None:
    """Read the idempotency key of a task request; ``None`` when it has none."""
    return request.request_id if request.HasField("request_id") else None


def run_request(
    request: image_service_pb2.RunTaskRequest,
) -> TaskRequest:
    """Return the one task of the request; raise ``InvalidFieldError`` when there is none, or two workspaces."""
    kind = request.WhichOneof("task")
    if kind is None:
        raise InvalidFieldError([FieldViolation("task", "one of generate, edit and upscale is required")])
    inner: str = getattr(request, kind).workspace_id
    if inner not in ("", request.workspace_id):
        raise InvalidFieldError([FieldViolation(f"{kind}.workspaceId", "must be empty or as in the path")])
    task_request: TaskRequest = getattr(request, kind)
    return task_request


def draft(request: TaskRequest) -> TaskDraft:
    """Read a task request."""
    if isinstance(request, image_service_pb2.GenerateImagesRequest):
        return generate_draft(request)
    if isinstance(request, image_service_pb2.EditImagesRequest):
        return edit_draft(request)
    return upscale_draft(request)


def task_response(response: type[TaskResponse], generation: task.Generation) -> TaskResponse:
    """Write the answer of a task call."""
    return response(
        images=map(image_message, generation.images),
        generation_id=generation.id,
        description=generation.description,
        detail=task_detail(generation),
        state=image_pb2.Generation.RUNNING if generation.state is task.GenerationState.RUNNING else None,
    )


def event_message(event: events.Event) -> image_service_pb2.RunTaskEvent:
    """Write one event."""
    message = image_service_pb2.RunTaskEvent
    match event:
        case events.Queued(generation_id):
            return message(queued=message.Queued(generation_id=generation_id))
        case events.Progress(fraction):
            return message(progress=message.Progress(fraction=fraction))
        case events.Preview(index, data, content_type):
            return message(preview=message.Preview(index=index, data=data, content_type=content_type))
        case events.Finished(finished):
            return message(image=image_message(finished))
        case events.Completed(generation):
            return message(completed=generation_message(generation))


def image_message(source: image.Image) -> image_pb2.Image:
    """Write the facts about an image."""
    path = f"/v1/workspaces/{_path_part(source.workspace_id)}/images/{source.id}/content"
    return _image_message(source, path)


def generation_message(source: task.Generation) -> image_pb2.Generation:
    """Write a generation."""
    failure = source.failure
    return image_pb2.Generation(
        generation_id=source.id,
        workspace_id=source.workspace_id,
        created_by_user_id=source.created_by_user_id,
        operation=source.operation.value,
        model=source.model,
        prompt=source.prompt,
        state=_STATES[source.state],
        images=map(image_message, source.images),
        input_images=(_input_message(source.id, each) for each in source.inputs),
        description=source.description,
        detail=task_detail(source),
        error=failure and status_of_failure(failure),
        may_bill=source.may_bill,
        created_at=_timestamp(source.created_at),
        updated_at=_timestamp(source.updated_at),
    )


def model_message(source: ModelCapabilities, unready_reason: str, default_for: Iterable[str]) -> image_pb2.Model:
    """Write a model of the catalogue."""
    return image_pb2.Model(
        id=source.id,
        description=source.description,
        operations=(each.value for each in source.operations),
        aspect_ratios=source.aspect_ratios,
        output_formats=(each.value for each in source.output_formats),
        max_images=source.max_images,
        max_input_images=source.max_input_images,
        upscale_factors=source.upscale_factors,
        seeds=source.seeds,
        max_prompt_chars=source.max_prompt_chars,
        price_usd=None if source.price_usd is None else float(source.price_usd),
        ready=not unready_reason,
        unready_reason=unready_reason,
        default_for=default_for,
    )


def usage_message(source: usage.Usage) -> image_pb2.Usage:
    """Write what a workspace used, and may use."""
    quota = source.quota
    return image_pb2.Usage(
        workspace_id=source.workspace_id,
        month=source.month,
        images=image_pb2.Usage.Images(limit=quota.images, used=source.images_used, reserved=source.images_reserved),
        money=image_pb2.Usage.Money(
            currency="USD",
            limit=None if quota.cost_micros is None else quota.cost_micros / 1_000_000,
            used=source.cost_used_micros / 1_000_000,
            reserved=source.cost_reserved_micros / 1_000_000,
        ),
    )


def list_filter(request: image_service_pb2.ListImagesRequest) -> image.ImageFilter:
    """Read which images a list shows."""
    return image.ImageFilter(generation_id=request.generation_id, created_by_user_id=request.created_by_user_id)


def content_message(data: bytes, content_type: str) -> HttpBody:
    """Write a part of a picture."""
    return HttpBody(content_type=content_type, data=data)


def _input_message(generation_id: str, source: image.Image) -> image_pb2.Image:
    path = f"/v1/workspaces/{_path_part(source.workspace_id)}/generations/{generation_id}/inputs/{source.id}/content"
    return _image_message(source, path)


def address_message(address: SignedAddress) -> image_service_pb2.SignContentUrlResponse:
    """Write a signed address."""
    return image_service_pb2.SignContentUrlResponse(url=address.url, expires_at=_timestamp(address.expires_at))


def _image_message(source: image.Image, content_path: str) -> image_pb2.Image:
    created_at = _timestamp(source.created_at)
    updated_at = created_at if source.updated_at == source.created_at else _timestamp(source.updated_at)
    return image_pb2.Image(
        id=source.id,
        generation_id=source.generation_id,
        workspace_id=source.workspace_id,
        created_by_user_id=source.created_by_user_id,
        prompt=source.prompt,
        model=source.model,
        parameters=_struct(source.parameters),
        input_image_ids=source.input_image_ids,
        image_width=source.width,
        image_height=source.height,
        image_size=source.size_bytes,
        created_at=created_at,
        updated_at=updated_at,
        links=image_pb2.Image.Links(content=content_path),
    )


@lru_cache(maxsize=1024)
def _path_part(text: str) -> str:
    return quote(text, safe="")


def _struct(parameters: image.Parameters) -> Struct:
    values = {
        name: Value(string_value=value) if isinstance(value, str) else Value(number_value=value)
        for name, value in parameters.items()
    }
    return Struct(fields=values)


def _timestamp(at: datetime) -> Timestamp:
    days = at.toordinal() - _EPOCH_ORDINAL
    seconds = ((days * 24 + at.hour) * 60 + at.minute) * 60 + at.second
    return Timestamp(seconds=seconds, nanos=at.microsecond * 1000)


def task_detail(generation: task.Generation) -> image_pb2.TaskDetail | None:
    """Write the warning of a generation that made fewer images than asked, or unmarked ones; else ``None``."""
    if generation.state is not task.GenerationState.SUCCEEDED or not (generation.missing or generation.unmarked):
        return None
    made = generation.requested_images - len(generation.missing)
    over_quota = any(each.reason == QuotaExceededError.reason for each in generation.missing)
    unmarked = len(generation.unmarked)
    sentences = (
        f"{made} of {generation.requested_images} images were made." if generation.missing else "",
        f"{unmarked} of {made} images could not be marked." if unmarked else "",
    )
    return image_pb2.TaskDetail(
        code="PARTIAL_QUOTA" if over_quota else "PARTIAL_RESULT" if generation.missing else "UNMARKED_RESULT",
        message=" ".join(filter(None, sentences)),
        requested_images=generation.requested_images,
        created_images=made,
        missing_images=(
            image_pb2.TaskDetail.MissingImage(index=each.index, reason=each.reason, message=each.message)
            for each in generation.missing
        ),
        unmarked_images=(
            image_pb2.TaskDetail.UnmarkedImage(image_id=each.image_id, message=each.message)
            for each in generation.unmarked
        ),
    )
