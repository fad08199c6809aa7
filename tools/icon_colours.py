"""Colours of SVG fragments, written so that ThorVG and ``sketch.colours`` read them: ``#rrggbb``, opacity apart.

ThorVG 1.0.4 knows ``#rgb``, ``#rrggbb``, ``rgb()``, ``hsl()`` and the names of SVG 1.1. All others it paints as opaque
black, and says that all went well (see ``findings/thorvg-colours.sh``).
"""

import re
from typing import Final

from PIL import ImageColor

_ELEMENT: Final = re.compile(r"<[A-Za-z][^<>]*>")
_OPACITIES: Final = {"fill": "fill-opacity", "stroke": "stroke-opacity", "stop-color": "stop-opacity"}
_ELSEWHERE: Final = re.compile(r"<style\b|\s(style|class|color|flood-color|lighting-color|solid-color)\s*=")
"""Where colours may be that are not looked at here."""

_PAINT: Final = re.compile(r'\s(fill|stroke|stop-color)="([^"]*)"')
_NO_COLOUR: Final = re.compile(r"none|url\(#[\w.-]+\)")
_FUNCTION: Final = re.compile(r"(rgb|hsl)a?\(([^()]*)\)")


class UnknownColourError(Exception):
    """A drawing names a colour in a way that is not known here."""


def plain_colours(svg: str) -> str:
    """Return the fragment with every colour as ``#rrggbb`` and its opacity in the attribute for that."""
    if found := _ELSEWHERE.search(svg):
        raise UnknownColourError(f"colours may hide in {found[0].strip()!r}")
    return _ELEMENT.sub(lambda element: _element(element[0]), svg)


def _element(element: str) -> str:
    for attribute, value in _PAINT.findall(element):
        if _NO_COLOUR.fullmatch(value):
            continue
        colour, opacity = parsed(value)
        element = element.replace(f' {attribute}="{value}"', f' {attribute}="{colour}"', 1)
        if opacity < 1:
            element = _fainter(element, _OPACITIES[attribute], opacity)
    return element


def _fainter(element: str, attribute: str, opacity: float) -> str:
    before = re.search(rf'\s{attribute}="([^"]*)"', element)
    if before is None:
        return re.sub(r"(\s*/?>)$", rf' {attribute}="{opacity:.3g}"\1', element)
    return element.replace(before[0], f' {attribute}="{_number(before[1]) * opacity:.3g}"', 1)


def parsed(text: str) -> tuple[str, float]:
    """Return the colour as ``#rrggbb`` and its opacity, 0 to 1."""
    text = text.strip().lower()
    if text == "transparent":
        return "#000000", 0.0
    opacity = 1.0
    if function := _FUNCTION.fullmatch(text):
        parts = [part for part in re.split(r"[\s,/]+", function[2].strip()) if part]
        if len(parts) == 4:
            opacity = _number(parts.pop())
        text = f"{function[1]}({','.join(parts)})"
    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
    except ValueError as error:
        raise UnknownColourError(f"{text!r} is no colour that is known here") from error
    return f"#{red:02x}{green:02x}{blue:02x}", min(1.0, opacity * (alpha[0] / 255 if alpha else 1))


def _number(text: str) -> float:
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
