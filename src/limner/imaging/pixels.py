"""Decoding and re-encoding with Pillow. Blocks; run in a thread, or as a program of its own:

    python -m limner.imaging.pixels decode|png|jpeg|webp  < picture  > result

It ends with 0, or with 3 and a sentence for the caller on its output when the picture is at fault.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

from limner.domain.image import OutputFormat
from limner.imaging.header import DAMAGED, TOO_SHORT, Header, require_dimensions
from limner.imaging.jpeg import inspect_jpeg
from limner.imaging.png import inspect_png
from limner.imaging.signature import sniff
from limner.imaging.webp import inspect_webp
from limner.service.ports import InvalidPictureError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

PNG_COMPRESS_LEVEL: Final = 3
"""Of 9: half the time of 6, a few percent more bytes."""

JPEG_QUALITY: Final = 92
JPEG_SUBSAMPLING: Final = "4:4:4"
"""Full colour resolution: drawn edges and lettering stay crisp."""

WEBP_QUALITY: Final = 90
WEBP_METHOD: Final = 3
"""Of 6, slowest and smallest."""

WEBP_MAX_EDGE_PIXELS: Final = 16_383

AT_FAULT: Final = 3
"""The exit code for a picture that can't be decoded or encoded."""

_MEMORY_BYTES: Final = 2 << 30
_STRIP_PIXELS: Final = 1 << 18
_WHITE: Final = (255, 255, 255)


def inspect(data: bytes) -> Header:
    """Look at the container only, all of a PNG apart: its pixels are decoded on the way."""
    match sniff(data):
        case OutputFormat.PNG:
            return inspect_png(data)
        case OutputFormat.JPEG:
            return inspect_jpeg(data)
        case OutputFormat.WEBP:
            return inspect_webp(data)


