"""Bytes that grow without being copied."""

from io import BytesIO
from typing import Final

from limner.domain import limits

_RESERVE_FROM_BYTES: Final = limits.MIB
_RESERVED_BYTES: Final = limits.MAX_STORED_BYTES


class Buffer:
    """Takes slices, and gives them back as one ``bytes`` that is the very memory they were written to.

    Growing 20 MiB by reallocation copies it a dozen times, for up to 7 ms each, on the event loop. So from 1 MiB on,
    room for the largest picture is reserved: fresh zeros, of which the system gives out only the pages that are
    written to. What is left over is given back in the end. Blocks of this size go back to the system when freed.
    """

    def __init__(self) -> None:
        self._bytes = BytesIO()
        self._size = 0
        self._reserved = False

    def write(self, part: bytes) -> None:
        """Add a slice."""
        self._size += len(part)
        if self._size >= _RESERVE_FROM_BYTES and not self._reserved:
            self._reserve()
        self._bytes.write(part)

    @property
    def size_bytes(self) -> int:
        """How much there is."""
        return self._size

    def value(self) -> bytes:
        """Return all of it."""
        self._bytes.truncate(self._size)
        return self._bytes.getvalue()

    def _reserve(self) -> None:
        begun = self._bytes.getvalue()
        # Nothing else refers to the zeros, so that they are written over in place.
        self._bytes = BytesIO(bytes(_RESERVED_BYTES))
        self._bytes.write(begun)
        self._reserved = True
