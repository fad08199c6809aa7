"""Derivatives of kept pictures. Blocks; run in a thread, or as a program of its own:

    python -m limner.imaging.derivatives WIDTH FORMAT  < picture  > derivative

It ends as ``limner.imaging.program`` does.
"""

import sys
import tempfile
from typing import IO, TYPE_CHECKING, Final

from limner.domain import limits
from limner.domain.derivative import Derivative, DerivativeFormat
from limner.imaging.codec import SMALL_PIXELS, in_own_process
from limner.imaging.decoding import decoded, in_mode, stored_size
from limner.imaging.encoding import on_white
from limner.imaging.program import run_program
from limner.service.executor import BoundedExecutor
from limner.service.ports import InvalidPictureError

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG_QUALITY: Final = 85
WEBP_QUALITY: Final = 80
AVIF_QUALITY: Final = 65
AVIF_SPEED: Final = 8
"""Of 10. At 6 a picture of 1024 pixels takes five times as long, for a few percent."""

PNG_COMPRESS_LEVEL: Final = 4

_PROGRAM: Final = "limner.imaging.derivatives"


class PillowDeriver:
    """A ``Deriver`` by Pillow. Large pictures are made in a process of their own, of at most 2 GiB."""

    def __init__(self, *, threads: int, queue: int = 64) -> None:
        self._executor = BoundedExecutor("derivatives", threads=threads, queue=queue)

    async def derive(self, data: bytes, wanted: Derivative) -> bytes:
        """Return the derivative. Of the same bytes it is always the same."""
        return await self._executor.run(_derive, data, wanted)

    def close(self) -> None:
        """End the threads. Nothing is called afterwards."""
        self._executor.close()


def derive(data: bytes, wanted: Derivative) -> bytes:
    """Return the derivative of a picture. Blocks."""
    from PIL.Image import Resampling

    # Twice what is needed, in either direction: then less is decoded than a large photograph has.
    shown = decoded(data, least_edge=2 * wanted.width or None)
    picture, profile = shown.image, shown.profile
    if wanted.width and wanted.width < picture.width:
        height = max(1, round(picture.height * wanted.width / picture.width))
        picture = picture.resize((wanted.width, height), Resampling.LANCZOS, reducing_gap=2.0)
    if wanted.format is DerivativeFormat.WEBP and max(picture.size) > limits.MAX_WEBP_EDGE_PIXELS:
        raise InvalidPictureError(f"no side of a WebP picture may be longer than {limits.MAX_WEBP_EDGE_PIXELS} pixels")
    # Into a real file: then Pillow's encoders let the interpreter go on meanwhile.
    with tempfile.TemporaryFile(buffering=0) as file:
        _save(picture, profile, wanted.format, file)
        file.seek(0)
        return file.read()


def _derive(data: bytes, wanted: Derivative) -> bytes:
    width, height = stored_size(data)
    if width * height <= SMALL_PIXELS:
        return derive(data, wanted)
    return in_own_process(_PROGRAM, [str(wanted.width), wanted.format.value], data)


def _save(picture: "Image", profile: bytes | None, to: DerivativeFormat, file: IO[bytes]) -> None:
    picture.info.clear()
    match to:
        case DerivativeFormat.PNG:
            picture.save(file, "PNG", compress_level=PNG_COMPRESS_LEVEL, icc_profile=profile)
        case DerivativeFormat.JPEG:
            flat = on_white(in_mode(picture, "RGBA")) if picture.mode in ("LA", "RGBA") else picture
            # Neither optimised nor progressive: both would keep the interpreter to themselves for all of it.
            flat.save(file, "JPEG", quality=JPEG_QUALITY, icc_profile=profile)
        case DerivativeFormat.WEBP:
            picture.save(file, "WEBP", quality=WEBP_QUALITY, method=4, icc_profile=profile)
        case DerivativeFormat.AVIF:
            # The bytes depend on the number of threads.
            picture.save(file, "AVIF", quality=AVIF_QUALITY, speed=AVIF_SPEED, max_threads=1, icc_profile=profile)


def main() -> int:
    """Make what the arguments say of the picture on standard input."""
    wanted = Derivative(int(sys.argv[1]), DerivativeFormat(sys.argv[2]))
    return run_program(lambda data: derive(data, wanted))


if __name__ == "__main__":
    sys.exit(main())
