"""SVG to pixels, by ThorVG."""

import threading
from typing import Any

from PIL import Image
from thorvg_python.base import Colorspace, Result
from thorvg_python.canvas.sw import SwCanvas
from thorvg_python.engine import Engine
from thorvg_python.paint.picture import Picture

_XMLNS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


class DrawingError(Exception):
    """The document can't be drawn: a fault of the program, not of the caller."""


class Raster:
    """Draws one document at a time: all canvases of a process share ThorVG's scratch memory."""

    def __init__(self) -> None:
        # ThorVG's own threads would only add to those that call.
        self._engine = Engine(threads=0)
        self._lock = threading.Lock()

    def draw(self, svg: str, width: int, height: int) -> Image.Image:
        """Return the document as an RGBA picture of this size. Lets other threads run while it draws."""
        with self._lock:
            return self._draw(svg.encode(), width, height)

    def _draw(self, svg: bytes, width: int, height: int) -> Image.Image:
        canvas = SwCanvas(self._engine)
        try:
            # Straight alpha: Pillow knows no premultiplied colours.
            canvas.set_target(width, height, cs=Colorspace.ABGR8888S)
            picture = Picture(self._engine)
            if picture.load_data(svg, "svg", None, copy=True) != Result.SUCCESS:
                raise DrawingError("not an SVG document")
            picture.set_size(width, height)
            canvas.add(picture)
            canvas.draw(clear=True)
            canvas.sync()
        finally:
            canvas.destroy()
        # Not copied: Pillow reads ThorVG's buffer, which lives as long as the picture.
        pixels: Any = canvas.buffer_arr
        return Image.frombuffer("RGBA", (width, height), pixels, "raw", "RGBA", 0, 1)


def document(width: int, height: int, content: str) -> str:
    """Return an SVG document of this size, in pixels, around ``content``."""
    return f'<svg {_XMLNS} viewBox="0 0 {width} {height}" width="{width}" height="{height}">{content}</svg>'
