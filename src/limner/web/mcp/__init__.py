"""The Model Context Protocol over streamable HTTP: ``/v1/workspaces/{workspaceId}/mcp``, with the access token."""

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from limner.rpc.call import current_call, current_caller
from limner.service.catalogue import Catalogue
from limner.service.contents import Contents
from limner.service.library import ImageLibrary
from limner.service.tasks import TaskRunner
from limner.web.door import Door, Route
from limner.web.errors import HttpRefusalError
from limner.web.mcp.studio import ServiceStudio

if TYPE_CHECKING:
    from limner.web.mcp.bridge import Bridge

POLICY: Final = "mcp"
PATH: Final = "/v1/workspaces/{workspaceId}/mcp"


class McpEndpoint:
    """Answers MCP's requests, each on its own: any worker takes any of them."""

    def __init__(self, studio_of: Callable[[web.Request], ServiceStudio]) -> None:
        self._studio_of = studio_of
        self._bridge: asyncio.Task[Bridge] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.content_type != "application/json":
            raise HttpRefusalError(415, "content-type", "must be application/json")
        if self._bridge is None:
            self._bridge = asyncio.create_task(_start_bridge(), name="mcp")
        try:
            bridge = await asyncio.shield(self._bridge)
        except ImportError as error:
            self._bridge = None
            raise HttpRefusalError(501, "mcp", "is not installed here: the extra limner[mcp] is missing") from error
        return await bridge.answer(request, self._studio_of(request))

    async def refuse(self, request: web.Request) -> web.StreamResponse:
        """Refuse what other servers open a stream of their own by, or end a session by: there are none here."""
        raise HttpRefusalError(405, "method", "must be POST: nothing is kept between requests")

    async def close(self) -> None:
        """End what is under way."""
        if self._bridge is not None and self._bridge.done() and not self._bridge.exception():
            await self._bridge.result().close()


def mcp_door(
    tasks: TaskRunner, library: ImageLibrary, contents: Contents, catalogue: Catalogue
) -> tuple[Door, McpEndpoint]:
    """Return the door, and what is to be closed in the end."""

    def studio_of(request: web.Request) -> ServiceStudio:
        workspace_id = request.match_info["workspaceId"]
        return ServiceStudio(tasks, library, catalogue, contents, current_caller(), workspace_id, current_call().origin)

    endpoint = McpEndpoint(studio_of)
    routes = [Route(method="POST", path=PATH, policy=POLICY, answer=endpoint.answer)]
    routes += [Route(method=each, path=PATH, policy=POLICY, answer=endpoint.refuse) for each in ("GET", "DELETE")]
    return Door(routes=routes), endpoint


async def _start_bridge() -> "Bridge":
    """Import the SDK when it is first needed, beside the event loop: it takes a second, and 40 MiB."""
    module = await asyncio.to_thread(importlib.import_module, "limner.web.mcp.bridge")
    bridge: Bridge = module.Bridge()
    await bridge.start()
    return bridge
