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
    "picture-spooled",
    "picture-stored",
    "before-commit",
    "after-commit",
    "upload-stored",
    "images-deleted",
)
"""All of them, in the order that a generation reaches them; uploads and deletions at the end."""

_chosen = os.environ.get(VARIABLE, "")


def reach(name: str) -> None:
    """Kill the process, as by SIGKILL, when a test chose this point. Does nothing otherwise."""
    if _chosen == name:
        os.kill(os.getpid(), signal.SIGKILL)
