"""Files as phones make them by default, put together from pictures of real encoders. Nobody's photograph."""

import io
import struct

from PIL import Image

from tests import pictures

_EXIF = b"Exif\0\0"


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with more segments at its beginning."""
    return data[:2] + b"".join(segments) + data[2:]


def exif(*entries: bytes, order: str = "<", after: bytes = b"") -> bytes:
    """Return EXIF data of one directory with these entries; offsets count from the byte order on."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    head = start + struct.pack(f"{order}IH", 8, len(entries))
    return _EXIF + head + b"".join(entries) + struct.pack(f"{order}I", 0) + after


def entry(tag: int, kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    """Return an entry of a directory; ``value`` has four bytes: the value or where it is."""
    return struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")


def orientation(value: int, order: str = "<") -> bytes:
    """Return the entry that says which side is up."""
    return entry(0x0112, 3, 1, struct.pack(f"{order}H", value), order)


def gps_exif(turn: int = 1) -> Image.Exif:
    """Return EXIF data with a place, a maker and which side is up."""
    made = Image.Exif()
    made[0x010F] = "Phone"
    made[0x0112] = turn
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 59.0), 3: "E", 4: (13.0, 22.0, 39.0)})
    return made


def xmp(text: str) -> bytes:
    """Return the segment of a JPEG with XMP data."""
    body = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{text}</rdf:RDF></x:xmpmeta>'
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + body.encode())


def photo(width: int = 96, height: int = 64, turn: int = 1, **options: object) -> bytes:
    """Return a JPEG with the EXIF data of a phone, its place among them."""
    return pictures.jpeg(width, height, exif=gps_exif(turn), **options)


def motion_photo() -> tuple[bytes, bytes]:
    """Return a still and the file that a phone makes of it: the still with a video behind it (Motion Photo 1.0)."""
    video = struct.pack(">I", 24) + b"ftypisom" + bytes(12) + struct.pack(">I", 2008) + b"mdat" + bytes(2000)
    listed = f'<Container:Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto" Item:Length="{len(video)}"/>'
    still = with_segments(photo(), xmp(f'<rdf:Description GCamera:MotionPhoto="1"/>{listed}'))
    return still, still + video


def samsung() -> tuple[bytes, bytes]:
    """Return a still and the file with the maker's notes behind it: records, their directory, and its length."""
    still = photo()
    record = b"\0\0\x01\x0a" + struct.pack("<I", 14) + b"Image_UTC_Data" + b"1763985600000"
    directory = b"SEFH" + struct.pack("<II", 106, 1) + b"\0\0\x01\x0a" + struct.pack("<II", len(record), len(record))
    return still, still + record + directory + struct.pack("<I", len(directory)) + b"SEFT"


def ultra_hdr() -> tuple[bytes, bytes]:
    """Return a still and the file with its gain map behind it, a JPEG of its own that an index names (CIPA DC-007)."""
    gain = with_segments(
        pictures.encoded(pictures.noise(24, 16, "L"), "JPEG"),
        xmp('<rdf:Description hdrgm:Version="1.0" hdrgm:GainMapMax="3.2"/>'),
    )
    base = with_segments(photo(), xmp('<rdf:Description hdrgm:Version="1.0"/>'))
    still = with_segments(base, _index(len(base) + _INDEX_BYTES, len(gain)))
    return still, still + gain


_INDEX_BYTES = 4 + 4 + 8 + 2 + 3 * 12 + 4 + 2 * 16


def _index(first: int, second: int) -> bytes:
    """Return the segment that lists two pictures of these lengths (CIPA DC-007, 5.2)."""
    entries = [
        struct.pack(">HHI4s", 0xB000, 7, 4, b"0100"),
        struct.pack(">HHII", 0xB001, 4, 1, 2),
        struct.pack(">HHII", 0xB002, 7, 32, 8 + 2 + 3 * 12 + 4),
    ]
    pictures_ = struct.pack(">IIIHH", 0x030000, first, 0, 0, 0) + struct.pack(">IIIHH", 0, second, first - 10, 0, 0)
    directory = b"MM\0*" + struct.pack(">IH", 8, 3) + b"".join(entries) + struct.pack(">I", 0) + pictures_
    return segment(0xE2, b"MPF\0" + directory)


def manifest() -> bytes:
    """Return the segment that begins a C2PA manifest store: a JUMBF superbox with its label. It signs nothing."""
    label = struct.pack(">I", 8 + 16 + 1 + 5) + b"jumd" + b"c2pa" + bytes(12) + b"\x03c2pa\0"
    box = struct.pack(">I", 8 + len(label)) + b"jumb" + label
    return segment(0xEB, b"JP\0\x01\0\0\0\x01" + box)


def _see_through(width: int, height: int, mode: str) -> Image.Image:
    picture = pictures.painting(width, height, mode)
    if mode == "RGBA":
        picture.putalpha(128)
    return picture


def heic(width: int = 96, height: int = 64, mode: str = "RGB", turn: int = 1) -> bytes:
    """Return a HEIC picture, by the encoder of libheif."""
    from pillow_heif import from_pillow

    file = io.BytesIO()
    picture = from_pillow(_see_through(width, height, mode))
    picture.save(file, format="HEIF", quality=90, exif=gps_exif(turn).tobytes())
    return file.getvalue()


def avif(width: int = 96, height: int = 64, mode: str = "RGB", turn: int = 1) -> bytes:
    """Return an AVIF picture."""
    return pictures.encoded(_see_through(width, height, mode), "AVIF", exif=gps_exif(turn))


ODD_EXIF = {
    "SRATIONAL with the divisor 0": (entry(0x011B, 10, 1, struct.pack("<I", 38)), struct.pack("<ii", -1, 0)),
    "UNDEFINED where a SHORT should be": (entry(0x0213, 7, 1, b"\0"), b""),
    "a text where a number should be": (entry(0x0213, 2, 2, b"1\0"), b""),
    "a value far behind the end": (entry(0x010F, 2, 99, struct.pack("<I", 0xFFFFFF)), b""),
    "a type that does not exist": (entry(0x010F, 99, 1, b"\x01"), b""),
    "a great count": (entry(0x010F, 5, 0xFFFFFFF, struct.pack("<I", 8)), b""),
    "a directory of EXIF values that is none": (entry(0x8769, 4, 1, struct.pack("<I", 0xFFFFFFFF)), b""),
    "a directory of places within itself": (entry(0x8825, 4, 1, struct.pack("<I", 8)), b""),
}
"""Values that real writers leave and that libraries raise on, each with what lies behind the directory."""


def with_odd_exif(name: str, width: int = 64, height: int = 48, turn: int = 6) -> bytes:
    """Return a JPEG that lies on its side, and in whose EXIF data there is an odd value."""
    odd, after = ODD_EXIF[name]
    return with_segments(pictures.jpeg(width, height), segment(0xE1, exif(orientation(turn), odd, after=after)))
