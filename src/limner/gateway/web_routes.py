"""What leads to the workers' HTTP listeners, and not to gRPC. A test compares it with the doors' own routes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class WebRoute:
    """An address of a door; ``GET`` stands for ``HEAD`` too, and ``/v1/`` for both prefixes."""

    method: str
    path: str


WEB_ROUTES: Final = (
    WebRoute("GET", "/healthz"),
    WebRoute("GET", "/readyz"),
    WebRoute("GET", "/openapi.json"),
    WebRoute("GET", "/docs"),
    WebRoute("GET", "/docs/start.js"),
    WebRoute("GET", "/docs/swagger-ui-bundle.js"),
    WebRoute("GET", "/docs/swagger-ui.css"),
    WebRoute("GET", "/console"),
    WebRoute("GET", "/console/console.css"),
    WebRoute("GET", "/console/icon.svg"),
    *(
        WebRoute("GET", f"/console/{name}.js")
        for name in ("account", "composer", "details", "elements", "gallery", "session", "service", "start", "tasks")
    ),
    WebRoute("POST", "/v1/workspaces/{workspaceId}/openai/images/generations"),
    WebRoute("POST", "/v1/workspaces/{workspaceId}/openai/images/edits"),
    WebRoute("POST", "/v1/workspaces/{workspaceId}/openai/content_provenance_checks"),
    WebRoute("GET", "/v1/workspaces/{workspaceId}/openai/models"),
    WebRoute("GET", "/v1/workspaces/{workspaceId}/openai/models/{model}"),
    WebRoute("GET", "/v1/workspaces/{workspaceId}/images/{imageId}/content"),
    WebRoute("GET", "/v1/workspaces/{workspaceId}/generations/{generationId}/inputs/{imageId}/content"),
    WebRoute("GET", "/v1/content/{address}"),
    WebRoute("POST", "/v1/workspaces/{workspaceId}/mcp"),
    WebRoute("GET", "/v1/workspaces/{workspaceId}/mcp"),
    WebRoute("DELETE", "/v1/workspaces/{workspaceId}/mcp"),
)
