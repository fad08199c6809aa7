"""Whole pictures: bytes and words in, bytes out."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageOps

from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS
from limner.models.sketching import styles
from limner.models.sketching.editing import Studio, edit
from limner.models.sketching.icons import IconLibrary
from limner.models.sketching.instructions import understand
from limner.models.sketching.raster import Raster
from limner.models.sketching.reading import read
from limner.models.sketching.scene import compose, to_svg
from limner.models.sketching.telling import tell_edit, tell_reading

_PIXELS: Final = 1024 * 1024
_STEP: Final = 2
"""Edges are a ratio's numbers times a multiple of this."""

_MOST_PIXELS: Final = 4 * 1024 * 1024
"""Larger inputs of edits are made smaller."""

_SAVE_OPTIONS: Final[Mapping[OutputFormat, Mapping[str, Any]]] = {
    # Level 3 takes 60 % of the time of the usual 6 and makes drawings 10 % larger.
    OutputFormat.PNG: {"format": "PNG", "compress_level": 3},
    OutputFormat.JPEG: {"format": "JPEG", "quality": 90},
    OutputFormat.WEBP: {"format": "WEBP", "quality": 88, "method": 1},
}


def canvas_size(aspect_ratio: str) -> tuple[int, int]:
    """Return width and height in pixels: exactly this ratio, about one megapixel."""
    wide, high = ASPECT_RATIOS[aspect_ratio]
    factor = round(math.sqrt(_PIXELS / (wide * high)) / _STEP) * _STEP
    return wide * factor, high * factor


@dataclass(frozen=True, slots=True)
class Made:
    """A picture as a file, and its size in pixels."""

    data: bytes
    width: int
    height: int


class Painter:
    """Makes and edits pictures. Threads may share it."""

    def __init__(self) -> None:
        self._icons = IconLibrary()
        self._raster = Raster()

    def generate(self, prompt: str, aspect_ratio: str, output_format: OutputFormat, seed: int) -> Made:
        """Return a picture of the prompt."""
        reading = read(prompt, self._icons)
        width, height = canvas_size(aspect_ratio)
        scene = compose(reading, (width, height), seed)
        svg = styles.graded(to_svg(scene, self._icons), reading.style)
        picture = self._raster.draw(svg, width, height).convert("RGB")
        return Made(encoded(styles.finished(picture, reading.style, seed), output_format), width, height)

    def edit(
        self, instruction: str, inputs: Sequence[bytes], aspect_ratio: str, output_format: OutputFormat, seed: int
    ) -> Made:
        """Return the edited picture. Raises ``OSError`` for an input that is no picture."""
        steps = understand(instruction, self._icons, seed)
        studio = Studio(self._icons, self._raster, seed)
        result = edit([decoded(data) for data in inputs], steps, ASPECT_RATIOS.get(aspect_ratio), studio)
        return Made(encoded(result, output_format), result.width, result.height)

    def tell_generation(self, prompt: str) -> str:
        """Return in plain words what of a prompt is drawn and what is not."""
        return tell_reading(read(prompt, self._icons))

    def tell_edit(self, instruction: str, inputs: int, seed: int) -> str:
        """Return in plain words what an instruction is understood as."""
        return tell_edit(understand(instruction, self._icons, seed), inputs)


def decoded(data: bytes) -> Image.Image:
    """Return a picture as RGB, or RGBA when it has alpha: upright, and at most four megapixels.

    Raises ``OSError`` for bytes that are no picture.
    """
    picture: Image.Image = Image.open(io.BytesIO(data))
    shrink = math.sqrt(picture.width * picture.height / _MOST_PIXELS)
    if shrink > 1:
        # A JPEG is decoded at a fraction of its size in a fraction of the time.
        picture.draft(None, (round(picture.width / shrink), round(picture.height / shrink)))
    upright = _eight_bit(ImageOps.exif_transpose(picture))
    shrink = math.sqrt(upright.width * upright.height / _MOST_PIXELS)
    if shrink > 1:
        upright = upright.resize((int(upright.width / shrink), int(upright.height / shrink)), Image.Resampling.BOX)
    return upright


def _eight_bit(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # Sixteen bits per pixel: Pillow would cut, not scale.
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def encoded(picture: Image.Image, output_format: OutputFormat) -> bytes:
    """Return the picture as a file; alpha becomes white in a JPEG."""
    if output_format is OutputFormat.JPEG and picture.mode == "RGBA":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, (0, 0), picture)
        picture = white
    file = io.BytesIO()
    picture.save(file, **_SAVE_OPTIONS[output_format])
    return file.getvalue()
