"""The service's own description: ``/openapi.json``, and ``/docs``, a page of it from files that the service carries."""

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from limner.web.door import Door
from limner.web.page_file import page_file

POLICY: Final = "reference"
_HERE: Final = resources.files(__name__)
_SWAGGER: Final = _HERE / "swagger_ui"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, and nothing that is written into the page."""

_FILES: Final[Mapping[str, tuple[Traversable, str]]] = {
    "/openapi.json": (resources.files("imageservice") / "openapi.json", "application/json"),
    "/docs": (_HERE / "page.html", "text/html"),
    "/docs/start.js": (_HERE / "start.js", "text/javascript"),
    "/docs/swagger-ui-bundle.js": (_SWAGGER / "swagger-ui-bundle.js.gz", "text/javascript"),
    "/docs/swagger-ui.css": (_SWAGGER / "swagger-ui.css.gz", "text/css"),
}


def reference_door() -> Door:
    """Return the door."""
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
    return Door(
        routes=tuple(
            page_file(path, file, kind, policy=POLICY, headers=headers) for path, (file, kind) in _FILES.items()
        )
    )
