"""The icons as they are built: nothing in them that ThorVG would paint as something else."""

import re

import pytest

from sketch.icons import BOX, IconLibrary
from sketch.raster import Raster, document
from tools.icon_colours import UnknownColourError, plain_colours

KNOWN = re.compile(r"none|#[0-9a-f]{6}|url\(#[\w.-]+\)")


@pytest.fixture(scope="module")
def icons() -> IconLibrary:
    return IconLibrary()


def test_every_colour_of_every_icon_is_one_that_is_painted_as_it_is_written(icons: IconLibrary) -> None:
    paints = re.compile(r'(?:fill|stroke|color|stop-color)="([^"]*)"|(style|class)=')
    found = {
        name: [value for value, other in paints.findall(icons.drawing(name)) if other or not KNOWN.fullmatch(value)]
        for name in icons.names
    }
    assert len(found) > 1000
    assert {name: values for name, values in found.items() if values} == {}


@pytest.mark.parametrize(("name", "spot"), [("sun-with-face", (43, 66)), ("disguised-face", (51, 76))])
def test_what_is_half_transparent_lets_the_face_show_through(
    icons: IconLibrary, name: str, spot: tuple[int, int]
) -> None:
    picture = Raster().draw(document(BOX, BOX, icons.drawing(name)), BOX, BOX)
    red, green, blue, alpha = picture.getpixel(spot)  # type: ignore[misc]
    assert alpha == 255
    assert red > 200
    assert green > 120 > blue


@pytest.mark.parametrize(
    ("written", "built"),
    [
        ('<path fill="#FFF"/>', '<path fill="#ffffff"/>'),
        ('<path fill="rebeccapurple" d="M0 0"/>', '<path fill="#663399" d="M0 0"/>'),
        ('<stop offset="1" stop-color="rgba(182, 112, 0, .89)"/>',
         '<stop offset="1" stop-color="#b67000" stop-opacity="0.89"/>'),
        ('<stop stop-color="rgb(0 0 255 / 50%)"></stop>', '<stop stop-color="#0000ff" stop-opacity="0.5"></stop>'),
        ('<path fill="#ff000080" fill-opacity=".5"/>', '<path fill="#ff0000" fill-opacity="0.251"/>'),
        ('<path stroke="hsl(120, 100%, 50%)"/>', '<path stroke="#00ff00"/>'),
        ('<path stroke="transparent"/>', '<path stroke="#000000" stroke-opacity="0"/>'),
        ('<path fill="none" stroke="url(#a)"/>', '<path fill="none" stroke="url(#a)"/>'),
    ],
)  # fmt: skip
def test_colours_are_built_plain_with_their_opacity_apart(written: str, built: str) -> None:
    assert plain_colours(written) == built


@pytest.mark.parametrize(
    "svg",
    [
        '<path fill="currentColor"/>',
        '<path fill="lab(50% 40 59)"/>',
        '<path fill="color-mix(in srgb, red, blue)"/>',
        '<path style="fill:red"/>',
        "<style>path{fill:red}</style>",
        '<feFlood flood-color="red"/>',
    ],
)
def test_colours_that_are_not_known_end_the_build(svg: str) -> None:
    with pytest.raises(UnknownColourError):
        plain_colours(svg)
