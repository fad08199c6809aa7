"""What callers may ask for, beside what they must."""

from typing import TypeAlias, TypedDict

from imageservice.v1 import image_service_pb2 as pb

Task: TypeAlias = pb.GenerateImagesRequest | pb.EditImagesRequest | pb.UpscaleImageRequest
"""One task of ``run``; its ``workspace_id`` is filled in by the client."""


class UpscaleOptions(TypedDict, total=False):
    """What an upscale may be asked for; what is left out or ``None`` is the service's default."""

    output_format: str | None
    """``png`` (default), ``jpeg`` or ``webp``."""


class TaskOptions(TypedDict, total=False):
    """What a generation or an edit may be asked for; what is left out or ``None`` is the service's default."""

    num_images: int | None
    """1 to 10; 1 by default."""
    aspect_ratio: str | None
    """Such as ``16:9``; ``1:1`` by default, for edits ``auto``."""
    output_format: str | None
    """``png`` (default), ``jpeg`` or ``webp``."""
    model_id: str | None
    """An id of ``models``."""
    seed: int | None
    """0 to 2**32 - 1, for models with seeds."""


class ListOptions(TypedDict, total=False):
    """Which images a list shows."""

    generation_id: str
    created_by_user_id: str
    page_size: int
    """Images that one call fetches; 50 by default, at most 200."""


def run_request(workspace: str, task: Task) -> pb.RunTaskRequest:
    """Return the request that runs a task in a workspace."""
    if isinstance(task, pb.GenerateImagesRequest):
        return pb.RunTaskRequest(workspace_id=workspace, generate=task)
    if isinstance(task, pb.EditImagesRequest):
        return pb.RunTaskRequest(workspace_id=workspace, edit=task)
    return pb.RunTaskRequest(workspace_id=workspace, upscale=task)
