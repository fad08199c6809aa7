"""The doors that pictures come and go by, each with its own rule. Blocks.

An upload is a stranger's: it is whole, still and of a size that can be decoded, or refused by name. A picture that was
paid for is kept whenever a decoder can show it. One that goes to a provider is upright, and tells nothing but itself.
"""

from typing import Final

from limner.domain.image import OutputFormat
from limner.imaging.containers import bared, inspect
from limner.imaging.decoding import decoded, opened
from limner.imaging.encoding import Effort, encoded
from limner.imaging.header import ANIMATED, Header
from limner.imaging.orientation import UPRIGHT
from limner.imaging.signature import UPLOADS, Kind, refused, sniff
from limner.service.ports import InvalidPictureError, ReadyPicture

_PREPARED: Final = Effort(jpeg_quality=95, webp_quality=95)
"""What a provider gets is decoded once more there: little may be lost on the way."""


def require_upload(data: bytes) -> Kind:
    """Return what a caller brings, or refuse it by its name."""
    kind = sniff(data)
    if kind not in UPLOADS:
        raise refused(data)
    return kind


def first_picture(data: bytes, format_: OutputFormat) -> tuple[bytes, Header]:
    """Return the bytes of an upload that are kept: those of the first picture, without what phones let follow.

    A file whose own manifest may sign all of its bytes is kept as it is.
    """
    header = inspect(data, format_)
    if header.animated:
        raise InvalidPictureError(ANIMATED)
    if header.end == len(data) or header.signed:
        return data, header
    return data[: header.end], header


def converted_upload(data: bytes) -> ReadyPicture:
    """Return an AVIF or HEIC picture as one of ours: a JPEG, or a PNG when parts of it are transparent."""
    if getattr(opened(data, require_upload(data)), "n_frames", 1) > 1:
        raise InvalidPictureError(ANIMATED)
    picture = decoded(data)
    return encoded(picture.image, OutputFormat.PNG if picture.has_alpha else OutputFormat.JPEG, profile=picture.profile)


def converted(data: bytes, wanted: OutputFormat) -> ReadyPicture:
    """Return whatever a decoder can show in the format that is wanted, or as PNG where that can't hold it."""
    picture = decoded(data)
    return encoded(picture.image, wanted, profile=picture.profile)


def prepared(data: bytes) -> ReadyPicture | None:
    """Return a stored picture as providers get it: upright, without EXIF data, texts and what follows the picture.

    ``None`` when it is so as it stands. Pixels are only encoded anew when they lie on their side.
    """
    format_ = sniff(data).ours
    if format_ is None:
        return converted(data, OutputFormat.PNG)
    try:
        header = inspect(data, format_)
    except InvalidPictureError:
        return converted(data, format_)
    if header.orientation != UPRIGHT:
        picture = decoded(data)
        return encoded(picture.image, format_, profile=picture.profile, effort=_PREPARED)
    if header.end == len(data) and not header.private:
        return None
    return ReadyPicture(bared(data, header), header.info)
