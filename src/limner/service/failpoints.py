"""Named points between two steps, at which tests kill the service."""

import os
import signal
from typing import Final

VARIABLE: Final = "LIMNER_FAILPOINT"

NAMES: Final = (
    "generation-kept",
    "submission-kept",
    "job-accepted",
    "picture-received",
    "picture-signed",
    "picture-spooled",
    "picture-stored",
    "before-commit",
    "after-commit",
    "submission-voided",
    "cancel-kept",
    "job-cancelled",
    "taken-over",
    "picture-delivered",
    "webhook-sent",
    "upload-stored",
    "images-deleted",
    "bytes-purged",
    "orphan-deleted",
    "picture-mended",
    "derivative-stored",
    "variants-deleted",
)
"""All of them: first those of every generation, in the order that it reaches them, then those off the usual way."""


def reach(name: str) -> None:
    """Kill the process, as by SIGKILL, when a test chose this point. Does nothing otherwise."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
