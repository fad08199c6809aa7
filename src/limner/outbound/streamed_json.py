"""JSON whose pictures are taken out while it arrives.

A body with a 20 MiB picture in base64 would stall the event loop for 100 ms, and stand in memory as text, as a
string and as bytes. So long base64 strings are decoded slice by slice as they come, and a placeholder stays.
"""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Final

from limner.domain.limits import KIB
from limner.outbound.base64_text import Base64Decoder
from limner.outbound.errors import AnswerTooLargeError, UnreadableAnswerError

LONG_STRING_BYTES: Final = 16 * KIB
"""From this length on a string that looks like base64 is lifted."""
MAX_DOCUMENT_BYTES: Final = 256 * KIB
"""Most of all that is left of a document; bounds the time that parsing it takes of the event loop."""

_INSIDE: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class JsonLifter:
    """Takes a document in slices; gives it back with placeholders, and the pictures by placeholder."""

    def __init__(self) -> None:
        self._document = bytearray()
        self._lifted: dict[str, bytes] = {}
        self._token = ""
        self._carry = b""
        self._inside = False
        self._string = bytearray()
        self._settled = False
        self._decoder: Base64Decoder | None = None

    def feed(self, text: bytes) -> None:
        """Take the next slice."""
        text, at = self._carry + text, 0
        self._carry = b""
        while at < len(text):
            at = self._read_inside(text, at) if self._inside else self._read_outside(text, at)
        if len(self._document) + len(self._string) > MAX_DOCUMENT_BYTES:
            raise AnswerTooLargeError("a document without its pictures is too large")

    def finish(self) -> tuple[bytes, Mapping[str, bytes]]:
        """Return the document, and its pictures by placeholder."""
        if self._inside:
            self._end_string()
        self._document += self._carry
        return bytes(self._document), self._lifted

    def _read_outside(self, text: bytes, at: int) -> int:
        quote = text.find(b'"', at)
        end = len(text) if quote < 0 else quote + 1
        self._document += text[at:end]
        self._inside = quote >= 0
        return end

    def _read_inside(self, text: bytes, at: int) -> int:
        """Read to the end of the string, or of the slice; half an escape waits for the next slice."""
        quote = text.find(b'"', at)
        end = quote if quote >= 0 else len(text)
        if text.find(b"\\", at, end) >= 0:
            inside = _INSIDE.match(text, at)
            end = inside.end() if inside else at
        self._extend_string(text[at:end])
        if end < len(text) and text[end] == ord('"'):
            self._end_string()
            self._document += b'"'
            return end + 1
        self._carry = text[end:]
        return len(text)

    def _extend_string(self, part: bytes) -> None:
        if self._decoder is not None:
            self._decode(part)
            return
        self._string += part
        if not self._settled and len(self._string) >= LONG_STRING_BYTES:
            self._settled = True
            self._try_lifting()

    def _try_lifting(self) -> None:
        decoder = Base64Decoder()
        try:
            decoder.feed(bytes(self._string))
        except UnreadableAnswerError:
            return
        self._decoder = decoder
        self._string.clear()

    def _decode(self, part: bytes) -> None:
        """Decode on; after a fault the rest of the string is dropped, and the other pictures live on."""
        assert self._decoder is not None
        try:
            self._decoder.feed(part)
        except UnreadableAnswerError:
            self._decoder = _Dropped()

    def _end_string(self) -> None:
        if self._decoder is None:
            self._document += self._string
        else:
            self._document += self._keep(self._decoder).encode()
        self._string.clear()
        self._decoder, self._settled, self._inside = None, False, False

    def _keep(self, decoder: Base64Decoder) -> str:
        self._token = self._token or secrets.token_hex(12)
        name = f"{self._token}-{len(self._lifted)}"
        try:
            self._lifted[name] = decoder.finish()
        except UnreadableAnswerError:
            self._lifted[name] = b""
        return name


class _Dropped(Base64Decoder):
    """Stands for what began as base64 and was not."""

    def feed(self, text: bytes) -> None:
        pass

    def finish(self) -> bytes:
        return b""


def parsed(document: bytes, lifted: Mapping[str, bytes]) -> object:
    """Return the document as Python values, with the pictures in their places."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError("not JSON") from error
    return _restored(value, lifted) if lifted else value


def _restored(value: object, lifted: Mapping[str, bytes]) -> object:
    if isinstance(value, str):
        return lifted.get(value, value)
    if isinstance(value, list):
        return [_restored(each, lifted) for each in value]
    if isinstance(value, dict):
        return {name: _restored(each, lifted) for name, each in value.items()}
    return value
