"""Small pictures, good and bad, for all tests. The PNGs are built by hand; Pillow encodes the others."""

import io
import random
import struct
import zipfile
import zlib

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Return a PNG chunk with a right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def image_header(width: int, height: int, *, depth: int = 8, colour: int = RGB, interlace: int = 0) -> bytes:
    """Return the first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    width: int = 8,
    height: int = 8,
    *,
    depth: int = 8,
    colour: int = RGB,
    pixels: bytes | None = None,
    before: bytes = b"",
    idat: bytes | None = None,
    after: bytes = b"",
) -> bytes:
    """Return a PNG: plain, or with the given rows, chunks ``before`` and ``after`` the pixels, or raw ``idat``."""
    row = bytes(1 + (width * depth * _CHANNELS[colour] + 7) // 8)
    content = zlib.compress(row * height if pixels is None else pixels, 1) if idat is None else idat
    palette = chunk(b"PLTE", bytes(range(6))) if colour == PALETTE else b""
    start = PNG_SIGNATURE + image_header(width, height, depth=depth, colour=colour)
    return start + palette + before + chunk(b"IDAT", content) + after + chunk(b"IEND")


def noise(width: int = 8, height: int = 8, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Return pixels that do not compress."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (width, height), random.Random(seed).randbytes(width * height * channels))


def painting(width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    """Return soft colours, as a photograph has."""
    spots = noise(max(width // 16, 1), max(height // 16, 1))
    return spots.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(picture: Image.Image, to: str, **options: object) -> bytes:
    """Return the picture as a file."""
    file = io.BytesIO()
    picture.save(file, to, **options)
    return file.getvalue()


def decoded(data: bytes) -> Image.Image:
    """Return the pixels of a file."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def jpeg(width: int = 8, height: int = 8, **options: object) -> bytes:
    """Return a JPEG."""
    return encoded(painting(width, height), "JPEG", **options)


def webp(width: int = 8, height: int = 8, **options: object) -> bytes:
    """Return a WebP."""
    return encoded(painting(width, height), "WEBP", **options)


def truncated(data: bytes, share: float = 0.5) -> bytes:
    """Return the first part of a file."""
    return data[: int(len(data) * share)]


def dimension_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a hundred bytes that claims a great many pixels."""
    return png(width, height, idat=zlib.compress(bytes(100)))


def inflating_bomb(inflated_bytes: int = 1 << 30) -> bytes:
    """Return a PNG of 8 by 8 pixels whose data inflate to far more."""
    return png(idat=_zeros(inflated_bytes))


def text_bomb(kind: bytes = b"zTXt", inflated_bytes: int = 64 << 20) -> bytes:
    """Return a PNG with a compressed text or profile that inflates to far more than it says."""
    head = b"bomb\0\1\0\0\0" if kind == b"iTXt" else b"bomb\0\0"
    return png(before=chunk(kind, head + _zeros(inflated_bytes)))


def _zeros(count: int) -> bytes:
    deflate, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(deflate.compress(block) for _ in range(count >> 20)) + deflate.flush()


def apng() -> bytes:
    """Return an animated PNG of two frames."""
    return encoded(noise(), "PNG", save_all=True, append_images=[noise(seed=1)])


def animated_webp() -> bytes:
    """Return an animated WebP of two frames."""
    return encoded(noise(), "WEBP", save_all=True, append_images=[noise(seed=1)])


def multi_picture_jpeg() -> bytes:
    """Return a JPEG with a second picture behind it, as phones write them."""
    return encoded(noise(), "MPO", save_all=True, append_images=[noise(seed=1)])


def zip_archive() -> bytes:
    """Return an archive of one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.txt", "evil")
    return file.getvalue()


def with_zip_behind(data: bytes) -> bytes:
    """Return a file that is a picture from the front and an archive from the back."""
    return data + zip_archive()


def with_html_behind(data: bytes) -> bytes:
    """Return a file that is a picture from the front and a page for a browser that looks for one."""
    return data + b"<html><script>alert(1)</script></html>"


def svg() -> bytes:
    """Return an SVG."""
    return b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>'


def gif() -> bytes:
    """Return a GIF."""
    return encoded(noise(mode="L"), "GIF")


def landscape(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """Return muted colours with coarse and fine detail, as a photograph of the outdoors has."""
    made = Image.new("RGB", (width, height), (120, 125, 115))
    for octave, weight in enumerate((0.5, 0.4, 0.3, 0.25, 0.2, 0.15)):
        cells = 4 << octave
        spots = noise(cells, max(cells * height // width, 1), "L", seed + octave)
        layer = spots.resize((width, height), Image.Resampling.BICUBIC)
        tinted = Image.merge("RGB", [layer.point(lambda v, t=tint: min(255, v * t // 100)) for tint in (100, 96, 84)])
        made = Image.blend(made, tinted, weight)
    return made
