"""Does the steps of an instruction, one after the other, to pictures of modes RGB or RGBA."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from sketch import pixels, sky, styles
from sketch import scene as scenes
from sketch.chance import chance
from sketch.colours import Grade, blend, luminance, parse, saturated
from sketch.icons import IconLibrary
from sketch.instructions import Instruction, Step
from sketch.layout import overlay
from sketch.light import LIGHTS
from sketch.masks import sky_mask, subject_mask
from sketch.raster import Raster, document
from sketch.reading import Reading
from sketch.stage import Stage

Picture: TypeAlias = Image.Image
_GAP_SHARE: Final = 0.012
"""Between pictures put together, as a share of the result's longer edge."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What steps work with."""

    icons: IconLibrary
    raster: Raster
    seed: int


def edit(
    pictures: Sequence[Picture], instruction: Instruction, ratio: tuple[int, int] | None, studio: Studio
) -> Picture:
    """Return the pictures, edited and put together.

    With a ``ratio`` of width to height the result is cut to it around its middle; pictures that were put together
    are not cut, white is added instead.
    """
    steps = list(instruction.steps)
    joint = next((step for step in steps if step.name in JOINTS), None)
    if len(pictures) > 1:
        picture = JOINTS[joint.name if joint else "side_by_side"](pictures)
        picture = picture if ratio is None else _padded(picture, ratio)
    else:
        picture = pictures[0] if ratio is None else cut_to(pictures[0], ratio)
    for place, step in enumerate(steps):
        if step.name not in JOINTS:
            picture = _done(picture, step, replace(studio, seed=studio.seed + 7919 * place))
    return picture if ratio is None or len(pictures) > 1 else cut_to(picture, ratio)


