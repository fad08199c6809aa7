"""``/console``: the service for a person with a browser, from files that the service carries.

The page is open to anybody and holds nothing; what it shows it asks of the calls below ``/v1/`` with the token that its
user gives it, so it can do exactly what that token can.
"""

from collections.abc import Mapping
from importlib import resources
from typing import Final

from limner.web.door import Door
from limner.web.page_file import page_file

POLICY: Final = "console"
_HERE: Final = resources.files(__name__)

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # pictures are fetched with the token, so they come to the page as blobs
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # with no policy for them: text can't become markup
        "trusted-types 'none'",
    )
)
"""Nothing from elsewhere, nothing that is written into the page, and no way from text to markup."""

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

MODULES: Final = ("account", "composer", "details", "elements", "gallery", "session", "service", "start", "tasks")
"""What the page is made of, in plain JavaScript: nothing is built."""


def console_door() -> Door:
    """Return the door."""
    files = {
        "/console": ("page.html", "text/html"),
        "/console/console.css": ("console.css", "text/css"),
        "/console/icon.svg": ("icon.svg", "image/svg+xml"),
        **{f"/console/{name}.js": (f"{name}.js", "text/javascript") for name in MODULES},
    }
    return Door(
        routes=tuple(
            page_file(path, _HERE / name, kind, policy=POLICY, headers=HEADERS) for path, (name, kind) in files.items()
        )
    )
