"""What every store demands of a key and of bytes before it touches either."""

import re
from typing import Final

from limner.domain import limits
from limner.domain.identifiers import is_id

_VARIANT: Final = re.compile(r"[a-z0-9]{1,16}\.[a-z0-9]{1,8}")


def require_key(key: str) -> str:
    """Return the key when it is an identifier of ours, or names a variant; anything else never reaches a store."""
    owner, slash, variant = key.partition("/")
    if not is_id(owner) or (slash and not _VARIANT.fullmatch(variant)):
        raise ValueError("a blob key is 32 hexadecimal digits, and perhaps a slash and the name of a variant")
    return key


def require_owner(key: str) -> str:
    """Return the key when it is an identifier of ours."""
    if not is_id(key):
        raise ValueError("what is deleted goes by its 32 hexadecimal digits, and takes its variants along")
    return key


def require_size(data: bytes) -> bytes:
    """Return the bytes when they are few enough to be read back whole."""
    if len(data) > limits.MAX_STORED_BYTES:
        raise ValueError(f"a blob has at most {limits.MAX_STORED_BYTES} bytes")
    return data
