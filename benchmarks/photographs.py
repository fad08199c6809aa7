"""Pictures as models make them: soft colours with the grain of a photograph, compressed as a provider does it.

They are the same in each run. A PNG of them takes half of its pixels' bytes, and inflates as slowly as a real one.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from tests.pictures import encoded, painting

GRAIN: Final = 0.03
"""Share of noise in each pixel."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture to be made; its size in bytes is about what its name says."""

    name: str
    format: str
    edge: int
    """In pixels."""
    quality: int = 0

    def encoded(self) -> bytes:
        """Return the file."""
        options: dict[str, Any] = {"quality": self.quality} if self.quality else {}
        return encoded(grained(self.edge), self.format.upper(), **options)


PNG_12_KIB: Final = Photograph("PNG of 12 KiB", "png", 84)
PNG_1_4_MIB: Final = Photograph("PNG of 1.4 MiB", "png", 950)
PNG_8_MIB: Final = Photograph("PNG of 8 MiB", "png", 2270)
JPEG_1_4_MIB: Final = Photograph("JPEG of 1.4 MiB", "jpeg", 2086, 95)
JPEG_4_MIB: Final = Photograph("JPEG of 4 MiB", "jpeg", 3030, 97)
WEBP_0_5_MIB: Final = Photograph("WebP of 0.5 MiB", "webp", 1264, 98)


def grained(edge: int) -> Image.Image:
    """Return a square of soft colours under grain."""
    noise = Image.frombytes("RGB", (edge, edge), random.Random(edge).randbytes(edge * edge * 3))
    return Image.blend(painting(edge, edge), noise, GRAIN)
