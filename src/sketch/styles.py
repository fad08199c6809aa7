"""How pictures look: a grading of all colours, and for some styles a finish of the pixels."""

import colorsys
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageChops, ImageFilter, ImageOps

from sketch import pixels
from sketch.chance import chance
from sketch.colours import Grade, Rgb, blend, luminance, regrade, saturated

_GRADE_STEPS: Final = 13
"""Samples per channel of a grading of pixels; between them it is interpolated."""


def graded(svg: str, style: str) -> str:
    """Return the drawing with its colours graded for a style."""
    grade = GRADES.get(style)
    return regrade(svg, grade) if grade else svg


def finished(picture: Image.Image, style: str, seed: int) -> Image.Image:
    """Return the RGB picture with the finish of a style; the seed makes its grain."""
    finish = FINISHES.get(style)
    return finish(picture, seed) if finish else picture


def grade_pixels(picture: Image.Image, grade: Grade) -> Image.Image:
    """Return an RGB picture with every colour changed."""

    def scaled(red: float, green: float, blue: float) -> Rgb:
        changed = grade((red * 255, green * 255, blue * 255))
        return changed[0] / 255, changed[1] / 255, changed[2] / 255

    return picture.filter(ImageFilter.Color3DLUT.generate(_GRADE_STEPS, scaled))


# Gradings.


def mono(colour: Rgb) -> Rgb:
    """Greys, by what the eye sees."""
    grey = luminance(colour)
    return grey, grey, grey


def sepia(colour: Rgb) -> Rgb:
    """The browns of old photographs."""
    grey = luminance(colour)
    return min(255, grey * 1.08 + 14), min(255, grey * 0.95 + 6), grey * 0.76


def vintage(colour: Rgb) -> Rgb:
    """Faded and warm."""
    faded = blend(saturated(colour, 0.6), sepia(colour), 0.45)
    return 24 + faded[0] * 0.88, 18 + faded[1] * 0.86, 20 + faded[2] * 0.8


def pastel(colour: Rgb) -> Rgb:
    """Light and mild."""
    return blend(saturated(colour, 0.82), (255, 250, 248), 0.36)


def neon(colour: Rgb) -> Rgb:
    """Deep darks and glaring colours."""
    glaring = saturated(colour, 1.6)
    return blend(glaring, (glaring[0] * 0.82, glaring[1] * 0.6, glaring[2]), 0.4)


def pop(colour: Rgb) -> Rgb:
    """Strong colours."""
    return saturated(colour, 1.45)


def minimal(colour: Rgb) -> Rgb:
    """Quiet colours near to each other."""
    return blend(saturated(colour, 0.62), (240, 234, 224), 0.2)


def autumn(colour: Rgb) -> Rgb:
    """Greens become the colours of leaves in October."""
    return _turned(colour, 62, 165, lambda hue: 18 + (hue - 62) * 0.26, 1.2)


def spring(colour: Rgb) -> Rgb:
    """Fresh greens, and everything a little lighter."""
    return blend(_turned(colour, 70, 165, lambda hue: 78 + (hue - 70) * 0.3, 1.1), (255, 240, 245), 0.12)


def blueprint(colour: Rgb) -> Rgb:
    """White on blue."""
    return blend((18, 62, 138), (238, 245, 255), (luminance(colour) / 255) ** 1.1)


def eerie(colour: Rgb) -> Rgb:
    """Dark, sickly and pale."""
    return blend(saturated((colour[0] * 0.72, colour[1] * 0.74, colour[2] * 0.72), 0.5), (44, 34, 58), 0.25)


def watercolour(colour: Rgb) -> Rgb:
    """Thin paint on white paper."""
    return blend(saturated(colour, 0.95), (253, 250, 243), 0.24)


def _turned(colour: Rgb, start: float, end: float, to: Callable[[float], float], strength: float) -> Rgb:
    hue, light, saturation = colorsys.rgb_to_hls(*(min(1.0, max(0.0, part / 255)) for part in colour))
    if not start <= hue * 360 <= end or saturation < 0.12:
        return colour
    red, green, blue = colorsys.hls_to_rgb(to(hue * 360) / 360, light, min(1.0, saturation * strength))
    return red * 255, green * 255, blue * 255


