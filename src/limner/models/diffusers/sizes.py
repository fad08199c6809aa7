"""What size a pipeline draws a shape in."""

import math
from typing import Final

_AREA_SLACK: Final = 0.3
_AREA_WEIGHT: Final = 0.1
"""An area wrong by a tenth is as bad as a shape wrong by a hundredth."""


def size_for(shape: tuple[int, int], pixels: int, multiple: int) -> tuple[int, int]:
    """Return width and height of about ``pixels``, multiples of ``multiple``, with a shape near the given one."""
    ratio = shape[0] / shape[1]

    def fault(size: tuple[int, int]) -> float:
        width, height = size
        return abs(math.log(width / height / ratio)) + _AREA_WEIGHT * abs(math.log(width * height / pixels))

    lowest, highest = (math.sqrt(pixels * area / ratio) for area in (1 - _AREA_SLACK, 1 + _AREA_SLACK))
    heights = range(max(1, math.floor(lowest / multiple)), math.ceil(highest / multiple) + 1)
    sizes = ((max(1, round(height * ratio)) * multiple, height * multiple) for height in heights)
    return min(sizes, key=fault)
