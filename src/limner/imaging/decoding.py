"""From a file to pixels: the one place that opens pictures. Blocks; large ones belong into a process of their own.

Whatever comes in, what comes out is upright and has 8 bits for each of its channels. Of an animation it is the first
frame. Pillow does the decoding, and libheif that of HEIC.
"""

import importlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from limner.domain.image import OutputFormat
from limner.imaging.containers import bared, inspect
from limner.imaging.header import DAMAGED, TOO_SHORT, Header, require_dimensions
from limner.imaging.orientation import UPRIGHT, orientation_in
from limner.imaging.png_rows import mended
from limner.imaging.signature import Kind, sniff
from limner.service.ports import InvalidPictureError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_SPACES: Final = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}
_PROFILE_SPACE: Final = slice(16, 20)
"""Where an ICC profile names the kind of pixels that it speaks of (ICC.1:2022, 7.2.6)."""

_DECODERS: Final = {
    Kind.PNG: ("PIL.PngImagePlugin", "PngImageFile"),
    Kind.JPEG: ("PIL.JpegImagePlugin", "JpegImageFile"),
    Kind.WEBP: ("PIL.WebPImagePlugin", "WebPImageFile"),
    Kind.AVIF: ("PIL.AvifImagePlugin", "AvifImageFile"),
    Kind.HEIC: ("pi_heif", "HeifImageFile"),
    Kind.GIF: ("PIL.GifImagePlugin", "GifImageFile"),
    Kind.TIFF: ("PIL.TiffImagePlugin", "TiffImageFile"),
    Kind.BMP: ("PIL.BmpImagePlugin", "BmpImageFile"),
}
"""Each with the module that is imported when the first such picture comes."""

_OURS: Final = (Kind.PNG, Kind.JPEG, Kind.WEBP)

NO_HEIF: Final = "the file is a HEIC picture, which this service has no decoder for; send a PNG, JPEG or WebP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A picture's pixels."""

    image: "Image"
    """Upright; mode L, LA, RGB or RGBA, whichever holds all of it."""
    profile: bytes | None
    """The ICC profile, when it speaks of such pixels."""

    @property
    def is_grey(self) -> bool:
        """Whether it has no colours."""
        return self.image.mode in ("L", "LA")

    @property
    def has_alpha(self) -> bool:
        """Whether parts of it may be transparent."""
        return self.image.mode in ("LA", "RGBA")

    @property
    def coloured(self) -> "Image":
        """The pixels as RGB, or RGBA when it has alpha."""
        return in_mode(self.image, "RGBA" if self.has_alpha else "RGB")


def decoded(data: bytes, *, most_pixels: int | None = None, least_edge: int | None = None) -> Decoded:
    """Return the pixels of a PNG, JPEG, WebP, AVIF, HEIC, GIF, TIFF or BMP file, found out by its content.

    One with more than ``most_pixels`` is made smaller, a JPEG in a fraction of the time. A JPEG may be as well when
    no edge of it gets shorter than ``least_edge``. What viewers don't look at, such as a wrong checksum, does not
    matter. Raises ``InvalidPictureError`` for what can't be decoded whole, and for what is beyond the limits, before
    anything of its size is allocated.
    """
    kind = sniff(data)
    try:
        picture = _loaded(data, kind, most_pixels, least_edge)
    except InvalidPictureError:
        if kind is not Kind.PNG:
            raise
        picture = _loaded(mended(data), kind, most_pixels, least_edge)
    return _normal(_shrunk(picture, most_pixels), _orientation(data, picture, kind))


