"""The service's look into pictures, and their re-encoding.

Pillow decodes and encodes without the interpreter's lock, but allocates, copies and frees with it: a few
milliseconds per megapixel in which the event loop stands still. So only small work is done in a thread of
the service; large pictures get a process of their own, which also ends with its memory when a decoder does.
So do formats that are not ours, whose decoders a stranger's bytes never meet in the service itself.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from limner.domain import limits
from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.imaging import doors, program
from limner.imaging.containers import inspect
from limner.imaging.decoding import look_through, stored_size
from limner.imaging.encoding import format_for
from limner.imaging.header import Header
from limner.imaging.png_rows import with_its_rows_alone
from limner.imaging.signature import sniff
from limner.service.executor import BoundedExecutor
from limner.service.ports import InvalidPictureError, PictureInfo, ReadyPicture

SMALL_PIXELS: Final = 1_600_000
"""Largest picture that is decoded whole in a thread of the service, such as 1536x1024."""

SMALL_BUFFERED_BYTES: Final = 8 << 20
PROGRAM: Final = "limner.imaging.program"
_TIMEOUT_S: Final = 60.0


class PillowCodec:
    """A ``PictureCodec`` by Pillow, which is imported when it is first needed.

    Memory per call beside the bytes themselves, at ``limits.MAX_PIXELS``. A look: 1 MiB for a PNG, 16 MiB
    for a JPEG; in a process of its own at most 0.6 GiB for a progressive JPEG, 1.1 GiB for a WebP. A conversion:
    24 MiB for a small picture, else at most 2 GiB in a process of its own.
    At most ``threads`` calls run at a time, so this many times as much.
    """

    def __init__(self, *, threads: int = 2, queue: int = 32) -> None:
        self._executor = BoundedExecutor("codec", threads=threads, queue=queue)

    async def received(self, data: bytes) -> ReadyPicture:
        """Look at the container, and decode the picture once: all of a PNG's rows are inflated.

        The damage that libjpeg repairs silently, inside a JPEG's entropy-coded data, is not noticed.
        """
        return await self._executor.run(_received, data)

    async def kept(self, data: bytes, wanted: OutputFormat | None) -> ReadyPicture:
        """Return a paid picture as it is kept.

        A PNG whose checksums and order are right is taken at its word: nothing was lost or changed on the way.

        Pixels that are re-encoded are upright, and lie on white in a JPEG. The colour profile is kept
        where it speaks of such pixels; CMYK becomes sRGB by it. EXIF data, positions among them, and texts are
        left out. 16 bits per channel become 8. An animation's first frame is left.
        """
        return await self._executor.run(_kept, data, wanted)

    async def verify(self, data: bytes) -> PictureInfo:
        """Tell what a stored picture is."""
        ready = await self.kept(data, None)
        if ready.data is not data:
            raise InvalidPictureError("a picture of another format")
        return ready.info

    async def prepared(self, data: bytes) -> ReadyPicture | None:
        """Return a stored picture as providers get it; ``None`` when it is so as it stands."""
        return await self._executor.run(_prepared, data)

    def close(self) -> None:
        """End the threads. Nothing is called afterwards."""
        self._executor.close()


def _received(data: bytes) -> ReadyPicture:
    format_ = doors.require_upload(data).ours
    if format_ is None:
        return _made("upload", data)
    data, header = doors.first_picture(data, format_)
    if format_ is OutputFormat.PNG:
        data = with_its_rows_alone(data)
    _look_through(data, header)
    return ReadyPicture(data, header.info)


def _kept(data: bytes, wanted: OutputFormat | None) -> ReadyPicture:
    kind = sniff(data)
    if kind.ours is None:
        return _made((wanted or OutputFormat.PNG).value, data)
    info = _shown(data, kind.ours)
    to = format_for(wanted or info.format, (info.width, info.height))
    # What can't be what is wanted stays as it came, if it is one of ours.
    if info.format in (wanted or info.format, to) or to is not wanted:
        return ReadyPicture(data, info, made_as=info.format)
    small = info.width * info.height <= SMALL_PIXELS
    return replace(doors.converted(data, to) if small else _made(to.value, data), made_as=info.format)


def _shown(data: bytes, format_: OutputFormat) -> PictureInfo:
    """Return what a decoder shows of a file of ours, be its container as it may."""
    try:
        header = inspect(data, format_)
        if format_ is not OutputFormat.PNG:
            _look_through(data, header)
    except InvalidPictureError:
        return _made("show", data).info
    return header.info


def _look_through(data: bytes, header: Header) -> None:
    if _is_light(header):
        look_through(data)
    else:
        in_own_process(PROGRAM, ["look"], data)


def _prepared(data: bytes) -> ReadyPicture | None:
    width, height = stored_size(data)
    if width * height <= SMALL_PIXELS:
        return doors.prepared(data)
    return program.result_from(in_own_process(PROGRAM, ["prepare"], data))


def _is_light(header: Header) -> bool:
    """Tell whether decoding keeps little in memory; a PNG is not kept at all, a JPEG made small on the way."""
    if header.format is OutputFormat.WEBP:
        return header.pixels <= SMALL_PIXELS
    return header.buffered_bytes <= SMALL_BUFFERED_BYTES


def _made(action: str, data: bytes) -> ReadyPicture:
    result = program.result_from(in_own_process(PROGRAM, [action], data))
    if result is None:
        raise RuntimeError("the codec's process told nothing")
    return result


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
        result = made.read(limits.MAX_STORED_BYTES + limits.KIB)
    if code == program.AT_FAULT:
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
