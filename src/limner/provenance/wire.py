"""How the service and the process that handles manifests talk: a JSON document and some blobs, each with its length."""

import json
from collections.abc import Sequence
from typing import IO, Any, Final

_LENGTH_BYTES: Final = 8


def send(pipe: IO[bytes], document: object, blobs: Sequence[bytes] = ()) -> None:
    """Write one message, whole."""
    head = json.dumps({"document": document, "blobs": [len(each) for each in blobs]}).encode()
    pipe.write(len(head).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(head)
    for blob in blobs:
        pipe.write(blob)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Any, list[bytes]]:
    """Read one message, whole. Raises ``EOFError`` when the other side is gone."""
    head = json.loads(_exactly(pipe, int.from_bytes(_exactly(pipe, _LENGTH_BYTES), "big")))
    return head["document"], [_exactly(pipe, length) for length in head["blobs"]]


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length) if length else b""
    if len(data) < length:
        raise EOFError
    return data
