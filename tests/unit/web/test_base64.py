"""Base64 in pieces."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pybase64
from hypothesis import given
from hypothesis import strategies as st

from limner.web.openai.answers import write_with_base64


class Written:
    """Takes the place of an answer that is sent."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.pieces.append(bytes(data))


async def chunks_of(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(
    st.lists(
        st.binary(max_size=9) | st.integers(0, 200_000).map(lambda size: bytes(range(256)) * (size // 256)), max_size=6
    )
)
async def test_pieces_of_any_sizes_are_the_base64_of_the_whole(chunks: list[bytes]) -> None:
    written: Any = Written()

    await write_with_base64(written, {"id": "a@b"}, chunks_of(chunks))

    document = json.loads(b"".join(written.pieces))
    assert document == {"id": "a@b", "b64_json": pybase64.b64encode(b"".join(chunks)).decode()}
    assert max(map(len, written.pieces)) <= 64 * 1024
