"""The client for code on an event loop."""

import asyncio
import copy
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
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

AsyncTokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""An access token, or what returns a fresh one before each call, awaited when it has to be."""

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T", pb.GenerateImagesRequest, pb.EditImagesRequest, pb.UpscaleImageRequest)


class AsyncClient:
    """Calls the service in one workspace, on the event loop that it was made on.

    The counterpart of ``Client``, method by method; close it, or use it in ``async with``. Cancelling a
    method cancels its call.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        token: AsyncTokenSource = "",
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

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Cancel what is running and disconnect."""
        await self._channel.close()

    def for_workspace(self, workspace: str, *, token: AsyncTokenSource | None = None) -> Self:
        """Return a client for another workspace, or another user, over the same connection."""
        other = copy.copy(self)
        other._workspace = workspace
        other._token = self._token if token is None else token
        return other

    async def generate(self, prompt: str, **options: Unpack[TaskOptions]) -> pb.GenerateImagesResponse:
        """Make pictures from a prompt, and wait for them."""
        request = pb.GenerateImagesRequest(workspace_id=self._workspace, prompt=prompt, **keyed(options))
        return await self._task(self._stub.GenerateImages, request)

    async def edit(self, image_ids: list[str], prompt: str, **options: Unpack[TaskOptions]) -> pb.EditImagesResponse:
        """Make pictures from the caller's own ones and a prompt, and wait for them."""
        request = pb.EditImagesRequest(
            workspace_id=self._workspace, prompt=prompt, image_ids=image_ids, **keyed(options)
        )
        return await self._task(self._stub.EditImages, request)

    async def upscale(
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
        return await self._task(self._stub.UpscaleImage, request)

    def run(self, task: Task) -> AsyncGenerator[pb.RunTaskEvent, None]:
        """Run a task and yield what happens to it; closing the iterator cancels the call.

        A stream that breaks off is taken up again, under the task's one idempotency key: then ``queued`` comes anew,
        and so may what was told before. The last event is ``completed``; a failed task raises its error after it.
        """
        return self._run(run_request(self._workspace, task))

    async def get_generation(self, generation_id: str) -> Generation:
        """Return a generation: its state, its images, its error."""
        request = pb.GetGenerationRequest(workspace_id=self._workspace, generation_id=generation_id)
        return await self._call(self._stub.GetGeneration, request)

    async def cancel_generation(self, generation_id: str) -> Generation:
        """Cancel a generation, and return it; one that has ended already is returned as it is."""
        request = pb.CancelGenerationRequest(workspace_id=self._workspace, generation_id=generation_id)
        return await self._call(self._stub.CancelGeneration, request)

    async def upload(self, picture: bytes) -> Image:
        """Keep a PNG, JPEG or WebP picture of at most 20 MiB."""
        request = pb.UploadImageRequest(workspace_id=self._workspace, picture=HttpBody(data=picture))
        return await self._once(self._stub.UploadImage, request, self._task_timeout_s)

    async def provenance(self, image_id: str) -> Provenance:
        """Return what the marks of an image say."""
        request = pb.GetProvenanceRequest(workspace_id=self._workspace, image_id=image_id)
        return await self._call(self._stub.GetProvenance, request)

    async def verify(self, picture: bytes) -> Provenance:
        """Return what the marks of any picture of at most 20 MiB say; the service keeps nothing of it."""
        request = pb.VerifyImageRequest(workspace_id=self._workspace, picture=HttpBody(data=picture))
        return await self._call(self._stub.VerifyImage, request, self._task_timeout_s)

    async def image(self, image_id: str) -> Image:
        """Return the facts about an image."""
        request = pb.GetImageRequest(workspace_id=self._workspace, image_id=image_id)
        return await self._call(self._stub.GetImage, request)

    async def images(self, **options: Unpack[ListOptions]) -> AsyncIterator[Image]:
        """Yield the workspace's images, newest first, fetching page after page as they are taken."""
        request = pb.ListImagesRequest(workspace_id=self._workspace, **options)
        while True:
            page = await self._call(self._stub.ListImages, request)
            for image in page.images:
                yield image
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def page(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return one page of images; the workspace is filled in."""
        request.workspace_id = self._workspace
        return await self._call(self._stub.ListImages, request)

    async def delete(self, image_id: str) -> None:
        """Delete an image."""
        request = pb.DeleteImageRequest(workspace_id=self._workspace, image_id=image_id)
        await self._once(self._stub.DeleteImage, request)

    async def content(
        self, image_id: str, *, generation_id: str = "", width: int = 0, picture_format: str = ""
    ) -> bytes:
        """Return the bytes of an image, as stored, or of a derivative of it."""
        parts = self.stream_content(image_id, generation_id=generation_id, width=width, picture_format=picture_format)
        return b"".join([part async for part in parts])

    async def stream_content(
        self, image_id: str, *, generation_id: str = "", width: int = 0, picture_format: str = ""
    ) -> AsyncGenerator[bytes, None]:
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
        async with aclosing(self._stream(self._stub.GetImageContent, request)) as bodies:
            async for body in bodies:
                yield body.data

    async def download(self, image_id: str, to: Path, *, overwrite: bool = False, generation_id: str = "") -> Path:
        """Write an image to a file, whole or not at all, and return its path.

        Into a directory it goes by its id, with the ending of its format. Raises ``FileExistsError``
        when the file is there and ``overwrite`` is false.
        """
        async with aclosing(self.stream_content(image_id, generation_id=generation_id)) as parts:
            head = await anext(parts, b"")
            path = picture_path(to, image_id, head)
            with atomic_file(path, overwrite=overwrite) as file:
                await asyncio.to_thread(file.write, head)
                async for part in parts:
                    await asyncio.to_thread(file.write, part)
        return path

    async def models(self) -> list[Model]:
        """Return the models of the catalogue, and what each can do."""
        return list((await self._call(self._stub.ListModels, pb.ListModelsRequest())).models)

    async def usage(self) -> Usage:
        """Return what the workspace used this month."""
        return await self._call(self._stub.GetUsage, pb.GetUsageRequest(workspace_id=self._workspace))

    async def _call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, R], request: Q, timeout_s: float | None = None
    ) -> R:
        """Make a call, again where it may be repeated."""
        tries = Tries(self._retries, timeout_s or self._timeout_s)
        while True:
            try:
                return await self._once(method, request, tries.begin())
            except LimnerClientError as error:
                if (delay_s := tries.delay_after(error)) is None:
                    raise
            await asyncio.sleep(delay_s)

    async def _task(self, method: grpc.aio.UnaryUnaryMultiCallable[T, R], request: T) -> R:
        """Do a task, as often as it takes, under its one idempotency key."""
        with naming(request.request_id):
            return await self._call(method, request, self._task_timeout_s)

    async def _once(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, R], request: Q, timeout_s: float | None = None
    ) -> R:
        request_id = new_request_id()
        metadata = call_metadata(await self._fresh_token(), request_id)
        with translated(request_id):
            return await method(request, timeout=timeout_s or self._timeout_s, metadata=metadata)

    async def _run(self, request: pb.RunTaskRequest) -> AsyncGenerator[pb.RunTaskEvent, None]:
        """Run a task, and go on with it over a new stream where one breaks off."""
        tries = Tries(self._retries, self._task_timeout_s)
        with naming(key_of(request)):
            while True:
                try:
                    async with aclosing(self._stream(self._stub.RunTask, request, tries.begin())) as events:
                        async for event in events:
                            yield event
                    return
                except LimnerClientError as error:
                    if (delay_s := tries.delay_after(error)) is None:
                        raise
                await asyncio.sleep(delay_s)

    async def _stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Q, R], request: Q, timeout_s: float | None = None
    ) -> AsyncGenerator[R, None]:
        request_id = new_request_id()
        metadata = call_metadata(await self._fresh_token(), request_id)
        with translated(request_id):
            call = method(request, timeout=timeout_s or self._task_timeout_s, metadata=metadata)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()

    async def _fresh_token(self) -> str:
        token = self._token() if callable(self._token) else self._token
        return await token if inspect.isawaitable(token) else token


def _open(address: Address, root_certificates: bytes | None) -> grpc.aio.Channel:
    credentials = address.credentials(root_certificates)
    if credentials is None:
        return grpc.aio.insecure_channel(address.target, address.channel_options)
    return grpc.aio.secure_channel(address.target, credentials, address.channel_options)
