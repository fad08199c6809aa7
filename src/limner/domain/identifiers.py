"""Identifiers of images and generations: UUIDs of version 7, as 32 hexadecimal digits.

Time-ordered, so that new rows land at the end of an index (RFC 9562, section 5.7).
"""

import os
import re
import time
from datetime import datetime
from typing import Final

_ID: Final = re.compile(r"[0-9a-f]{32}")


def new_id() -> str:
    """Return a fresh identifier."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return f"{(milliseconds << 80) | (0x7 << 76) | (high & 0xFFF) << 64 | (0b10 << 62) | low:032x}"


def is_id(text: str) -> bool:
    """Tell whether ``text`` could be an identifier of ours; anything else is not found without a look."""
    return _ID.fullmatch(text) is not None


def first_id_at(moment: datetime) -> str:
    """Return what sorts before every identifier that is made from this moment on, and after all older ones."""
    return f"{int(moment.timestamp() * 1000) << 80:032x}"
