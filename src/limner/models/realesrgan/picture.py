"""Bytes to pixels and back: orientation, alpha, colour and formats."""

import io
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from limner.models.realesrgan.tiling import Pixels

_BLEED_PIXELS: Final = 8
_SAVE_OPTIONS: Final[dict[str, dict[str, int]]] = {
    "png": {"compress_level": 4},  # as small as 6 for such pictures, in a third of the time
    "jpeg": {"quality": 95},
    "webp": {"quality": 95, "method": 4},
}


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
        """Decode a PNG, JPEG or WebP file, turned as its EXIF orientation says."""
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as file:
            image = _with_8_bits(ImageOps.exif_transpose(file))
        grey = image.mode in ("1", "L", "LA")
        profile = None if grey or image.mode == "CMYK" else image.info.get("icc_profile")
        if not image.has_transparency_data:
            return cls(colours=image.convert("RGB"), alpha=None, grey=grey, profile=profile)
        image = image.convert("RGBA")
        return cls(colours=_bled(image), alpha=image.getchannel("A"), grey=grey, profile=profile)

    @property
    def pixels(self) -> Pixels:
        """The colours, height x width x 3."""
        return np.asarray(self.colours)

    def encode_larger(self, larger: Image.Image, output_format: str) -> bytes:
        """Return the enlarged colours as a file, with this picture's alpha enlarged by Lanczos' filter.

        A JPEG has no alpha: it shows the picture on white.
        """
        if self.alpha is not None:
            larger.putalpha(self.alpha.resize(larger.size, Image.Resampling.LANCZOS))
            if output_format == "jpeg":
                larger = Image.alpha_composite(Image.new("RGBA", larger.size, "white"), larger).convert("RGB")
        if self.grey:
            larger = larger.convert("LA" if larger.mode == "RGBA" else "L")
        file = io.BytesIO()
        larger.save(file, output_format, icc_profile=self.profile, **_SAVE_OPTIONS[output_format])
        return file.getvalue()


def _with_8_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))


def _bled(image: Image.Image) -> Image.Image:
    """Return the colours of an RGBA picture, those beside its transparent pixels spread into these.

    What editors leave in transparent pixels, mostly black, would else show as a rim after enlarging.
    """
    spread = image.convert("RGBa").filter(ImageFilter.BoxBlur(_BLEED_PIXELS)).convert("RGBA").convert("RGB")
    visible = image.getchannel("A").point(lambda alpha: 255 if alpha else 0)
    return Image.composite(image.convert("RGB"), spread, visible)
