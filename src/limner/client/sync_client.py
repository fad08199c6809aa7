"""The client for ordinary code."""

import copy
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Self, TypeAlias, TypeVar, Unpack

import grpc
from google.api.httpbody_pb2 import HttpBody
from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1.image_pb2 import Generation, Image, Model, Usage
from imageservice.v1.image_service_pb2_grpc import ImageServiceStub
from imageservice.v1.provenance_pb2 import Provenance

from limner.client.connection import (
    DEFAULT_SERVER,
    DEFAULT_TASK_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    Address,
    call_metadata,
    checked_token,
    new_request_id,
    parse_address,
)
from limner.client.errors import LimnerClientError, naming, translated
from limner.client.files import atomic_file, picture_path
from limner.client.requests import ListOptions, Task, TaskOptions, UpscaleOptions, key_of, keyed, run_request
from limner.client.retries import DEFAULT_RETRIES, RetryBudget, Tries

TokenSource: TypeAlias = str | Callable[[], str]
"""An access token, or what returns a fresh one before each call."""

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T", pb.GenerateImagesRequest, pb.EditImagesRequest, pb.UpscaleImageRequest)


class Client:
    """Calls the service in one workspace. Safe to share between threads; close it, or use it in ``with``.

    Every method raises a ``LimnerClientError`` when its call fails. Reads are repeated within the retry budget, and so
    are tasks, each under one idempotency key; uploads and deletions are not.
    Addresses are read as ``limner.client.connection.parse_address`` says.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        token: TokenSource = "",
        workspace: str = "",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        task_timeout_s: float = DEFAULT_TASK_TIMEOUT_S,
        tls: bool | None = None,
        root_certificates: bytes | None = None,
        retries: RetryBudget = DEFAULT_RETRIES,
    ) -> None:
        """Connect with the first call. Raises ``ValueError`` for what is no address or no token.

        ``root_certificates`` are PEM, the system's by default. ``task_timeout_s`` is for tasks and for pictures on
        their way, ``timeout_s`` for all else; each is for all tries together. ``retries`` says how often what may
        be repeated is: reads, and tasks, each under one idempotency key.
        """
        self._token = checked_token(token) if isinstance(token, str) else token
        self._workspace = workspace
        self._timeout_s = timeout_s
        self._task_timeout_s = task_timeout_s
        self._retries = retries
        self._channel = _open(parse_address(server, tls), root_certificates)
        self._stub = ImageServiceStub(self._channel)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Cancel what is running and disconnect."""
        self._channel.close()

    def for_workspace(self, workspace: str, *, token: TokenSource | None = None) -> Self:
        """Return a client for another workspace, or another user, over the same connection."""
        other = copy.copy(self)
        other._workspace = workspace
        other._token = self._token if token is None else token
        return other

    def generate(self, prompt: str, **options: Unpack[TaskOptions]) -> pb.GenerateImagesResponse:
        """Make pictures from a prompt, and wait for them."""
        request = pb.GenerateImagesRequest(workspace_id=self._workspace, prompt=prompt, **keyed(options))
        return self._task(self._stub.GenerateImages, request)

    def edit(self, image_ids: list[str], prompt: str, **options: Unpack[TaskOptions]) -> pb.EditImagesResponse:
        """Make pictures from the caller's own ones and a prompt, and wait for them."""
        request = pb.EditImagesRequest(
            workspace_id=self._workspace, prompt=prompt, image_ids=image_ids, **keyed(options)
        )
        return self._task(self._stub.EditImages, request)

    def upscale(
        self, image_id: str, *, model_id: str, upscale_factor: int, **options: Unpack[UpscaleOptions]
    ) -> pb.UpscaleImageResponse:
        """Make one of the caller's own pictures larger, and wait for it."""
        request = pb.UpscaleImageRequest(
            workspace_id=self._workspace,
            image_id=image_id,
            model_id=model_id,
            upscale_factor=upscale_factor,
            **keyed(options),
        )
        return self._task(self._stub.UpscaleImage, request)

    def run(self, task: Task) -> Generator[pb.RunTaskEvent, None, None]:
        """Run a task and yield what happens to it; closing the iterator cancels the call.

        A stream that breaks off is taken up again, under the task's one idempotency key: then ``queued`` comes anew,
        and so may what was told before. The last event is ``completed``; a failed task raises its error after it.
        """
        return self._run(run_request(self._workspace, task))

    def get_generation(self, generation_id: str) -> Generation:
        """Return a generation: its state, its images, its error."""
        request = pb.GetGenerationRequest(workspace_id=self._workspace, generation_id=generation_id)
        return self._call(self._stub.GetGeneration, request)

    def cancel_generation(self, generation_id: str) -> Generation:
        """Cancel a generation, and return it; one that has ended already is returned as it is."""
        request = pb.CancelGenerationRequest(workspace_id=self._workspace, generation_id=generation_id)
        return self._call(self._stub.CancelGeneration, request)

    def upload(self, picture: bytes) -> Image:
        """Keep a PNG, JPEG or WebP picture of at most 20 MiB."""
        request = pb.UploadImageRequest(workspace_id=self._workspace, picture=HttpBody(data=picture))
        return self._once(self._stub.UploadImage, request, self._task_timeout_s)

    def provenance(self, image_id: str) -> Provenance:
        """Return what the marks of an image say."""
        request = pb.GetProvenanceRequest(workspace_id=self._workspace, image_id=image_id)
        return self._call(self._stub.GetProvenance, request)

    def verify(self, picture: bytes) -> Provenance:
        """Return what the marks of any picture of at most 20 MiB say; the service keeps nothing of it."""
        request = pb.VerifyImageRequest(workspace_id=self._workspace, picture=HttpBody(data=picture))
        return self._call(self._stub.VerifyImage, request, self._task_timeout_s)

    def image(self, image_id: str) -> Image:
        """Return the facts about an image."""
        return self._call(self._stub.GetImage, pb.GetImageRequest(workspace_id=self._workspace, image_id=image_id))

    def images(self, **options: Unpack[ListOptions]) -> Iterator[Image]:
        """Yield the workspace's images, newest first, fetching page after page as they are taken."""
        request = pb.ListImagesRequest(workspace_id=self._workspace, **options)
        while True:
            page = self._call(self._stub.ListImages, request)
            yield from page.images
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def page(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return one page of images; the workspace is filled in."""
        request.workspace_id = self._workspace
        return self._call(self._stub.ListImages, request)

    def delete(self, image_id: str) -> None:
        """Delete an image."""
        self._once(self._stub.DeleteImage, pb.DeleteImageRequest(workspace_id=self._workspace, image_id=image_id))

    def content(self, image_id: str, *, generation_id: str = "", width: int = 0, picture_format: str = "") -> bytes:
        """Return the bytes of an image, as stored, or of a derivative of it."""
        parts = self.stream_content(image_id, generation_id=generation_id, width=width, picture_format=picture_format)
        return b"".join(parts)

    def stream_content(
        self, image_id: str, *, generation_id: str = "", width: int = 0, picture_format: str = ""
    ) -> Generator[bytes, None, None]:
        """Yield the bytes of an image in parts; closing the iterator cancels the call.

        ``generation_id`` reaches a deleted image that this generation started from. With a width in pixels or a
        format, or both, it is a derivative.
        """
        request = pb.GetImageContentRequest(
            workspace_id=self._workspace,
            image_id=image_id,
            generation_id=generation_id,
            width=width,
            format=picture_format,
        )
        for body in self._stream(self._stub.GetImageContent, request):
            yield body.data

    def download(self, image_id: str, to: Path, *, overwrite: bool = False, generation_id: str = "") -> Path:
        """Write an image to a file, whole or not at all, and return its path.

        Into a directory it goes by its id, with the ending of its format. Raises ``FileExistsError``
        when the file is there and ``overwrite`` is false.
        """
        with closing(self.stream_content(image_id, generation_id=generation_id)) as parts:
            head = next(parts, b"")
            path = picture_path(to, image_id, head)
            with atomic_file(path, overwrite=overwrite) as file:
                file.write(head)
                file.writelines(parts)
        return path

    def models(self) -> list[Model]:
        """Return the models of the catalogue, and what each can do."""
        return list(self._call(self._stub.ListModels, pb.ListModelsRequest()).models)

    def usage(self) -> Usage:
        """Return what the workspace used this month."""
        return self._call(self._stub.GetUsage, pb.GetUsageRequest(workspace_id=self._workspace))

    def _call(self, method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, timeout_s: float | None = None) -> R:
        """Make a call, again where it may be repeated."""
        tries = Tries(self._retries, timeout_s or self._timeout_s)
        while True:
            try:
                return self._once(method, request, tries.begin())
            except LimnerClientError as error:
                if (delay_s := tries.delay_after(error)) is None:
                    raise
                time.sleep(delay_s)

    def _task(self, method: "grpc.UnaryUnaryMultiCallable[T, R]", request: T) -> R:
        """Do a task, as often as it takes, under its one idempotency key."""
        with naming(request.request_id):
            return self._call(method, request, self._task_timeout_s)

    def _once(self, method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, timeout_s: float | None = None) -> R:
        request_id = new_request_id()
        metadata = call_metadata(self._fresh_token(), request_id)
        with translated(request_id):
            return method(request, timeout=timeout_s or self._timeout_s, metadata=metadata)

    def _run(self, request: pb.RunTaskRequest) -> Generator[pb.RunTaskEvent, None, None]:
        """Run a task, and go on with it over a new stream where one breaks off."""
        tries = Tries(self._retries, self._task_timeout_s)
        with naming(key_of(request)):
            while True:
                try:
                    yield from self._stream(self._stub.RunTask, request, tries.begin())
                    return
                except LimnerClientError as error:
                    if (delay_s := tries.delay_after(error)) is None:
                        raise
                    time.sleep(delay_s)

    def _stream(
        self, method: "grpc.UnaryStreamMultiCallable[Q, R]", request: Q, timeout_s: float | None = None
    ) -> Generator[R, None, None]:
        request_id = new_request_id()
        metadata = call_metadata(self._fresh_token(), request_id)
        with translated(request_id):
            call = method(request, timeout=timeout_s or self._task_timeout_s, metadata=metadata)
            try:
                yield from call
            finally:
                call.cancel()

    def _fresh_token(self) -> str:
        return self._token() if callable(self._token) else self._token


def _open(address: Address, root_certificates: bytes | None) -> grpc.Channel:
    credentials = address.credentials(root_certificates)
    if credentials is None:
        return grpc.insecure_channel(address.target, address.channel_options)
    return grpc.secure_channel(address.target, credentials, address.channel_options)
