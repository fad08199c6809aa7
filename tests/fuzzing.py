"""How much is drawn at random: little and always the same in each run, much and always new in the long target."""

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("LIMNER_FUZZ") == "long"
"""Whether the run is the long one, ``make fuzz``, which prints the seed of what fails."""

_SHORT_SHARE = 5


def fuzzing(examples: int) -> settings:
    """Settings for so many examples in the long run, and a fifth of them in the short one."""
    return settings(
        max_examples=examples if LONG else -(-examples // _SHORT_SHARE),
        derandomize=not LONG,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
