"""One look into a container, whichever of our formats it is."""

from limner.domain.image import OutputFormat
from limner.imaging.header import Header
from limner.imaging.jpeg import inspect_jpeg
from limner.imaging.png import inspect_png
from limner.imaging.webp import inspect_webp, with_right_head


def inspect(data: bytes, format_: OutputFormat) -> Header:
    """Walk the first picture of the file to its end; raise ``InvalidPictureError`` when it does not come that far."""
    match format_:
        case OutputFormat.PNG:
            return inspect_png(data)
        case OutputFormat.JPEG:
            return inspect_jpeg(data)
        case OutputFormat.WEBP:
            return inspect_webp(data)


def bared(data: bytes, header: Header) -> bytes:
    """Return the first picture of the file, its pixels untouched, without what they do not need."""
    parts, position = [], 0
    for start, end in header.removable:
        parts.append(data[position:start])
        position = end
    bare = b"".join((*parts, data[position : header.end]))
    return with_right_head(bare) if header.format is OutputFormat.WEBP else bare
