"""What a caller has already, and which part it asks for (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from typing import Final

_TAG: Final = re.compile(r'(W/)?("[^"]*")')
_RANGE: Final = re.compile(r"bytes[ \t]*=[ \t]*(\d*)[ \t]*-[ \t]*(\d*)", re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """The part that is asked for lies behind the end."""


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the caller has these bytes, by ``If-None-Match``: one tag or several, weak ones too, or ``*``."""
    value = headers.get("if-none-match", "").strip()
    return value == "*" or any(tag == etag for _, tag in _TAG.findall(value))


def asked_range(headers: Mapping[str, str], etag: str, size: int) -> tuple[int, int] | None:
    """Return start and end, exclusive, of the part that is asked for; ``None`` for the whole.

    The whole is for several ranges at once too, for a range in other units or of no form, and where ``If-Range``
    names other bytes: as anybody may answer. Raises ``UnsatisfiableRangeError``.
    """
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range", etag).strip()
    if match is None or condition != etag or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - _number(match[2], size)), size
    else:
        start = _number(match[1], size)
        last = _number(match[2], size) if match[2] else size
        if last < start and start < size:
            return None
        end = min(last + 1, size)
    if start >= size or start >= end:
        raise UnsatisfiableRangeError
    return start, end


def _number(digits: str, size: int) -> int:
    """Read a number; all beyond the size is alike, however many digits it has."""
    return int(digits) if len(digits) < 20 else size
