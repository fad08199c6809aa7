"""The service's look into pictures, and their re-encoding.

Pillow decodes and encodes without the interpreter's lock, but allocates, copies and frees with it: a few
milliseconds per megapixel in which the event loop stands still. So only small work is done in a thread of
the service; large pictures get a process of their own, which also ends with its memory when a decoder does.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.imaging.header import Header
from limner.imaging.pixels import AT_FAULT, convert, count_pixels, decode, inspect
from limner.imaging.signature import sniff
from limner.service.executor import BoundedExecutor
from limner.service.ports import InvalidPictureError, PictureInfo

SMALL_PIXELS: Final = 1_600_000
"""Largest picture that is decoded whole in a thread of the service, such as 1536x1024."""

SMALL_BUFFERED_BYTES: Final = 8 << 20
PIXELS: Final = "limner.imaging.pixels"
_TIMEOUT_S: Final = 60.0


class PillowCodec:
    """A ``PictureCodec`` by Pillow, which is imported when it is first needed.

    Memory per call beside the bytes themselves, at ``limits.MAX_PIXELS``. ``verify``: 1 MiB for a PNG, 16 MiB
    for a JPEG; in a process of its own at most 0.6 GiB for a progressive JPEG, 1.1 GiB for a WebP.
    ``convert``: 24 MiB for a small picture, else at most 2 GiB in a process of its own.
    At most ``threads`` calls run at a time, so this many times as much.
    """

    def __init__(self, *, threads: int = 2, queue: int = 32) -> None:
        self._executor = BoundedExecutor("codec", threads=threads, queue=queue)

    async def verify(self, data: bytes) -> PictureInfo:
        """Look at the container to its exact end, then decode the picture once.

        The damage that libjpeg repairs silently, inside a JPEG's entropy-coded data, is not noticed.
        """
        return await self._executor.run(_verify, data)

    async def convert(self, data: bytes, to: OutputFormat) -> bytes:
        """Return the picture in another format, or as it is when it has that format already.

        Pixels are turned upright as EXIF data say, and lie on white in a JPEG. The colour profile is kept
        where it speaks of such pixels; CMYK becomes RGB without it. EXIF data, positions among them, and texts are
        left out. 16 bits per channel become 8.
        """
        return await self._executor.run(_convert, data, to)

    def close(self) -> None:
        """End the threads. Nothing is called afterwards."""
        self._executor.close()


def _verify(data: bytes) -> PictureInfo:
    header = inspect(data)
    if _is_light(header):
        decode(data)
    else:
        in_own_process(PIXELS, ["decode"], data)
    return PictureInfo(format=header.format, width=header.width, height=header.height)


def _convert(data: bytes, to: OutputFormat) -> bytes:
    if sniff(data) is to:
        return data
    if count_pixels(data) <= SMALL_PIXELS:
        return convert(data, to)
    return in_own_process(PIXELS, [to.value], data)


def _is_light(header: Header) -> bool:
    """Tell whether decoding keeps little in memory; a PNG is not kept at all, a JPEG made small on the way."""
    if header.format is OutputFormat.WEBP:
        return header.pixels <= SMALL_PIXELS
    return header.buffered_bytes <= SMALL_BUFFERED_BYTES


def in_own_process(module: str, arguments: Sequence[str], data: bytes) -> bytes:
    """Return what a module of this room, run as a program, makes of a picture. Blocks.

    Raises ``InvalidPictureError`` when the picture is at fault, and ``OverloadedError`` without room for a process.
    """
    # Files and not pipes: whole pictures are read and written without the interpreter's lock.
    with tempfile.TemporaryFile(buffering=0) as given, tempfile.TemporaryFile(buffering=0) as made:
        given.write(data)
        given.seek(0)
        code = _run(module, arguments, given.fileno(), made.fileno())
        made.seek(0)
        result = made.read()
    if code == AT_FAULT:
        raise InvalidPictureError(result.decode())
    if code < 0:  # a signal: the decoder crashed, or took more memory than there is
        raise InvalidPictureError("the picture cannot be decoded")
    if code:
        raise RuntimeError(f"the codec's process ended with {code}")
    return result


def _run(module: str, arguments: Sequence[str], given: int, made: int) -> int:
    # No environment but the import path: a decoder that is taken over finds no keys there.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", module, *arguments]
    try:
        return subprocess.run(  # noqa: S603 (a fixed command)
            command, stdin=given, stdout=made, stderr=subprocess.DEVNULL, env=environment, timeout=_TIMEOUT_S
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise InvalidPictureError("decoding the picture takes too long") from error
    except OSError as error:
        raise OverloadedError("There is no room for another picture now.") from error
