"""Deletes images when their time is over, a few at a time, beside all other work."""

import asyncio
import logging
from typing import Final

from limner.domain.errors import LimnerError
from limner.domain.image import Retention
from limner.service.library import ImageLibrary

log = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 60.0
BATCH: Final = 50
PAUSE_S: Final = 0.5
"""Between batches: at most 100 deletions a second and worker, which callers do not notice."""


class Keeper:
    """Several workers may do this at once: an image is deleted once, whoever comes first."""

    def __init__(
        self,
        library: ImageLibrary,
        usual: Retention,
        *,
        look_interval_s: float = LOOK_INTERVAL_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """``usual`` is for workspaces that have no time of their own."""
        self._library = library
        self._usual = usual
        self._look_interval_s = look_interval_s
        self._pause_s = pause_s

    async def keep_expiring(self) -> None:
        """Delete what is over, again and again. Never returns."""
        while True:
            pause_s = self._look_interval_s
            try:
                if expired := await self._library.expire(self._usual, BATCH):
                    log.info("images were deleted whose time was over", extra={"images": expired})
                    pause_s = self._pause_s if expired == BATCH else pause_s
            except LimnerError as error:
                log.warning("images whose time is over are not deleted", extra={"reason": error.reason})
            await asyncio.sleep(pause_s)
