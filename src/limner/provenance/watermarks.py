"""Puts watermarks into pixels and finds them, by RivaGAN's networks, in a process that does nothing else.

The networks work at one size, whatever the picture's: so the time is bounded, a smaller copy of the picture is as good
as the picture, and the pattern that they add is enlarged to the picture's own size.
"""

import resource
import sys
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from PIL import Image

from limner.domain.image import OutputFormat
from limner.imaging.decoding import decoded
from limner.imaging.encoding import Effort, encoded
from limner.provenance.service_code import CODE, MAX_TRIES, is_code
from limner.provenance.wire import receive, send

MEMORY_BYTES: Final = 4 << 30
EDGE: Final = 320
"""Longer edge, in pixels, of what the networks see."""

SCALES: Final = (1.0, 0.85, 0.7)
"""How much of the longer edge may be left: of a cut picture the rest has to be as large as it was."""

_STRIP_ROWS: Final = 256
_EFFORT: Final = Effort(png_level=6, jpeg_quality=95, webp_quality=95, webp_method=4)
_PACKAGE: Final = "invisible-watermark"


class RivaGan:
    """The two networks; only their weights are taken from the package that carries them."""

    def __init__(self) -> None:
        self._sessions: dict[str, Any] = {}

    def embedded(self, picture: Image.Image) -> Image.Image:
        """Return the picture with the code in it, in the mode RGB or RGBA."""
        alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
        colours = picture.convert("RGB")
        small = _floats(_resized(colours, 1.0))
        frame = small.transpose(2, 0, 1)[None, :, None]
        data = np.asarray([CODE], dtype=np.float32)
        marked = self._session("encoder").run(None, {"frame": frame, "data": data})[0][0, :, 0].transpose(1, 2, 0)
        made = _with_pattern(colours, (np.clip(marked, -1, 1) - small) * 127.5)
        if alpha is not None:
            made.putalpha(alpha)
        return made

    def is_in(self, picture: Image.Image) -> bool:
        """Tell whether the code is in the picture, at any of a few sizes."""
        colours = picture.convert("RGB")
        return any(is_code(self._bits(colours, scale)) for scale in SCALES[:MAX_TRIES])

    def _bits(self, colours: Image.Image, scale: float) -> Sequence[int]:
        frame = _floats(_resized(colours, scale)).transpose(2, 0, 1)[None, :, None]
        read = self._session("decoder").run(None, {"frame": frame})[0][0]
        return [int(value > 0.5) for value in read]

    def _session(self, name: str) -> Any:
        if name not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            path = str(_weights(f"rivagan_{name}.onnx"))
            self._sessions[name] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return self._sessions[name]


def _weights(name: str) -> Path:
    """Return the path of a network; the package itself is never imported: it wants PyTorch."""
    for each in files(_PACKAGE) or ():
        if each.name == name:
            return Path(str(each.locate()))
    raise FileNotFoundError(name)


def _resized(colours: Image.Image, scale: float) -> Image.Image:
    factor = EDGE * scale / max(colours.size)
    size = (max(32, round(colours.width * factor)), max(32, round(colours.height * factor)))
    return colours.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC)


def _floats(picture: Image.Image) -> Any:
    return np.asarray(picture, dtype=np.float32) / 127.5 - 1


def _with_pattern(colours: Image.Image, pattern: Any) -> Image.Image:
    """Return the picture with the pattern, enlarged, added to it; strip by strip, so that little is in memory."""
    planes = [Image.fromarray(np.ascontiguousarray(pattern[..., channel])) for channel in range(3)]
    enlarged = [plane.resize(colours.size, Image.Resampling.BICUBIC) for plane in planes]
    made = Image.new("RGB", colours.size)
    for top in range(0, colours.height, _STRIP_ROWS):
        box = (0, top, colours.width, min(top + _STRIP_ROWS, colours.height))
        added = np.stack([np.asarray(plane.crop(box)) for plane in enlarged], axis=-1)
        strip = np.asarray(colours.crop(box), dtype=np.float32) + added
        made.paste(Image.fromarray(np.clip(np.rint(strip), 0, 255).astype(np.uint8)), box)
    return made


def _answer(networks: RivaGan, asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    picture = decoded(data)
    if asked["call"] != "embed":
        return {"detected": networks.is_in(picture.image)}, []
    to = OutputFormat(asked["format"])
    made = encoded(
        networks.embedded(picture.image), to, profile=None if picture.is_grey else picture.profile, effort=_EFFORT
    )
    if made.info.format is not to:
        raise ValueError("too long an edge for its format")
    return {}, [made.data]


def main() -> None:
    """Answer one request after the other until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    given, made = sys.stdin.buffer, sys.stdout.buffer
    receive(given)  # there is nothing to configure
    networks = RivaGan()
    while True:
        try:
            asked, blobs = receive(given)
        except EOFError:
            return
        try:
            answer, parts = _answer(networks, asked, blobs[0])
        except Exception as error:  # whatever decoders and networks raise of a hostile file
            answer, parts = {"error": str(error)[:200], "kind": type(error).__name__}, []
        send(made, answer, parts)


if __name__ == "__main__":
    main()
