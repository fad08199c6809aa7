"""Pillow's pixel by pixel operations, strip by strip.

Within such a call no other thread of the process runs; strips keep each of them at a millisecond or two.
"""

import math
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageChops

_STRIP_PIXELS: Final = 256 * 1024
_TURNED_STRIP_PIXELS: Final = 64 * 1024
"""Interpolation takes longer per pixel."""


def composite(front: Image.Image, back: Image.Image, mask: Image.Image) -> Image.Image:
    """Return ``front`` where the mask is 255 and ``back`` where it is 0."""
    return _by_strips(Image.composite, front, back, mask)


def blend(one: Image.Image, other: Image.Image, share: float) -> Image.Image:
    """Return ``one`` with a share of ``other``."""
    return _by_strips(lambda first, second: Image.blend(first, second, share), one, other)


def shaded(picture: Image.Image, shade: Image.Image) -> Image.Image:
    """Return an RGB picture darkened by greys: 255 leaves it."""
    return _by_strips(lambda part, grey: ImageChops.multiply(part, Image.merge("RGB", [grey] * 3)), picture, shade)


def embossed(picture: Image.Image, relief: Image.Image) -> Image.Image:
    """Return an RGB picture with the lights and shadows of a relief: 128 is flat."""
    return _by_strips(lambda part, grey: ImageChops.overlay(part, Image.merge("RGB", [grey] * 3)), picture, relief)


def laid_over(picture: Image.Image, drawing: Image.Image) -> Image.Image:
    """Return an RGB or RGBA picture with an RGBA drawing on it."""
    if picture.mode == "RGBA":
        return _by_strips(Image.alpha_composite, picture, drawing)
    return _by_strips(
        lambda part, over: Image.composite(over.convert("RGB"), part, over.getchannel("A")), picture, drawing
    )


def turned(picture: Image.Image, degrees: float, background: tuple[int, ...]) -> Image.Image:
    """Return the picture turned clockwise on a sheet large enough for all of it."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = math.ceil(abs(picture.width * cosine) + abs(picture.height * sine))
    height = math.ceil(abs(picture.width * sine) + abs(picture.height * cosine))
    result = Image.new(picture.mode, (width, height))
    rows = max(1, _TURNED_STRIP_PIXELS // width)
    for top in range(0, height, rows):
        # From a place on the sheet to one in the picture: back around the middles of both.
        x = picture.width / 2 - width / 2 * cosine - (height / 2 - top) * sine
        y = picture.height / 2 + width / 2 * sine - (height / 2 - top) * cosine
        size = (width, min(rows, height - top))
        part = picture.transform(
            size,
            Image.Transform.AFFINE,
            (cosine, sine, x, -sine, cosine, y),
            Image.Resampling.BICUBIC,
            fillcolor=background,
        )
        result.paste(part, (0, top))
    return result


def _by_strips(change: Callable[..., Image.Image], *pictures: Image.Image) -> Image.Image:
    first = pictures[0]
    result = Image.new(first.mode, first.size)
    rows = max(1, _STRIP_PIXELS // first.width)
    for top in range(0, first.height, rows):
        box = (0, top, first.width, min(top + rows, first.height))
        result.paste(change(*(picture.crop(box) for picture in pictures)), (0, top))
    return result
