"""The command that serves agents on standard input and output."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import click
from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1.image_pb2 import Image, Model

from limner.agents.studio import StudioError, TaskRequest
from limner.cli.session import CallFailedError, with_connection
from limner.client import AsyncClient, LimnerClientError

if TYPE_CHECKING:
    from limner.agents.server import Context

MISSING: Final = "The package for MCP is missing: pip install 'limner[mcp]'"


@click.command()
@with_connection()
def mcp(server: str, token: str, workspace: str) -> None:
    """Serve agents by MCP on standard input and output.

    An agent's host starts this command by itself and needs the settings in the environment: LIMNER_SERVER,
    LIMNER_TOKEN, LIMNER_WORKSPACE.
    """
    try:
        asyncio.run(_serve(server, token, workspace))
    except ImportError as error:
        raise CallFailedError(MISSING) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error


async def _serve(server: str, token: str, workspace: str) -> None:
    # Imported when it is asked for: an extra, which takes a second.
    from mcp.server.stdio import stdio_server

    from limner.agents.server import mcp_server

    async with AsyncClient(server, token=token, workspace=workspace) as client:
        studio = ClientStudio(client, server)

        def studio_of(context: "Context") -> ClientStudio:
            return studio

        agents = mcp_server(studio_of, version("limner"))
        async with stdio_server() as (requests, answers):
            await agents.run(requests, answers, agents.create_initialization_options())


class ClientStudio:
    """The service as the tools see it, through the client."""

    def __init__(self, client: AsyncClient, server: str) -> None:
        self._client = client
        self._server = server

    async def run(self, request: TaskRequest) -> AsyncGenerator[pb.RunTaskEvent, None]:
        """Run a task and yield what happens."""
        with _told():
            async with aclosing(self._client.run(request)) as events:
                async for event in events:
                    yield event

    async def image(self, image_id: str) -> Image:
        """Return the facts about an image."""
        with _told():
            return await self._client.image(image_id)

    async def images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return a page of images."""
        with _told():
            return await self._client.page(request)

    async def models(self) -> Sequence[Model]:
        """Return the models of the catalogue."""
        with _told():
            return await self._client.models()

    async def derivative(self, image_id: str, width: int, picture_format: str) -> bytes:
        """Return a picture at most so many pixels wide."""
        with _told():
            return await self._client.content(image_id, width=width, picture_format=picture_format)

    def link(self, image: Image) -> str:
        """Return what names an image's own bytes: over gRPC nobody knows the address of REST."""
        return f"limner://{self._server.removeprefix('grpcs://').removeprefix('grpc://')}{image.links.content}"


@contextmanager
def _told() -> Iterator[None]:
    """Raise what the tools are told of an error."""
    try:
        yield
    except LimnerClientError as error:
        raise StudioError(error.message, error.reason, error.metadata) from error
