"""From pixels to a file: the one place that writes pictures. Blocks."""

import os
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.decoding import in_mode
from limner.service.ports import InvalidPictureError, PictureInfo, ReadyPicture

if TYPE_CHECKING:
    from PIL.Image import Image

_STRIP_PIXELS: Final = 1 << 18
_WHITE: Final = (255, 255, 255)
_SUBSAMPLING: Final = "4:4:4"
"""Full colour resolution: drawn edges and lettering stay crisp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is spent on a file."""

    png_level: int = 3
    """Of 9: 3 takes half the time of 6, and a few percent more bytes."""
    jpeg_quality: int = 92
    webp_quality: int = 90
    webp_method: int = 3
    """Of 6, slowest and smallest."""


USUAL: Final = Effort()


def format_for(wanted: OutputFormat, size: tuple[int, int]) -> OutputFormat:
    """Return the format that holds a picture of this size: the one that is wanted, but PNG beyond WebP's edge."""
    if wanted is OutputFormat.WEBP and max(size) > limits.MAX_WEBP_EDGE_PIXELS:
        return OutputFormat.PNG
    return wanted


def encoded(
    image: "Image", wanted: OutputFormat, *, profile: bytes | None = None, effort: Effort = USUAL
) -> ReadyPicture:
    """Return the picture as a file: on white in a JPEG, which has no alpha; as PNG where it is too long for a WebP.

    ``image`` is of mode L, LA, RGB or RGBA, and ``profile`` speaks of such pixels. Raises ``InvalidPictureError``
    when the file takes more bytes than are kept.
    """
    format_ = format_for(wanted, image.size)
    image, profile = _for_format(image, format_, profile)
    # Into a real file: then Pillow's encoders let the interpreter go on meanwhile.
    with tempfile.TemporaryFile(buffering=0) as file:
        _save(image, file, format_, profile, effort)
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > limits.MAX_STORED_BYTES:
            most = limits.MAX_STORED_BYTES // limits.MIB
            raise InvalidPictureError(f"the picture takes more than {most} MiB as {format_}")
        file.seek(0)
        data = file.read()
    return ReadyPicture(data, PictureInfo(format=format_, width=image.width, height=image.height))


def on_white(picture: "Image") -> "Image":
    """Return a picture of mode RGB or RGBA without alpha."""
    # Strip by strip: Pillow keeps the interpreter to itself while it composes.
    from PIL import Image

    if picture.mode == "RGB":
        return picture
    flat = Image.new("RGB", picture.size, _WHITE)
    lines = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, lines):
        strip = picture.crop((0, top, picture.width, min(top + lines, picture.height)))
        flat.paste(strip, (0, top), strip)
    return flat


def _for_format(image: "Image", to: OutputFormat, profile: bytes | None) -> "tuple[Image, bytes | None]":
    """Return the pixels as the format takes them, and their profile unless it spoke of grey ones that have colours."""
    if to is OutputFormat.PNG or (to is OutputFormat.JPEG and image.mode in ("L", "RGB")):
        return image, profile
    was_grey = image.mode in ("L", "LA")
    image = in_mode(image, "RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    return on_white(image) if to is OutputFormat.JPEG else image, None if was_grey else profile


def _save(image: "Image", file: IO[bytes], to: OutputFormat, profile: bytes | None, effort: Effort) -> None:
    image.info.clear()
    match to:
        case OutputFormat.PNG:
            image.save(file, "PNG", compress_level=effort.png_level, icc_profile=profile)
        case OutputFormat.JPEG:
            quality = effort.jpeg_quality
            image.save(file, "JPEG", quality=quality, subsampling=_SUBSAMPLING, icc_profile=profile)
        case OutputFormat.WEBP:
            quality, method = effort.webp_quality, effort.webp_method
            image.save(file, "WEBP", quality=quality, method=method, icc_profile=profile)
