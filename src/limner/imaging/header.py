"""What the container of a picture says before anything is decoded, and the bounds that it must keep."""

from dataclasses import dataclass

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.orientation import UPRIGHT, is_turned
from limner.service.ports import InvalidPictureError, PictureInfo

TOO_SHORT = "the file ends too early"
ANIMATED = "animated pictures are not taken; send a still one"
DAMAGED = "the picture is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A picture whose container was walked to its end."""

    format: OutputFormat
    width: int
    """As it is stored; shown it may lie on its side."""
    height: int
    end: int
    """Where the first picture ends, in bytes. Phones let videos, gain maps and notes of their own follow."""
    orientation: int = UPRIGHT
    """1 to 8, as EXIF counts."""
    signed: bool = False
    """It carries a manifest (C2PA), whose signature may cover all bytes of the file."""
    animated: bool = False
    removable: tuple[tuple[int, int], ...] = ()
    """Where there is what no pixel needs, from one byte up to another: EXIF data, texts, marks."""
    private: bool = False
    """Whether any of this may tell of a place or a person."""
    buffered_bytes: int = 0
    """What decoding keeps in memory beside the pixels, such as the coefficients of a progressive JPEG."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def info(self) -> PictureInfo:
        """What the picture is, in the size in which it is shown."""
        return info_of(self.format, (self.width, self.height), self.orientation)


def info_of(format_: OutputFormat, size: tuple[int, int], orientation: int) -> PictureInfo:
    """Return what a picture is that is stored in this size."""
    width, height = reversed(size) if is_turned(orientation) else size
    return PictureInfo(format=format_, width=width, height=height)


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