GRADES: Final[Mapping[str, Grade]] = {
    grade.__name__: grade
    for grade in (mono, vintage, pastel, neon, pop, minimal, autumn, spring, blueprint, eerie, watercolour)
} | {"pencil": mono}  # fmt: skip
"""Gradings by the names that ``vocabulary.STYLES`` uses."""


# Finishes.


def grain(size: tuple[int, int], seed: int, coarse: int = 2) -> Image.Image:
    """Return grey noise around 128, in lumps of ``coarse`` pixels."""
    small = (max(1, size[0] // coarse), max(1, size[1] // coarse))
    noise = Image.frombytes("L", small, chance(seed).randbytes(small[0] * small[1]))
    return noise.resize(size, Image.Resampling.BILINEAR) if coarse > 1 else noise


def grainy(picture: Image.Image, seed: int, strength: float = 0.1) -> Image.Image:
    """Return the picture with film grain."""
    return pixels.blend(picture, pixels.embossed(picture, grain(picture.size, seed)), min(1.0, strength * 3))


def on_paper(picture: Image.Image, seed: int) -> Image.Image:
    """Return the picture as if painted with water: soft, with darker edges of paint, on rough paper."""
    soft = picture.filter(ImageFilter.BoxBlur(2))
    edges = ImageOps.invert(soft.convert("L").filter(ImageFilter.FIND_EDGES)).point(
        lambda value: 150 + value * 105 // 255
    )
    rough = grain(picture.size, seed, 3).point(lambda value: 232 + value * 23 // 255)
    painted = pixels.shaded(pixels.shaded(soft, edges), rough)
    return pixels.composite(painted, Image.new("RGB", picture.size, "#fdfaf3"), _ragged(picture.size, seed))


def _ragged(size: tuple[int, int], seed: int) -> Image.Image:
    """Return a mask that leaves an uneven border free."""
    small = (max(8, size[0] // 16), max(8, size[1] // 16))
    mask = Image.new("L", small, 0)
    mask.paste(255, (2, 2, small[0] - 2, small[1] - 2))
    wobble = ImageChops.add(
        mask.filter(ImageFilter.BoxBlur(1.6)), grain(small, seed, 1).point(lambda value: value // 3), 1, -42
    )
    return wobble.resize(size, Image.Resampling.BICUBIC).point(lambda value: max(0, min(255, (value - 110) * 9)))


def pencilled(picture: Image.Image, seed: int) -> Image.Image:
    """Return lines and light shading in grey."""
    grey = picture.convert("L")
    lines = ImageOps.invert(grey.filter(ImageFilter.FIND_EDGES)).point(lambda value: max(0, 255 - (255 - value) * 2))
    shading = ImageChops.multiply(
        grey.point(lambda value: 200 + value * 55 // 255),
        grain(picture.size, seed, 2).point(lambda value: 238 + value * 17 // 255),
    )
    return Image.merge("RGB", [ImageChops.multiply(lines, shading)] * 3)


def pixelated(picture: Image.Image, seed: int = 0, cells: int = 112) -> Image.Image:
    """Return the picture in large squares, about ``cells`` along the shorter edge."""
    scale = max(1, min(picture.size) // cells)
    small = picture.resize((max(1, picture.width // scale), max(1, picture.height // scale)), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.NEAREST)


def oiled(picture: Image.Image, seed: int) -> Image.Image:
    """Return broad dabs of paint with a little relief."""
    size = (max(1, picture.width // 4), max(1, picture.height // 4))
    small = picture.resize(size, Image.Resampling.BOX).filter(ImageFilter.MedianFilter(3))
    dabs = small.resize(picture.size, Image.Resampling.BICUBIC)
    relief = grain(picture.size, seed, 5).filter(ImageFilter.EMBOSS).point(lambda value: 128 + (value - 128) * 2 // 5)
    return pixels.embossed(pixels.blend(dabs, picture, 0.25), relief)


def _old(picture: Image.Image, seed: int) -> Image.Image:
    return grainy(picture, seed, 0.06)


FINISHES: Final[Mapping[str, Callable[[Image.Image, int], Image.Image]]] = {
    "watercolour": on_paper, "pencil": pencilled, "pixel": pixelated, "oil": oiled, "vintage": _old,
}  # fmt: skip
