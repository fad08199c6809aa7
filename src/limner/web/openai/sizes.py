"""OpenAI's sizes and our aspect ratios."""

import re
from typing import Final

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import ASPECT_RATIOS

AUTO: Final = "auto"
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_TOLERANCE: Final = 0.02
"""How far a size's shape may be from a ratio's: edges are multiples of 16 at many models, so 1792x1024 is 16:9."""

_LIKELY: Final = "1024x1024, 1536x1024, 1024x1536, 1792x1024, 1024x1792"


def aspect_ratio(size: str, ratio: str) -> str:
    """Return the shape that a request asks for by ``size``, ``aspect_ratio``, or both; empty when by neither.

    Raises ``InvalidFieldError`` for a size of no known shape, or when they differ. How many pixels a picture has is
    the model's; the answer tells it.
    """
    if size in ("", AUTO):
        return ratio
    shape = _shape_of(size)
    if ratio not in ("", AUTO, shape):
        raise InvalidFieldError([FieldViolation("aspect_ratio", f"is {ratio}, and size says {shape}")])
    return shape


def _shape_of(size: str) -> str:
    match = _SIZE.fullmatch(size)
    if match is None:
        raise InvalidFieldError([FieldViolation("size", f"must be auto, or width x height, such as {_LIKELY}")])
    wanted = int(match[1]) / int(match[2])
    distances = {name: abs(wanted / (width / height) - 1) for name, (width, height) in ASPECT_RATIOS.items()}
    nearest = min(distances, key=lambda name: distances[name])
    if distances[nearest] > _TOLERANCE:
        shapes = ", ".join(ASPECT_RATIOS)
        raise InvalidFieldError([FieldViolation("size", f"has none of the shapes {shapes}; try {_LIKELY}")])
    return nearest
