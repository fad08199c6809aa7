"""What every store demands of a key and of bytes before it touches either."""

from limner.domain import limits
from limner.domain.identifiers import is_id


def require_key(key: str) -> str:
    """Return the key when it is an identifier of ours; anything else never reaches a store."""
    if not is_id(key):
        raise ValueError("a blob key is 32 hexadecimal digits")
    return key


def require_size(data: bytes) -> bytes:
    """Return the bytes when they are few enough to be read back whole."""
    if len(data) > limits.MAX_STORED_BYTES:
        raise ValueError(f"a blob has at most {limits.MAX_STORED_BYTES} bytes")
    return data
