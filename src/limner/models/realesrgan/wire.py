"""What service and worker say to each other: a line of JSON, and after some lines the bytes of a picture.

    service → worker    Request, picture
    worker → service    Progress …, Result, picture

The worker ends when the service's end of a pipe is closed.
"""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the conversation."""

    def encode(self) -> bytes:
        """Return the line, its end included."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Read a line of this kind."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Line):
    """How far the work is. ``size_bytes`` is 0 until it is done; then the picture of that size follows."""

    steps_done: int
    steps: int
    """One for each tile and one for encoding."""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
