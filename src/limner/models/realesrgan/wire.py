"""What service and worker say to each other, as in ``limner.models.conversation``.

service → worker    Request, picture
worker → service    Reply …, the last one with the picture
"""

from dataclasses import dataclass

from limner.models.conversation import Line


@dataclass(frozen=True, kw_only=True)
class Request(Line):
    """Enlarge the picture of ``size_bytes`` that follows."""

    network: str
    factor: int
    output_format: str
    tile: int
    """Longest edge of a tile in pixels; 0 for the network's own."""
    threads: int
    """0 for one per core."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Reply(Line):
    """How far the work is. ``size_bytes`` is 0 until it is done; then the picture of that size follows."""

    steps_done: int
    steps: int
    """One for each tile and one for encoding."""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    output_format: str = ""
    fault: str = ""
    """Why there will be no picture, for the caller: the input can't be read, or the result can't be written."""
    field: str = ""
    """The field of the request that the fault is about."""
