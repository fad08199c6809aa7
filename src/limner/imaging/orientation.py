"""Which side of a picture is up, by its EXIF data (CIPA DC-008, 4.6.5), and nothing else of them.

Real files hold values that libraries raise on: no such value may cost a picture its upright look, or more.
"""

from typing import Final

UPRIGHT: Final = 1
_TAG: Final = 0x0112
_PREFIX: Final = b"Exif\0\0"
_ENTRY_BYTES: Final = 12
_WIDTHS: Final = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}
"""Bytes of a value, by the type of those that are whole numbers."""


def orientation_in(exif: bytes) -> int:
    """Return 1 to 8 as the first directory says; 1 when it says nothing, or nothing that makes sense."""
    exif = exif.removeprefix(_PREFIX)
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return UPRIGHT

    def number(start: int, width: int) -> int:
        return int.from_bytes(exif[start : start + width], "little" if order == "little" else "big")

    start = number(4, 4)
    for place in range(start + 2, start + 2 + number(start, 2) * _ENTRY_BYTES, _ENTRY_BYTES):
        if place + _ENTRY_BYTES > len(exif):
            break
        if number(place, 2) == _TAG:
            value = number(place + 8, _WIDTHS.get(number(place + 2, 2), 0))
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT


def is_turned(orientation: int) -> bool:
    """Tell whether width and height change places when the picture is set upright."""
    return orientation >= 5
