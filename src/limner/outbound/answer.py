"""What comes back from a provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from limner.domain import limits
from limner.outbound.base64_text import decode_base64
from limner.outbound.errors import AnswerTooLargeError, UnreadableAnswerError
from limner.outbound.streamed_json import parsed


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer.

    ``body`` is what was received; in a JSON body of more than 64 KiB, strings of 16 KiB and more that are base64 (or
    base64 data URIs) were decoded while they arrived, and a placeholder stands for each.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name; values of a name that came more than once have a comma between them."""
    body: bytes = b""
    lifted: Mapping[str, bytes] = field(default_factory=dict)
    """The decoded strings by placeholder; ``json`` puts them back."""

    def header(self, name: str) -> str:
        """Return a header by any spelling of its name; empty when absent."""
        return self.headers.get(name.lower(), "")

    def json(self) -> object:
        """Return the body as JSON, where a long base64 string is ``bytes``, or ``b""`` when it turned out wrong.

        ``picture_bytes`` reads such a field whatever its length. Raises ``UnreadableAnswerError``.
        """
        return parsed(self.body, self.lifted)

    def text(self, max_chars: int = 4096) -> str:
        """Return the beginning of the body, to look for a vendor's wording in it. Never for callers or logs."""
        return self.body[: 4 * max_chars].decode("utf-8", "replace")[:max_chars]


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a ``text/event-stream``."""

    name: str
    """The ``event`` field; empty when there is none."""
    data: bytes
    lifted: Mapping[str, bytes] = field(default_factory=dict)

    def json(self) -> object:
        """Return the data as JSON, as ``Response.json`` does."""
        return parsed(self.data, self.lifted)


def picture_bytes(value: object, max_bytes: int = limits.MAX_STORED_BYTES) -> bytes:
    """Return the bytes of a picture field of ``json()``: ``bytes`` as they are, base64 or a data URI decoded.

    Raises ``UnreadableAnswerError`` for anything else, for wrong base64, for nothing, and for more than ``max_bytes``.
    """
    if isinstance(value, str) and len(value) * 3 // 4 <= max_bytes + limits.KIB:
        value = decode_base64(value.encode("utf-8", "replace"))
    if not isinstance(value, bytes) or not value:
        raise UnreadableAnswerError("there is no picture in this field")
    if len(value) > max_bytes:
        raise AnswerTooLargeError("a picture is too large")
    return value