def cut_to(picture: Picture, ratio: tuple[int, int]) -> Picture:
    """Return the largest middle part that has exactly this ratio, or the picture when it is too small for that."""
    factor = min(picture.width // ratio[0], picture.height // ratio[1])
    if factor == 0:
        return picture.resize(ratio, Image.Resampling.LANCZOS)
    width, height = ratio[0] * factor, ratio[1] * factor
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _padded(picture: Picture, ratio: tuple[int, int]) -> Picture:
    factor = max(math.ceil(picture.width / ratio[0]), math.ceil(picture.height / ratio[1]))
    sheet = Image.new(picture.mode, (ratio[0] * factor, ratio[1] * factor), "white")
    sheet.paste(picture, ((sheet.width - picture.width) // 2, (sheet.height - picture.height) // 2))
    return sheet


def _done(picture: Picture, step: Step, studio: Studio) -> Picture:
    if step.name in SHAPES:
        return SHAPES[step.name](picture, step, studio)
    if picture.mode != "RGBA":
        return COLOURINGS[step.name](picture, step, studio)
    # Colours change, what is transparent stays so.
    changed = COLOURINGS[step.name](picture.convert("RGB"), step, studio).convert("RGBA")
    changed.putalpha(picture.getchannel("A"))
    return changed


# Putting pictures together.


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Return the pictures in a row, all as high as the lowest."""
    height = min(picture.height for picture in pictures)
    return _joined([_to_height(picture, height) for picture in pictures], across=True)


def stacked(pictures: Sequence[Picture]) -> Picture:
    """Return the pictures in a column, all as wide as the narrowest."""
    width = min(picture.width for picture in pictures)
    return _joined([_to_width(picture, width) for picture in pictures], across=False)


def collage(pictures: Sequence[Picture]) -> Picture:
    """Return the pictures in two rows."""
    if len(pictures) < 3:
        return side_by_side(pictures)
    half = math.ceil(len(pictures) / 2)
    return stacked([side_by_side(pictures[:half]), side_by_side(pictures[half:])])


def _joined(pictures: Sequence[Picture], *, across: bool) -> Picture:
    length = sum(picture.width if across else picture.height for picture in pictures)
    gap = max(2, round(length * _GAP_SHARE))
    length += gap * (len(pictures) - 1)
    mode = "RGBA" if any(picture.mode == "RGBA" for picture in pictures) else "RGB"
    size = (length, pictures[0].height) if across else (pictures[0].width, length)
    sheet, place = Image.new(mode, size, "white"), 0
    for picture in pictures:
        sheet.paste(picture, (place, 0) if across else (0, place))
        place += (picture.width if across else picture.height) + gap
    return sheet


def _to_height(picture: Picture, height: int) -> Picture:
    if picture.height == height:
        return picture
    return picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS)


def _to_width(picture: Picture, width: int) -> Picture:
    if picture.width == width:
        return picture
    return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.LANCZOS)


JOINTS: Final[Mapping[str, Callable[[Sequence[Picture]], Picture]]] = {
    "side_by_side": side_by_side, "stack": stacked, "collage": collage,
}  # fmt: skip
"""Ways to put several pictures together."""


# Steps that change colours, on RGB.


def _graded(grade: Grade) -> "Colouring":
    return lambda picture, step, studio: styles.grade_pixels(picture, grade)


def _styled(style: str) -> "Colouring":
    def colour(picture: Picture, step: Step, studio: Studio) -> Picture:
        grade = styles.GRADES.get(style)
        return styles.finished(styles.grade_pixels(picture, grade) if grade else picture, style, studio.seed)

    return colour


def _mono(picture: Picture, step: Step, studio: Studio) -> Picture:
    return Image.merge("RGB", [picture.convert("L")] * 3)


def _warmer(picture: Picture, step: Step, studio: Studio) -> Picture:
    return _balanced(picture, 1 + 0.14 * step.strength, 1 + 0.03 * step.strength, 1 - 0.16 * step.strength)


def _cooler(picture: Picture, step: Step, studio: Studio) -> Picture:
    return _balanced(picture, 1 - 0.15 * step.strength, 1.0, 1 + 0.15 * step.strength)


def _balanced(picture: Picture, *gains: float) -> Picture:
    table = [min(255, round(value * gain)) for gain in gains for value in range(256)]
    return picture.point(table)


def _darker(picture: Picture, step: Step, studio: Studio) -> Picture:
    return picture.point(
        [round(255 * (value / 255) ** (1 + 0.3 * step.strength) * (1 - 0.14 * step.strength)) for value in range(256)]
        * 3
    )


def _brighter(picture: Picture, step: Step, studio: Studio) -> Picture:
    return picture.point(
        [
            min(255, round(255 * (value / 255) ** (1 / (1 + 0.32 * step.strength)) * (1 + 0.04 * step.strength)))
            for value in range(256)
        ]
        * 3
    )


def _contrast(sign: float) -> "Colouring":
    def colour(picture: Picture, step: Step, studio: Studio) -> Picture:
        middle = ImageStat.Stat(picture.convert("L")).mean[0]
        factor = 1 + sign * 0.35 * step.strength
        return picture.point([round(middle + (value - middle) * factor) for value in range(256)] * 3)

    return colour


def _saturation(sign: float) -> "Colouring":
    def colour(picture: Picture, step: Step, studio: Studio) -> Picture:
        factor = max(0.0, 1 + sign * 0.5 * step.strength)
        return styles.grade_pixels(picture, lambda rgb: saturated(rgb, factor))

    return colour


def _blurred(picture: Picture, step: Step, studio: Studio) -> Picture:
    return _softened(picture, min(picture.size) * 0.008 * step.strength)


def _softened(picture: Picture, radius: float) -> Picture:
    # Three box blurs are a Gaussian blur, and take the same time at any radius.
    return picture.filter(ImageFilter.GaussianBlur(max(1.0, radius)))


def _sharpened(picture: Picture, step: Step, studio: Studio) -> Picture:
    return picture.filter(ImageFilter.UnsharpMask(2, round(130 * step.strength), 2))


def _inverted(picture: Picture, step: Step, studio: Studio) -> Picture:
    return ImageOps.invert(picture)


def _posterized(picture: Picture, step: Step, studio: Studio) -> Picture:
    return styles.grade_pixels(picture, styles.pop).point([value // 64 * 85 for value in range(256)] * 3)


def _pixelated(picture: Picture, step: Step, studio: Studio) -> Picture:
    return styles.pixelated(picture, cells=64)


def _tinted(picture: Picture, step: Step, studio: Studio) -> Picture:
    tint, share = parse(step.colour), min(0.85, 0.55 * step.strength)

    def grade(colour: tuple[float, float, float]) -> tuple[float, float, float]:
        light = luminance(colour) / 255
        toned = blend((0, 0, 0), tint, light * 2) if light < 0.5 else blend(tint, (255, 255, 255), light * 2 - 1)
        return blend(colour, toned, share)

    return styles.grade_pixels(picture, grade)


def _vignetted(picture: Picture, step: Step, studio: Studio) -> Picture:
    edge = (
        Image.radial_gradient("L")
        .resize(picture.size, Image.Resampling.BILINEAR)
        .point(lambda value: max(0, value - 90) * 1.05 * min(1.2, step.strength))
    )
    return pixels.composite(Image.new("RGB", picture.size, "#0a0a12"), picture, edge)


def _blurred_background(picture: Picture, step: Step, studio: Studio) -> Picture:
    scale = 2 if min(picture.size) > 400 else 1
    small = picture.reduce(scale) if scale > 1 else picture
    soft = _softened(small, min(small.size) * 0.016 * step.strength).resize(picture.size, Image.Resampling.BILINEAR)
    return pixels.composite(picture, soft, subject_mask(picture))


def _new_background(picture: Picture, step: Step, studio: Studio) -> Picture:
    if step.colour:
        behind = Image.new("RGB", picture.size, step.colour)
    else:
        reading = replace(step.reading, things=[])
        behind = studio.raster.draw(
            scenes.to_svg(scenes.compose(reading, picture.size, studio.seed), studio.icons), *picture.size
        ).convert("RGB")
    return pixels.composite(picture, behind, subject_mask(picture))


def _new_sky(picture: Picture, step: Step, studio: Studio) -> Picture:
    reading = replace(step.reading, things=[], setting="hills")
    scene = scenes.compose(reading, picture.size, studio.seed)
    new = studio.raster.draw(scenes.sky_svg(replace(scene, horizon=picture.height * 0.62)), *picture.size).convert(
        "RGB"
    )
    mask = sky_mask(picture)
    if scene.time in _RELIGHTS:
        picture = styles.grade_pixels(picture, _RELIGHTS[scene.time])
    return pixels.composite(new, picture, mask)


def _night(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    return blend((colour[0] * 0.4, colour[1] * 0.44, colour[2] * 0.55), (16, 30, 80), 0.22)


def _sunset(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    return blend((colour[0] * 0.98, colour[1] * 0.82, colour[2] * 0.72), (255, 120, 60), 0.16)


_RELIGHTS: Final[Mapping[str, Grade]] = {
    "night": _night,
    "aurora": _night,
    "dusk": _night,
    "sunset": _sunset,
    "dawn": _sunset,
}


def _relit(time: str) -> "Colouring":
    return lambda picture, step, studio: _new_sky(picture, replace(step, reading=Reading(time=time)), studio)


def _weather(kind: str) -> "Colouring":
    def colour(picture: Picture, step: Step, studio: Studio) -> Picture:
        stage = Stage(*picture.size, picture.height * 0.5, LIGHTS["day"][0], chance(studio.seed))
        sky.paint_weather(stage, kind)
        if kind != "fog":
            picture = styles.grade_pixels(picture, lambda rgb: saturated(rgb, 0.8))
        return pixels.laid_over(picture, studio.raster.draw(document(*picture.size, stage.svg), *picture.size))

    return colour


def _added(picture: Picture, step: Step, studio: Studio) -> Picture:
    placed = overlay(step.reading, picture.size, step.spot, chance(studio.seed))
    svg = scenes.overlay_svg(placed, picture.size, studio.icons)
    return pixels.laid_over(picture, studio.raster.draw(svg, *picture.size))


Colouring: TypeAlias = Callable[[Picture, Step, Studio], Picture]
COLOURINGS: Final[Mapping[str, Colouring]] = {
    "mono": _mono, "sepia": _graded(styles.sepia), "vintage": _styled("vintage"), "pastel": _styled("pastel"),
    "neon": _styled("neon"), "pop": _styled("pop"), "autumn": _styled("autumn"), "blueprint": _styled("blueprint"),
    "watercolour": _styled("watercolour"), "oil": _styled("oil"), "pencil": _styled("pencil"), "warmer": _warmer,
    "cooler": _cooler, "darker": _darker, "brighter": _brighter, "more_contrast": _contrast(1),
    "less_contrast": _contrast(-1), "more_saturation": _saturation(1), "less_saturation": _saturation(-1),
    "blur": _blurred, "sharpen": _sharpened, "invert": _inverted, "posterize": _posterized, "pixelate": _pixelated,
    "tint": _tinted, "vignette": _vignetted, "blur_background": _blurred_background,
    "replace_background": _new_background, "replace_sky": _new_sky, "night": _relit("night"),
    "sunset": _relit("sunset"), "rain": _weather("rain"), "snow": _weather("snow"), "fog": _weather("fog"),
}  # fmt: skip
"""Steps on the colours of an RGB picture; its size stays."""


# Steps that change the shape or what is transparent, on RGB or RGBA.


def _flipped(picture: Picture, step: Step, studio: Studio) -> Picture:
    return ImageOps.mirror(picture)


def _flipped_vertically(picture: Picture, step: Step, studio: Studio) -> Picture:
    return ImageOps.flip(picture)


_QUARTERS: Final = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


def _rotated(picture: Picture, step: Step, studio: Studio) -> Picture:
    degrees = step.degrees % 360
    if degrees % 90 == 0:
        return picture.transpose(_QUARTERS[degrees]) if degrees else picture
    return pixels.turned(picture, degrees, (255, 255, 255, 0)[: len(picture.getbands())])


def _zoomed(picture: Picture, step: Step, studio: Studio) -> Picture:
    share = 1 / (1 + 0.4 * step.strength)
    width, height = picture.width * share, picture.height * share
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.resize(picture.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def _without_background(picture: Picture, step: Step, studio: Studio) -> Picture:
    mask = subject_mask(picture.convert("RGB"))
    if picture.mode == "RGBA":
        mask = ImageChops.multiply(mask, picture.getchannel("A"))
    result = picture.convert("RGBA")
    result.putalpha(mask)
    return result


def _framed(picture: Picture, step: Step, studio: Studio) -> Picture:
    edge = max(1, round(min(picture.size) * 0.04 * step.strength))
    line = max(1, edge // 14)
    framed = ImageOps.crop(picture, edge) if min(picture.size) > 2 * edge + 2 * line else picture
    framed = ImageOps.expand(ImageOps.crop(framed, line), line, "#7a7a7a") if framed is not picture else picture
    return ImageOps.expand(framed, edge, step.colour or "#ffffff") if framed is not picture else picture


def _rounded(picture: Picture, step: Step, studio: Studio) -> Picture:
    mask = Image.new("L", (picture.width * 2, picture.height * 2), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, mask.width - 1, mask.height - 1), round(min(mask.size) * 0.08), fill=255
    )
    mask = mask.reduce(2)
    result = picture.convert("RGBA")
    result.putalpha(ImageChops.multiply(mask, result.getchannel("A")))
    return result


SHAPES: Final[Mapping[str, Colouring]] = {
    "flip": _flipped, "flip_vertical": _flipped_vertically, "rotate": _rotated, "zoom": _zoomed,
    "remove_background": _without_background, "border": _framed, "rounded": _rounded,
    "add": _added,
}  # fmt: skip
"""Steps that a picture with alpha goes through whole."""
