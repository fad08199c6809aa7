"""The MCP server: calls of tools into calls of the service."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1.image_pb2 import Generation
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

from limner.agents import tools
from limner.agents.results import error_result, facts_of, facts_result, images_result, line_of
from limner.agents.studio import Studio, StudioError, TaskRequest

Context = ServerRequestContext[Any, Any]
StudioOf = Callable[[Context], Studio]
"""Returns the studio of whoever makes a request."""

NAME: Final = "limner"
INSTRUCTIONS: Final = (
    "Makes, edits and upscales images and keeps them in a workspace. Images are named by their ids; edits and upscales "
    "start from images of your own. A generation may cost money: what was paid for is kept, so look with list_images "
    "before you ask again."
)

_FIELDS: Final[Mapping[str, str]] = {"model": "model_id", "factor": "upscale_factor", "idempotency_key": "request_id"}
"""Arguments that go by other names in the contract."""

_REQUESTS: Final[Mapping[str, Callable[[], TaskRequest]]] = {
    tools.GENERATE: pb.GenerateImagesRequest,
    tools.EDIT: pb.EditImagesRequest,
    tools.UPSCALE: pb.UpscaleImageRequest,
}


def mcp_server(studio_of: StudioOf, version: str) -> "Server[Any]":
    """Return the server. It keeps nothing between requests."""

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools.tools_for(await studio_of(context).models()))

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        try:
            return await _Call(context, studio_of(context)).answer(params.name, params.arguments or {})
        except StudioError as error:
            return error_result(error)

    return Server(NAME, version=version, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool)


class _Call:
    """One call of a tool."""

    def __init__(self, context: Context, studio: Studio) -> None:
        self._context = context
        self._studio = studio

    async def answer(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        reading: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[CallToolResult]]] = {
            tools.LIST: self._list,
            tools.GET: self._get,
            tools.MODELS: self._models,
        }
        if name in _REQUESTS:
            return await self._make(_read(_REQUESTS[name](), arguments))
        if name in reading:
            return await reading[name](arguments)
        raise StudioError(f"There is no tool {name[:100]}.", "INVALID_FIELD")

    async def _make(self, request: TaskRequest) -> CallToolResult:
        if not request.HasField("request_id"):
            # A repeated delivery of this very call, by whatever lies between, buys nothing again.
            request.request_id = secrets.token_hex(16)
        generation = Generation()
        async with aclosing(self._studio.run(request)) as events:
            async for event in events:
                if event.HasField("progress"):
                    await self._context.session.report_progress(event.progress.fraction, 1.0)
                elif event.HasField("completed"):
                    generation = event.completed
        facts = facts_of(generation)
        words = [*map(line_of, generation.images), *filter(None, [generation.description, generation.detail.message])]
        return await images_result(self._studio, generation.images, facts, "\n".join(words))

    async def _list(self, arguments: Mapping[str, Any]) -> CallToolResult:
        known = {"limit": "page_size", "page_token": "page_token", "generation_id": "generation_id"}
        request = _read(pb.ListImagesRequest(page_size=10), arguments, known)
        request.page_size = max(1, min(request.page_size, tools.MAX_LISTED))
        page = await self._studio.images(request)
        facts = {"images": [facts_of(image) for image in page.images], "next_page_token": page.next_page_token}
        return facts_result(facts, "\n".join(map(line_of, page.images)) or "There are no images.")

    async def _get(self, arguments: Mapping[str, Any]) -> CallToolResult:
        image_id = _read(pb.GetImageRequest(), arguments, {"image_id": "image_id"}).image_id
        image = await self._studio.image(image_id)
        return await images_result(self._studio, [image], facts_of(image), line_of(image))

    async def _models(self, arguments: Mapping[str, Any]) -> CallToolResult:
        _read(pb.ListModelsRequest(), arguments, {})
        models = await self._studio.models()
        lines = [f"{each.id} ({', '.join(each.operations)}): {each.description}" for each in models]
        return facts_result({"models": [facts_of(each) for each in models]}, "\n".join(lines))


def _read(message: Any, arguments: Mapping[str, Any], known: Mapping[str, str] | None = None) -> Any:
    """Read arguments into a message, by the names of the contract. Raises ``StudioError`` for what does not fit."""
    if unknown := [name for name in arguments if known is not None and name not in known]:
        raise StudioError(f"{unknown[0][:100]} is no argument of this tool.", "INVALID_FIELD")
    names = _FIELDS if known is None else known
    if "workspace_id" in arguments or "workspaceId" in arguments:
        raise StudioError("The workspace is that of the connection.", "INVALID_FIELD")
    try:
        return ParseDict({names.get(name, name): value for name, value in arguments.items()}, message)
    except ParseError as error:
        raise StudioError(str(error)[:500], "INVALID_FIELD") from error
