"""Pictures as a network takes them, and back: alpha and colour."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from PIL import Image, ImageFilter

from limner.domain.image import OutputFormat
from limner.imaging.decoding import decoded
from limner.imaging.encoding import Effort, encoded
from limner.models.realesrgan.tiling import Pixels
from limner.service.ports import ReadyPicture

_BLEED_PIXELS: Final = 8
_EFFORT: Final = Effort(png_level=4, jpeg_quality=95, webp_quality=95, webp_method=4)
"""Level 4 makes such pictures as small as 6, in a third of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded picture, upright."""

    colours: Image.Image
    """Mode RGB. Behind fully transparent pixels it shows the colours next to them."""
    alpha: Image.Image | None
    grey: bool
    profile: bytes | None
    """ICC profile of the colours."""

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a picture. Raises ``InvalidPictureError`` when it can't be."""
        picture = decoded(data)
        return cls(
            colours=_bled(picture.coloured) if picture.has_alpha else picture.coloured,
            alpha=picture.image.getchannel("A") if picture.has_alpha else None,
            grey=picture.is_grey,
            profile=picture.profile,
        )

    @property
    def pixels(self) -> Pixels:
        """The colours, height x width x 3."""
        return np.asarray(self.colours)

    def encode_larger(self, larger: Image.Image, output_format: OutputFormat) -> ReadyPicture:
        """Return the enlarged colours as a file, with this picture's alpha enlarged by Lanczos' filter.

        A JPEG has no alpha: it shows the picture on white.
        """
        if self.alpha is not None:
            larger.putalpha(self.alpha.resize(larger.size, Image.Resampling.LANCZOS))
        if self.grey:
            larger = larger.convert("LA" if larger.mode == "RGBA" else "L")
        return encoded(larger, output_format, profile=self.profile, effort=_EFFORT)


def _bled(image: Image.Image) -> Image.Image:
    """Return the colours of an RGBA picture, those beside its transparent pixels spread into these.

    What editors leave in transparent pixels, mostly black, would else show as a rim after enlarging.
    """
    spread = image.convert("RGBa").filter(ImageFilter.BoxBlur(_BLEED_PIXELS)).convert("RGBA").convert("RGB")
    visible = image.getchannel("A").point(lambda alpha: 255 if alpha else 0)
    return Image.composite(image.convert("RGB"), spread, visible)
