"""What kind of file some bytes are, by their first bytes; never by a name or a content type."""

import re
from enum import StrEnum
from typing import Final

from limner.domain.image import OutputFormat
from limner.service.ports import InvalidPictureError


class Kind(StrEnum):
    """What decoders are at hand for. The first three are kept as they are."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    HEIC = "heic"
    GIF = "gif"
    TIFF = "tiff"
    BMP = "bmp"

    @property
    def ours(self) -> OutputFormat | None:
        """The format of ours that it is; ``None`` when it has to be re-encoded."""
        return OutputFormat(self.value) if self.value in tuple(OutputFormat) else None


UPLOADS: Final = frozenset({Kind.PNG, Kind.JPEG, Kind.WEBP, Kind.AVIF, Kind.HEIC})
"""What callers may bring; phones make no others."""

_PICTURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), Kind.PNG),
    (re.compile(rb"\xff\xd8\xff"), Kind.JPEG),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), Kind.WEBP),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), Kind.AVIF),
    (re.compile(rb"....ftyp(mif1|msf1|miaf)[\s\S]{4}([\s\S]{4})*?avi[fs]"), Kind.AVIF),
    (re.compile(rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)", re.DOTALL), Kind.HEIC),
    (re.compile(rb"GIF8[79]a"), Kind.GIF),
    (re.compile(rb"II\*\x00|MM\x00\*"), Kind.TIFF),
    (re.compile(rb"BM.{8}[\s\S]{4}[\x0c\x28\x40\x6c\x7c]\x00\x00\x00", re.DOTALL), Kind.BMP),
)

_OTHERS: Final = (
    (re.compile(rb"GIF8[79]a"), "a GIF"),
    (re.compile(rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", re.DOTALL), "a HEIC picture"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "an AVIF picture"),
    (re.compile(rb"....ftyp", re.DOTALL), "a video"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 picture"),
    (re.compile(rb"II\*\x00|MM\x00\*|II\+\x00|MM\x00\+"), "a TIFF"),
    (re.compile(rb"BM.{8}[\s\S]{4}[\x0c\x28\x40\x6c\x7c]\x00\x00\x00", re.DOTALL), "a BMP"),
    (re.compile(rb"\x00\x00[\x01\x02]\x00"), "an icon file"),
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"\x8aMNG|\x8bJNG"), "an MNG animation"),
    (re.compile(rb"%PDF-|%!PS"), "a PDF or PostScript document"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|7z\xbc\xaf|Rar!"), "an archive"),
)

_TEXTS: Final = (
    (re.compile(rb"<svg[\s>:]", re.IGNORECASE), "an SVG"),
    (re.compile(rb"<(!doctype\s+html|html|head|body|script)[\s>]", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<\?xml|\s*<!--"), "an XML file"),
    (re.compile(rb"\s*[{\[]"), "a JSON text"),
    (re.compile(rb"data:image/|[A-Za-z0-9+/\r\n]{64}"), "Base64 text; send the bytes themselves"),
)

_LOOK_BYTES: Final = 1024
_HEAD_BYTES: Final = 64


def sniff(data: bytes) -> Kind:
    """Return what the first bytes announce that a decoder is at hand for, or say what they are instead."""
    if not data:
        raise InvalidPictureError("the file is empty")
    start = data[:_HEAD_BYTES]
    for pattern, kind in _PICTURES:
        if pattern.match(start):
            return kind
    raise refused(data)


def refused(data: bytes) -> InvalidPictureError:
    """Return the refusal of a file that is none of those that may be brought, by its name."""
    return InvalidPictureError(f"{_what_else(data[:_LOOK_BYTES])}; PNG, JPEG, WebP, AVIF and HEIC pictures are taken")


def _what_else(start: bytes) -> str:
    for pattern, name in _OTHERS:
        if pattern.match(start):
            return f"the file is {name}"
    start = start.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" not in start:
        for pattern, name in _TEXTS:
            if pattern.search(start) if pattern.pattern.startswith(b"<") else pattern.match(start):
                return f"the file is {name}"
    return "the file is no picture that is known here"
