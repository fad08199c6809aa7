"""The bits that say that a picture was marked here, and how often chance says so too."""

from collections.abc import Sequence
from math import comb
from typing import Final

CODE: Final = (0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0)
"""As many ones as zeros: a decoder that leans to either is as far away as can be."""

TOLERANCE: Final = 2
"""How many bits may be wrong: all words that near are read as the code, as by a code of distance 5."""

MAX_TRIES: Final = 3
"""How often a picture is looked at, at most: each look is another chance to be wrong."""


def is_code(bits: Sequence[int]) -> bool:
    """Tell whether the bits are the code, up to a few errors."""
    return sum(bit != expected for bit, expected in zip(bits, CODE, strict=True)) <= TOLERANCE


def false_alarm_rate(tries: int = MAX_TRIES) -> float:
    """Return the largest chance that a picture whose bits are random counts as marked."""
    near = sum(comb(len(CODE), errors) for errors in range(TOLERANCE + 1))
    return tries * near / float(2 ** len(CODE))
