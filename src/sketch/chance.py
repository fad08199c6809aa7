"""Chance that a seed makes the same again."""

import random


def chance(seed: int) -> random.Random:
    """Return the stream of random numbers of a seed, the same on every machine."""
    return random.Random(seed)  # noqa: S311
