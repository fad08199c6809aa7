"""Pictures brought into another shape without losing anything of them."""

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS: Final = 16 * 1024 * 1024


def in_shape(picture: "Image", size: tuple[int, int]) -> "Image":
    """Return the picture in exactly the shape of ``size``, with white where it has another one.

    The result is a whole multiple of ``size``, about as large as the picture. ``picture`` is of mode RGB or RGBA.
    """
    from PIL import Image, ImageOps

    width, height = size
    if picture.width * height == picture.height * width:
        return picture
    most = max(1, math.isqrt(_MOST_PIXELS // (width * height)))
    times = min(max(1, round(max(picture.width / width, picture.height / height))), most)
    sheet = Image.new(picture.mode, (width * times, height * times), "white")
    fitting = ImageOps.contain(picture, sheet.size, Image.Resampling.LANCZOS)
    sheet.paste(fitting, ((sheet.width - fitting.width) // 2, (sheet.height - fitting.height) // 2))
    return sheet
