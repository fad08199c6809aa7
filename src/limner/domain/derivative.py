"""Pictures made from kept ones for showing: smaller, or in another format."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WIDTHS: Final = (128, 256, 512, 1024, 2048)
"""The only widths, in pixels, so that nobody fills the storage with one for each."""


class DerivativeFormat(StrEnum):
    """A file format of derivatives."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def content_type(self) -> str:
        """The MIME type, such as ``image/avif``."""
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class Derivative:
    """Which derivative of a picture: upright, at most so wide, in a format."""

    width: int
    """One of ``WIDTHS``, or 0: as wide as the picture. It is never made wider than that."""
    format: DerivativeFormat

    @property
    def name(self) -> str:
        """Its name among the variants of its picture, such as ``512.webp``."""
        return f"{self.width or 'full'}.{self.format.value}"
