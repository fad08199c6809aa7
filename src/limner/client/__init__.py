"""The typed client of the service: ``Client`` for ordinary code, ``AsyncClient`` for an event loop.

    from limner.client import Client

    with Client("127.0.0.1:50051", token=token, workspace="acme") as client:
        made = client.generate("a lighthouse at dusk", num_images=2)
        for image in made.images:
            client.download(image.id, Path("out"))

Answers are the messages of the proto files, with types. Failures are ``LimnerClientError``.
"""

from imageservice.v1.image_pb2 import Generation, Image, Model, Usage
from imageservice.v1.image_service_pb2 import (
    EditImagesRequest,
    EditImagesResponse,
    GenerateImagesRequest,
    GenerateImagesResponse,
    RunTaskEvent,
    UpscaleImageRequest,
    UpscaleImageResponse,
)

from limner.client.async_client import AsyncClient, AsyncTokenSource
from limner.client.errors import (
    CancelledError,
    ConflictError,
    ContentRejectedError,
    DeadlineExceededError,
    ExhaustedError,
    FieldViolation,
    InvalidRequestError,
    LimnerClientError,
    MisconfiguredError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    UnauthenticatedError,
    UnavailableError,
)
from limner.client.requests import ListOptions, Task, TaskOptions, UpscaleOptions
from limner.client.retries import NO_RETRIES, RetryBudget
from limner.client.sync_client import Client, TokenSource

__all__ = [
    "NO_RETRIES",
    "AsyncClient",
    "AsyncTokenSource",
    "CancelledError",
    "Client",
    "ConflictError",
    "ContentRejectedError",
    "DeadlineExceededError",
    "EditImagesRequest",
    "EditImagesResponse",
    "ExhaustedError",
    "FieldViolation",
    "GenerateImagesRequest",
    "GenerateImagesResponse",
    "Generation",
    "Image",
    "InvalidRequestError",
    "LimnerClientError",
    "ListOptions",
    "MisconfiguredError",
    "Model",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RetryBudget",
    "RunTaskEvent",
    "Task",
    "TaskOptions",
    "TokenSource",
    "UnauthenticatedError",
    "UnavailableError",
    "UpscaleImageRequest",
    "UpscaleImageResponse",
    "UpscaleOptions",
    "Usage",
]
