"""Input pictures for a pipeline, and what came out of it as files."""

from typing import Final

from PIL import Image, ImageOps

from limner.domain.image import OutputFormat
from limner.imaging import decoding
from limner.imaging.encoding import Effort, encoded, on_white

_EFFORT: Final = Effort(png_level=4)
"""As small as 6 for such pictures, in a third of the time."""


def decoded(data: bytes) -> Image.Image:
    """Return a picture as RGB, upright, on white. Raises ``InvalidPictureError`` when it can't be decoded."""
    return on_white(decoding.decoded(data).coloured)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the picture in this size; of another shape, what sticks out on two sides is cut off."""
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def padded(image: Image.Image, multiple: int) -> Image.Image:
    """Return the picture with its last row and column repeated, until its sides are multiples."""
    width, height = (-(-length // multiple) * multiple for length in image.size)
    if (width, height) == image.size:
        return image
    larger = Image.new("RGB", (width, height))
    larger.paste(image.crop((image.width - 1, 0, image.width, image.height)).resize((width, image.height)), (0, 0))
    larger.paste(image, (0, 0))
    last_row = larger.crop((0, image.height - 1, width, image.height))
    larger.paste(last_row.resize((width, height - image.height + 1)), (0, image.height - 1))
    return larger


def is_black(image: Image.Image) -> bool:
    """Tell whether nothing at all is to be seen: what a checker, or a network that overflowed, leaves behind."""
    return image.getbbox() is None


def png(image: Image.Image) -> bytes:
    """Return the picture as a file."""
    return encoded(image, OutputFormat.PNG, effort=_EFFORT).data