def decode(data: bytes) -> None:
    """Decode the picture to its end and forget it; a JPEG at an eighth of its size, which reads all of it too.

    Of a PNG Pillow reads the head only, to agree that it is one: its pixels were decoded by ``inspect``.
    """
    picture = _open(data)
    match picture.format:
        case "PNG":
            return
        case "JPEG":
            picture.draft(None, (max(1, picture.width // 8), max(1, picture.height // 8)))
    _load(picture)


def count_pixels(data: bytes) -> int:
    """Return width times height, by the head of the file; refuses what is beyond the limits."""
    picture = _open(data)
    require_dimensions(*picture.size)
    return picture.width * picture.height


def convert(data: bytes, to: OutputFormat) -> bytes:
    """Return the picture in another format, with its colour profile, turned upright as its EXIF data say."""
    picture = _open(data)
    require_dimensions(*picture.size)
    _load(picture)
    return _encode(*_prepare(picture, to), to)


def for_showing(data: bytes, width: int) -> "tuple[Image, bytes | None]":
    """Return the picture upright, as grey, RGB or RGBA, at most so wide, and its colour profile."""
    from PIL.Image import Resampling

    picture = _open(data)
    require_dimensions(*picture.size)
    if width and picture.format == "JPEG":
        # Twice what is needed, in either direction: then less is decoded than a large photograph has.
        scale = min(1.0, 2 * width / min(picture.size))
        picture.draft(None, (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    _load(picture)
    shown, profile = _prepare(picture, OutputFormat.PNG)
    if width and width < shown.width:
        height = max(1, round(shown.height * width / shown.width))
        shown = shown.resize((width, height), Resampling.LANCZOS, reducing_gap=2.0)
    return shown, profile


def _prepare(picture: "Image", to: OutputFormat) -> "tuple[Image, bytes | None]":
    """Return the pixels as the format takes them, and the colour profile that speaks of them."""
    profile = picture.info.get("icc_profile")
    picture = _with_own_colours(_upright(_eight_bits(picture)), to)
    if to is OutputFormat.WEBP and max(picture.size) > WEBP_MAX_EDGE_PIXELS:
        raise InvalidPictureError(f"no side of a WebP picture may be longer than {WEBP_MAX_EDGE_PIXELS} pixels")
    return picture, profile if _fits(profile, picture) else None


def _open(data: bytes) -> "ImageFile":
    # Not Image.open: that would try other formats, and warn about sizes that were checked already.
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    classes: dict[OutputFormat, type[ImageFile]] = {
        OutputFormat.PNG: PngImageFile,
        OutputFormat.JPEG: JpegImageFile,
        OutputFormat.WEBP: WebPImageFile,
    }
    try:
        return classes[sniff(data)](io.BytesIO(data))
    except InvalidPictureError:
        raise
    except Exception as error:
        raise InvalidPictureError(DAMAGED) from error


def _load(picture: "ImageFile") -> None:
    try:
        picture.load()
    except MemoryError as error:
        raise InvalidPictureError("decoding the picture takes too much memory") from error
    except Exception as error:
        raise InvalidPictureError(TOO_SHORT if "truncated" in str(error) else DAMAGED) from error


def _eight_bits(picture: "Image") -> "Image":
    if not picture.mode.startswith("I"):
        return picture
    picture.info.pop("transparency", None)  # a grey of 16 bits, which has no equal among 8
    return picture.point(lambda value: value * (1 / 256)).convert("L")


def _upright(picture: "Image") -> "Image":
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception:
        # Broken EXIF data say nothing about which side is up, and make no picture bad.
        return picture
    return picture


def _with_own_colours(picture: "Image", to: OutputFormat) -> "Image":
    """Return the picture as grey, RGB or RGBA, whichever holds all of it and the format takes."""
    if picture.has_transparency_data:
        picture = _in_mode(picture, "RGBA")
        return on_white(picture) if to is OutputFormat.JPEG else picture
    if picture.mode in ("1", "L") and to is not OutputFormat.WEBP:
        return _in_mode(picture, "L")
    return _in_mode(picture, "RGB")


def _in_mode(picture: "Image", mode: str) -> "Image":
    return picture if picture.mode == mode else picture.convert(mode)


def on_white(picture: "Image") -> "Image":
    """Return the picture without transparency."""
    # Strip by strip: Pillow keeps the interpreter to itself while it composes.
    from PIL import Image

    flat = Image.new("RGB", picture.size, _WHITE)
    lines = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, lines):
        strip = picture.crop((0, top, picture.width, min(top + lines, picture.height)))
        flat.paste(strip, (0, top), strip)
    return flat


def _fits(profile: object, picture: "Image") -> bool:
    """Tell whether a colour profile speaks of the kind of pixels that the result has (ICC.1:2022, 7.2.6)."""
    space = {"L": b"GRAY"}.get(picture.mode, b"RGB ")
    return isinstance(profile, bytes) and profile[16:20] == space


def _encode(picture: "Image", profile: bytes | None, to: OutputFormat) -> bytes:
    # Into a real file: then Pillow's encoders let the interpreter go on meanwhile.
    with tempfile.TemporaryFile(buffering=0) as file:
        _save(picture, file, to, profile)
        file.seek(0)
        return file.read()


def _save(picture: "Image", file: IO[bytes], to: OutputFormat, profile: bytes | None) -> None:
    picture.info.clear()
    match to:
        case OutputFormat.PNG:
            picture.save(file, "PNG", compress_level=PNG_COMPRESS_LEVEL, icc_profile=profile)
        case OutputFormat.JPEG:
            picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING, icc_profile=profile)
        case OutputFormat.WEBP:
            picture.save(file, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, icc_profile=profile)


def main() -> int:
    """Do what the first argument says with the picture on standard input."""
    return run_program(lambda data: _act(sys.argv[1], data))


def run_program(act: Callable[[bytes], bytes]) -> int:
    """Answer on standard output what is made of the picture on standard input; return the exit code."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    data = sys.stdin.buffer.read()
    try:
        result = act(data)
    except InvalidPictureError as error:
        sys.stdout.write(str(error))
        return AT_FAULT
    except MemoryError:
        sys.stdout.write("the picture takes too much memory")
        return AT_FAULT
    sys.stdout.buffer.write(result)
    return 0


def _act(action: str, data: bytes) -> bytes:
    if action == "decode":
        decode(data)
        return b""
    return convert(data, OutputFormat(action))


if __name__ == "__main__":
    sys.exit(main())
