"""Colours, as ``(red, green, blue)`` of 0 to 255 or as ``#rrggbb``, and what is done to those in an SVG text."""

import colorsys
import re
from collections.abc import Callable
from typing import Final, TypeAlias

Rgb: TypeAlias = tuple[float, float, float]
Grade: TypeAlias = Callable[[Rgb], Rgb]
"""Changes every colour of a picture in the same way."""

_HEX: Final = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_GREY_SATURATION: Final = 0.2
_HUE_REACH: Final = 45
"""How far, in degrees, a hue may be from the main hue of an icon to be painted over with it."""


def parse(text: str) -> Rgb:
    """Return the colour of ``#rrggbb`` or ``#rgb``."""
    digits = text[1:] if len(text) == 7 else "".join(digit * 2 for digit in text[1:])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def to_hex(colour: Rgb) -> str:
    """Return ``#rrggbb``."""
    return "#" + "".join(f"{min(255, max(0, round(part))):02x}" for part in colour)


def mix(one: str, other: str, share: float) -> str:
    """Return ``one`` with a ``share`` of 0 to 1 of ``other`` in it."""
    return to_hex(blend(parse(one), parse(other), share))


def blend(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Return ``one`` with a ``share`` of 0 to 1 of ``other`` in it."""
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def luminance(colour: Rgb) -> float:
    """Return the lightness that the eye sees, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def saturated(colour: Rgb, factor: float) -> Rgb:
    """Return the colour with its distance from grey multiplied."""
    grey = luminance(colour)
    return blend((grey, grey, grey), colour, factor)


def regrade(svg: str, grade: Grade) -> str:
    """Return the text with every colour in it changed."""
    done: dict[str, str] = {}

    def changed(match: re.Match[str]) -> str:
        old = match[0]
        if old not in done:
            done[old] = to_hex(grade(parse(old)))
        return done[old]

    return _HEX.sub(changed, svg)


def repaint(svg: str, main_hue: int, colour: str) -> str:
    """Return a drawing whose main colour became ``colour``, with its lights and shadows kept.

    ``main_hue`` is the hue to paint over, in degrees; -1 paints over the greys.
    """
    target = colorsys.rgb_to_hls(*(part / 255 for part in parse(colour)))
    return regrade(svg, lambda old: _repainted(old, main_hue, target))


def _repainted(old: Rgb, main_hue: int, target: tuple[float, float, float]) -> Rgb:
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in old))
    if not _is_main(hue * 360, light, saturation, main_hue):
        return old
    # The middle of an icon's tones lies near 0.55; what is lighter or darker stays so.
    lightness = min(0.97, max(0.04, target[1] + (light - 0.55) * 0.6))
    red, green, blue = colorsys.hls_to_rgb(target[0], lightness, target[2])
    return red * 255, green * 255, blue * 255


def _is_main(hue: float, light: float, saturation: float, main_hue: int) -> bool:
    grey = saturation < _GREY_SATURATION or light < 0.06
    if main_hue < 0:
        return grey and light > 0.2
    distance = abs((hue - main_hue + 180) % 360 - 180)
    return not grey and light < 0.96 and distance <= _HUE_REACH
