"""The worker process: enlarges one picture after another until the service closes its end.

Run as ``python -m limner.models.realesrgan.worker``. Any failure ends it, with a traceback on stderr for
the operator; the service starts another.
"""

import contextlib
import functools
import os
import sys
from typing import BinaryIO

from PIL import Image

from limner.domain.image import OutputFormat
from limner.models.conversation import begin, decode
from limner.models.realesrgan.catalogue import NETWORKS
from limner.models.realesrgan.network import Network
from limner.models.realesrgan.picture import Picture
from limner.models.realesrgan.tiling import Pixels, Tiling
from limner.models.realesrgan.wire import Reply, Request
from limner.service.ports import InvalidPictureError, ReadyPicture


def main() -> None:
    """Answer requests from standard input on standard output."""
    replies = begin()
    with contextlib.suppress(BrokenPipeError):
        while line := sys.stdin.buffer.readline():
            request = decode(line)
            if not isinstance(request, Request):
                raise TypeError("this is no request")
            _answer(request, sys.stdin.buffer.read(request.size_bytes), replies)
    os._exit(0)  # a service that died took the pipes along: nothing is left to flush


def _answer(request: Request, data: bytes, replies: BinaryIO) -> None:
    facts = NETWORKS[request.network]
    tiling = Tiling(tile=request.tile or facts.tile, overlap=facts.overlap, fade=facts.fade)
    try:
        picture = Picture.decode(data)
    except InvalidPictureError as error:
        _send(replies, Reply(steps_done=0, steps=1, fault=f"the picture can't be read: {error}", field="imageId"))
        return
    steps = Steps(replies, tiling.count(*picture.colours.size) + 1)
    network = _network(request.network, facts.native_factor(request.factor), request.threads)

    def enlarge(tile: Pixels) -> Image.Image:
        larger = _scaled(network.enlarge(tile), tile, request.factor)
        steps.done()
        return larger

    larger = tiling.enlarge(picture.pixels, request.factor, enlarge)
    try:
        steps.finish(picture.encode_larger(larger, OutputFormat(request.output_format)))
    except InvalidPictureError as error:
        _send(replies, Reply(steps_done=1, steps=1, fault=str(error), field="outputFormat"))


class Steps:
    """Tells the service of each step."""

    def __init__(self, replies: BinaryIO, steps: int) -> None:
        self._replies, self._steps, self._done = replies, steps, 0

    def done(self) -> None:
        """Tell that one more tile is done."""
        self._done += 1
        _send(self._replies, Reply(steps_done=self._done, steps=self._steps))

    def finish(self, picture: ReadyPicture) -> None:
        """Hand over the picture."""
        reply = Reply(
            steps_done=self._steps,
            steps=self._steps,
            size_bytes=len(picture.data),
            width=picture.info.width,
            height=picture.info.height,
            output_format=picture.info.format,
        )
        _send(self._replies, reply, picture.data)


def _send(replies: BinaryIO, reply: Reply, data: bytes = b"") -> None:
    replies.write(reply.encode() + data)
    replies.flush()


@functools.lru_cache(maxsize=1)  # two networks together would pass the bound of memory
def _network(name: str, factor: int, threads: int) -> Network:
    return Network(NETWORKS[name], factor, threads or len(os.sched_getaffinity(0)))


def _scaled(pixels: Pixels, tile: Pixels, factor: int) -> Image.Image:
    """Return the enlarged tile as a picture, scaled down when the network enlarges by more than ``factor``."""
    image = Image.fromarray(pixels)
    size = (tile.shape[1] * factor, tile.shape[0] * factor)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
