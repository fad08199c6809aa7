"""What the service and a child process say to each other: a line of JSON each, after some lines bytes.

The child answers on standard output, and ends when the service's end of a pipe is closed.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, Self

MAX_LINE_BYTES: Final = 64 * 1024
"""Longest line that a child says."""

_NICENESS: Final = 10
_OOM_SCORE: Final = "500"


class Line:
    """One line of the conversation, told from others by the name of its class."""

    kinds: ClassVar[dict[str, type["Line"]]] = {}

    def __init_subclass__(cls) -> None:
        Line.kinds[cls.__name__] = cls

    def encode(self) -> bytes:
        """Return the line, its end included."""
        return json.dumps({"kind": type(self).__name__, **asdict(self)}).encode() + b"\n"  # type: ignore[call-overload]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the line that has these values."""
        return cls(**values)


def decode(line: bytes) -> Line:
    """Read any line; raise ``ValueError`` for what is none."""
    try:
        values = json.loads(line)
        return Line.kinds[values.pop("kind")].read(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no line of this conversation") from error


def begin() -> BinaryIO:
    """Return where a child answers, and let the service go first.

    What native code prints goes to standard error, so that it does not get between the answers. The service has the
    processor first, and the kernel ends the child first when memory is short.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    return replies
