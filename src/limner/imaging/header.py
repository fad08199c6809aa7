"""What the container of a picture says before anything is decoded, and the bounds that it must keep."""

from dataclasses import dataclass

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.service.ports import InvalidPictureError

TOO_SHORT = "the file ends too early"
TRAILING = "there are bytes after the end of the picture"
ANIMATED = "animated pictures are not taken; send a still one"
DAMAGED = "the picture is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A picture whose container was walked to its exact end."""

    format: OutputFormat
    width: int
    height: int
    buffered_bytes: int = 0
    """What decoding keeps in memory beside the pixels, such as the coefficients of a progressive JPEG."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def require_dimensions(width: int, height: int) -> None:
    """Refuse what is empty or larger than the limits; called before anything of that size is allocated."""
    if not width or not height:
        raise InvalidPictureError("the picture has no pixels")
    if max(width, height) > limits.MAX_EDGE_PIXELS:
        raise InvalidPictureError(
            f"the picture is {width}x{height} pixels; no side may be longer than {limits.MAX_EDGE_PIXELS}"
        )
    if width * height > limits.MAX_PIXELS:
        megapixels = limits.MAX_PIXELS // 1_000_000
        raise InvalidPictureError(f"the picture is {width}x{height} pixels; at most {megapixels} megapixels are taken")
