"""The paths that are no calls of the contract: they have no place in the descriptor."""

from typing import Any, Final

Json = dict[str, Any]

TAGS: Final[dict[str, str]] = {}


def paths() -> dict[str, Json]:
    """Return each path with its operations."""
    return {}


def schemas() -> dict[str, Json]:
    """Return the schemas that they refer to."""
    return {}


def responses() -> dict[str, Json]:
    """Return the answers that they refer to."""
    return {}