def stored_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels as the head of the file says; refuses what is beyond the limits."""
    picture = opened(data, sniff(data))
    require_dimensions(*picture.size)
    return picture.size


def look_through(data: bytes) -> None:
    """Decode a JPEG or WebP to its end and forget it; a JPEG at an eighth of its size, which reads all of it too.

    Of a PNG Pillow reads the head only, to agree that it is one.
    """
    kind = sniff(data)
    picture = opened(data, kind)
    require_dimensions(*picture.size)
    if kind is Kind.PNG:
        return
    if kind is Kind.JPEG:
        picture.draft(None, (max(1, picture.width // 8), max(1, picture.height // 8)))
    _load(picture)


def opened(data: bytes, kind: Kind) -> "ImageFile":
    """Return the file with its head read, by the decoder of this kind alone; no other one gets to see it.

    A JPEG's is not given EXIF data, which it would read for a resolution, and raise on what is odd there.
    """
    header = _header(data, kind) if kind is Kind.JPEG else None
    try:
        return _decoder(kind)(io.BytesIO(bared(data, header) if header else data))
    except InvalidPictureError:
        raise
    except Exception as error:
        raise InvalidPictureError(DAMAGED) from error


def in_mode(picture: "Image", mode: str) -> "Image":
    """Return the picture in a mode, itself when it has that."""
    return picture if picture.mode == mode else picture.convert(mode)


def _decoder(kind: Kind) -> "type[ImageFile]":
    # Not Image.open: that would try other formats, and warn about sizes that were checked already.
    module, name = _DECODERS[kind]
    try:
        decoder: type[ImageFile] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise InvalidPictureError(NO_HEIF) from error
    return decoder


def _loaded(data: bytes, kind: Kind, most_pixels: int | None, least_edge: int | None) -> "ImageFile":
    picture = opened(data, kind)
    require_dimensions(*picture.size)
    shrink = min(picture.size) / least_edge if least_edge else _shrink(picture, most_pixels)
    if shrink > 1 and kind is Kind.JPEG:
        picture.draft(None, (max(1, round(picture.width / shrink)), max(1, round(picture.height / shrink))))
    _load(picture)
    return picture


def _load(picture: "ImageFile") -> None:
    try:
        picture.load()
    except MemoryError as error:
        raise InvalidPictureError("decoding the picture takes too much memory") from error
    except Exception as error:
        raise InvalidPictureError(TOO_SHORT if "truncated" in str(error) else DAMAGED) from error


def _header(data: bytes, kind: Kind) -> Header | None:
    """Return what the container of one of our formats says; ``None`` when it does not come to its end."""
    try:
        return inspect(data, kind.ours) if kind.ours else None
    except InvalidPictureError:
        return None


def _orientation(data: bytes, picture: "Image", kind: Kind) -> int:
    """Return how the pixels lie. The decoders of HEIC and TIFF have turned them already; GIF and BMP say nothing."""
    if header := _header(data, kind):
        return header.orientation
    exif = picture.info.get("exif")
    return orientation_in(exif) if kind in (*_OURS, Kind.AVIF) and isinstance(exif, bytes) else UPRIGHT


def _shrink(picture: "Image", most_pixels: int | None) -> float:
    return math.sqrt(picture.width * picture.height / most_pixels) if most_pixels else 1.0


def _shrunk(picture: "Image", most_pixels: int | None) -> "Image":
    shrink = _shrink(picture, most_pixels)
    if shrink <= 1:
        return picture
    from PIL.Image import Resampling

    info = picture.info
    smaller = _eight_bits(picture).resize(
        (max(1, int(picture.width / shrink)), max(1, int(picture.height / shrink))), Resampling.BOX
    )
    smaller.info = info
    return smaller


def _normal(picture: "Image", orientation: int) -> Decoded:
    profile = picture.info.get("icc_profile")
    picture = _upright(_own_colours(_eight_bits(picture), profile), orientation)
    fits = isinstance(profile, bytes) and profile[_PROFILE_SPACE] == _SPACES[picture.mode]
    return Decoded(image=picture, profile=profile if fits else None)


def _eight_bits(picture: "Image") -> "Image":
    """Return the picture with 8 bits a channel: of 16 the upper ones, as decoders do with colours of 16 bits."""
    if picture.mode == "F":
        return picture.convert("L")
    if not picture.mode.startswith("I"):
        return picture
    picture.info.pop("transparency", None)  # a grey of 16 bits, which has no equal among 8
    return picture.point(lambda value: value * (1 / 256)).convert("L")


def _own_colours(picture: "Image", profile: object) -> "Image":
    if picture.has_transparency_data:
        return in_mode(picture, "LA" if picture.mode == "LA" else "RGBA")
    if picture.mode in ("1", "L"):
        return in_mode(picture, "L")
    if picture.mode == "CMYK" and isinstance(profile, bytes) and profile[_PROFILE_SPACE] == b"CMYK":
        return _by_profile(picture, profile)
    return in_mode(picture, "RGB")


def _by_profile(picture: "Image", profile: bytes) -> "Image":
    """Return printing inks as sRGB, as their profile says they look; by a plain formula when it is broken."""
    from PIL import ImageCms

    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, inks, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture.convert("RGB")
    assert converted is not None  # only in place there is nothing to return
    return converted


def _upright(picture: "Image", orientation: int) -> "Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture if orientation == UPRIGHT else picture.transpose(turns[orientation])


def format_of(data: bytes) -> OutputFormat | None:
    """Return which of our formats the file has by its first bytes; ``None`` for one that has to be re-encoded."""
    return sniff(data).ours
