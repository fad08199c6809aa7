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
)
