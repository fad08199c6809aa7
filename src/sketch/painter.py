"""The two functions that the package is there for: words, or words and pictures, in; a picture and words out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Final

from PIL import Image

from sketch import styles
from sketch.editing import Studio
from sketch.editing import edit as edited
from sketch.icons import IconLibrary
from sketch.instructions import understand
from sketch.raster import Raster
from sketch.reading import read
from sketch.scene import compose, to_svg
from sketch.telling import tell_edit, tell_reading

_OPENING: Final = Lock()


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture, and in plain words what of the prompt it shows and what not."""

    picture: Image.Image
    description: str


@dataclass(frozen=True, slots=True)
class _Tools:
    icons: IconLibrary
    raster: Raster


def paint(prompt: str, size: tuple[int, int], seed: int) -> Painted:
    """Return an RGB picture of the prompt, of this width and height in pixels. Threads may call it at once.

    The same prompt, size and seed make the same picture.
    """
    tools = _opened()
    reading = read(prompt, tools.icons)
    svg = styles.graded(to_svg(compose(reading, size, seed), tools.icons), reading.style)
    picture = styles.finished(tools.raster.draw(svg, *size).convert("RGB"), reading.style, seed)
    return Painted(picture, tell_reading(reading))


def edit(instruction: str, pictures: Sequence[Image.Image], ratio: tuple[int, int] | None, seed: int) -> Painted:
    """Return the pictures edited, and put together when they are several. Threads may call it at once.

    ``pictures`` are upright, of mode RGB or RGBA; so is the result. It has this ratio of width to height, or the
    shape that comes of the pictures and the instruction when there is none.
    """
    tools = _opened()
    steps = understand(instruction, tools.icons, seed)
    picture = edited(pictures, steps, ratio, Studio(tools.icons, tools.raster, seed))
    return Painted(picture, tell_edit(steps, len(pictures)))


def _opened() -> _Tools:
    # One for all threads, whichever comes first.
    with _OPENING:
        return _tools()


@cache
def _tools() -> _Tools:
    return _Tools(IconLibrary(), Raster())
