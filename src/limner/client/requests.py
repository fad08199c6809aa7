"""What callers may ask for, beside what they must."""

from typing import TypeAlias, TypedDict, TypeVar

from imageservice.v1 import image_service_pb2 as pb

from limner.client.connection import new_request_id

Task: TypeAlias = pb.GenerateImagesRequest | pb.EditImagesRequest | pb.UpscaleImageRequest
"""One task of ``run``; its ``workspace_id`` is filled in by the client."""


class UpscaleOptions(TypedDict, total=False):
    """What an upscale may be asked for; what is left out or ``None`` is the service's default."""

    output_format: str | None
    """``png``, ``jpeg`` or ``webp``; by default the model's own where it is one of these."""
    request_id: str | None
    """The idempotency key: 1 to 128 characters; a new one by default."""


class TaskOptions(TypedDict, total=False):
    """What a generation or an edit may be asked for; what is left out or ``None`` is the service's default."""

    num_images: int | None
    """1 to 10; 1 by default."""
    aspect_ratio: str | None
    """Such as ``16:9``; ``1:1`` by default, for edits ``auto``."""
    output_format: str | None
    """``png``, ``jpeg`` or ``webp``; by default the model's own where it is one of these."""
    model_id: str | None
    """An id of ``models``."""
    seed: int | None
    """0 to 2**32 - 1, for models with seeds."""
    request_id: str | None
    """The idempotency key: 1 to 128 characters; a new one by default."""


class ListOptions(TypedDict, total=False):
    """Which images a list shows."""

    generation_id: str
    created_by_user_id: str
    page_size: int
    """Images that one call fetches; 50 by default, at most 200."""


O = TypeVar("O", TaskOptions, UpscaleOptions)  # noqa: E741


def keyed(options: O) -> O:
    """Return the options with an idempotency key: the caller's, or a new one."""
    options["request_id"] = options.get("request_id") or new_request_id()
    return options


def run_request(workspace: str, task: Task) -> pb.RunTaskRequest:
    """Return the request that runs a task in a workspace, under the task's idempotency key or a new one."""
    kept, task = task, type(task)()
    task.CopyFrom(kept)  # type: ignore[arg-type]  # of the same type
    task.request_id = task.request_id or new_request_id()
    if isinstance(task, pb.GenerateImagesRequest):
        return pb.RunTaskRequest(workspace_id=workspace, generate=task)
    if isinstance(task, pb.EditImagesRequest):
        return pb.RunTaskRequest(workspace_id=workspace, edit=task)
    return pb.RunTaskRequest(workspace_id=workspace, upscale=task)


def key_of(request: pb.RunTaskRequest) -> str:
    """Return the idempotency key of a task that is run."""
    task: Task = getattr(request, request.WhichOneof("task") or "generate")
    return task.request_id
