"""Cuts a picture into overlapping tiles and joins the enlarged ones so that no seam shows.

Neighbouring tiles share ``overlap`` pixels. The outer part of it is context only; across ``fade`` pixels
in its middle the picture passes evenly from one tile to the next: first along a row of tiles, then from
row to row. All tiles of a picture have the same size, so that the network's memory is used again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, red, green, blue."""

_BORDER: Final = 8
"""Pixels repeated around the picture: what a network makes of the nothing outside stays outside."""

Enlarge: TypeAlias = Callable[[Pixels], Image.Image]


@dataclass(frozen=True, slots=True)
class Span:
    """Where the tiles lie along one axis."""

    starts: tuple[int, ...]
    size: int


def span(length: int, tile: int, overlap: int) -> Span:
    """Return the fewest equal spans of at most ``tile`` that cover ``length`` and overlap by ``overlap`` or more."""
    if length <= tile:
        return Span((0,), length)
    count = math.ceil((length - overlap) / (tile - overlap))
    size = math.ceil((length + (count - 1) * overlap) / count)
    return Span(tuple(min(i * (size - overlap), length - size) for i in range(count)), size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How pictures are cut. Lengths are pixels of the input picture."""

    tile: int
    """Longest edge of a tile, its overlaps included."""
    overlap: int
    fade: int

    def count(self, width: int, height: int) -> int:
        """Return how many tiles a picture has."""
        return len(self._span(height).starts) * len(self._span(width).starts)

    def enlarge(self, pixels: Pixels, factor: int, enlarge: Enlarge) -> Image.Image:
        """Return the picture ``factor`` times as high and wide; ``enlarge`` is called for one tile after another."""
        height, width, _ = pixels.shape
        rows, columns = self._span(height), self._span(width)
        pixels = np.pad(pixels, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="edge")
        picture = Image.new("RGB", (width * factor, height * factor))
        for top in rows.starts:
            row = Image.new("RGB", (width * factor, rows.size * factor))
            for left in columns.starts:
                tile = enlarge(pixels[top : top + rows.size, left : left + columns.size])
                self._join(row, tile, ((left - _BORDER) * factor, 0), factor, fade_in="" if left == 0 else "x")
            self._join(picture, row, (0, (top - _BORDER) * factor), factor, fade_in="" if top == 0 else "y")
        return picture

    def _span(self, length: int) -> Span:
        return span(length + 2 * _BORDER, self.tile, self.overlap)

    def _join(self, canvas: Image.Image, piece: Image.Image, at: tuple[int, int], factor: int, *, fade_in: str) -> None:
        """Lay a piece on the canvas so that it takes over evenly from what lies there, along one axis."""
        if not fade_in:
            canvas.paste(piece, at)
            return
        skip = (self.overlap - self.fade) // 2 * factor
        x, y = (skip, 0) if fade_in == "x" else (0, skip)
        piece = piece.crop((x, y, piece.width, piece.height))
        length = piece.width if fade_in == "x" else piece.height
        ramp = ((np.arange(length) + 0.5) / (self.fade * factor) * 255).clip(max=255).astype(np.uint8)
        mask = np.broadcast_to(ramp if fade_in == "x" else ramp[:, None], (piece.height, piece.width))
        canvas.paste(piece, (at[0] + x, at[1] + y), Image.fromarray(np.ascontiguousarray(mask)))
