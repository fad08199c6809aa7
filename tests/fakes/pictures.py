"""The pictures of fake providers: one colour each, which tells prompt, seed and index apart."""

import hashlib
import io
import zlib
from functools import lru_cache

from PIL import Image

from tests.pictures import GREY, png

Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)


def colour_of(prompt: str, seed: int | None, index: int) -> Colour:
    """Return the colour that stands for a picture; never black."""
    red, green, blue = hashlib.sha256(f"{prompt}|{seed}|{index}".encode()).digest()[:3]
    return red | 16, green | 16, blue | 16


@lru_cache(maxsize=64)
def picture(colour: Colour, width: int, height: int, to: str = "png") -> bytes:
    """Return a picture of one colour. ``to`` is png, jpeg or webp."""
    file = io.BytesIO()
    # Lossless WebP, so that a test can read the colour back.
    options = {"lossless": True} if to == "webp" else {}
    Image.new("RGB", (width, height), colour).save(file, to.upper(), **options)
    return file.getvalue()


def look(data: bytes) -> tuple[Colour, tuple[int, int], str]:
    """Return the colour of the first pixel, the size, and the format as png, jpeg or webp."""
    with Image.open(io.BytesIO(data)) as opened:
        pixel = opened.convert("RGB").getpixel((0, 0))
        assert isinstance(pixel, tuple) and opened.format is not None
        return (int(pixel[0]), int(pixel[1]), int(pixel[2])), opened.size, opened.format.lower()


def near(one: Colour, other: Colour, tolerance: int = 6) -> bool:
    """Tell whether two colours are the same but for what a JPEG loses."""
    return all(abs(left - right) <= tolerance for left, right in zip(one, other, strict=True))


@lru_cache(maxsize=1)
def bomb(edge: int = 30_000) -> bytes:
    """Return a whole, valid PNG of 900 megapixels in some 100 KB."""
    deflate, rows = zlib.compressobj(9), bytes((1 + (edge + 7) // 8) * 1000)
    data = b"".join(deflate.compress(rows) for _ in range(edge // 1000)) + deflate.flush()
    return png(edge, edge, depth=1, colour=GREY, idat=data)
