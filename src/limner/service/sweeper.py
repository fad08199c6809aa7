"""Finds bytes without a row and rows without bytes, and mends what can be mended.

Ids are ordered by time, so each sweep looks only at what is new since the last one, and never at the last
hour, where something may still be written.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from limner.domain.errors import LimnerError
from limner.domain.identifiers import first_id_at
from limner.service import failpoints
from limner.service.ports import BlobExistsError, InvalidPictureError, Unfinished
from limner.service.stores import Stores

log = logging.getLogger(__name__)

SWEEP_INTERVAL_S: Final = 3600.0
UNTOUCHED: Final = timedelta(hours=1)
"""What is younger may still be written."""

_BATCH: Final = 500


@dataclass(slots=True)
class SweepReport:
    """What a sweep found."""

    looked_at: int = 0
    orphans: list[str] = field(default_factory=list)
    """Ids whose bytes had no row; the bytes were deleted."""
    delivered: list[str] = field(default_factory=list)
    """Ids of rows whose bytes lay in the spool only; the store has them now."""
    lost: list[str] = field(default_factory=list)
    """Ids of rows whose bytes are nowhere."""
    unclaimed: list[str] = field(default_factory=list)
    """Ids of generations whose outcome was unknown, and of whose pictures there are bytes."""


class Sweeper:
    """Sweeps a range of ids, by hand or again and again."""

    def __init__(self, stores: Stores, *, reclaim: Callable[[Unfinished], None] | None = None) -> None:
        """``reclaim`` gives generations whose outcome was unknown the pictures that are there after all."""
        self._stores = stores
        self._reclaim = reclaim

    async def keep_sweeping(self) -> None:
        """Sweep what is new, again and again. Of several workers one does it. Never returns."""
        while True:
            try:
                await self.sweep_new()
            except LimnerError as error:
                log.warning("nothing was swept", extra={"reason": error.reason})
            except Exception:
                log.exception("nothing was swept")
            await asyncio.sleep(SWEEP_INTERVAL_S)

    async def sweep_new(self) -> SweepReport | None:
        """Sweep what is new since the last sweep; ``None`` when nothing is, or another worker was faster.

        The mark moves afterwards, so that what a sweep did not come to is left to the next one.
        """
        mark = await self._stores.repository.sweep_mark()
        until = first_id_at(self._settled_until())
        if until <= mark:
            return None
        report = await self.sweep(mark, until)
        if not await self._stores.repository.advance_sweep_mark(mark, until):
            return None
        if report.orphans or report.lost:
            counts = {"orphans": len(report.orphans), "lost": len(report.lost)}
            log.error("bytes and rows did not match", extra=counts)
        return report

    async def sweep_all(self) -> SweepReport:
        """Sweep everything that is not being written now."""
        return await self.sweep("", first_id_at(self._settled_until()))

    async def sweep(self, after: str, until: str) -> SweepReport:
        """Sweep the ids ``after`` < id <= ``until``. Raises when the store or the database is down."""
        report = SweepReport()
        spooled = {key for key in await self._stores.spool.keys() if after < key <= until}
        for key in await self._stores.repository.unknown_images(sorted(spooled)):
            await self._stores.spool.discard(key)
        stored: set[str] = set()
        batch: list[str] = []
        async for key in self._stores.blobs.keys(after, until):
            stored.add(key)
            batch.append(key)
            if len(batch) == _BATCH:
                await self._look_at(batch, report)
                batch = []
        await self._look_at(batch, report)
        await self._sweep_variants(after, until)
        report.looked_at = len(stored)
        await self._find_lost(after, until, stored, report)
        for key in spooled & stored:  # brought to the store before, but for the crash that came then
            await self._stores.spool.discard(key)
        return report

    async def _look_at(self, keys: Sequence[str], report: SweepReport) -> None:
        """Delete what is nobody's, and give back what a worker stored that then died, taken for dead before."""
        if not keys:
            return
        for unfinished in await self._stores.repository.unknown_outcomes(keys):
            report.unclaimed.append(unfinished.generation.id)
            if self._reclaim is not None:
                self._reclaim(unfinished)
        for orphan in await self._stores.repository.unknown_images(keys):
            await self._stores.blobs.delete(orphan)
            failpoints.reach("orphan-deleted")
            report.orphans.append(orphan)

    async def _sweep_variants(self, after: str, until: str) -> None:
        """Delete what was made of pictures that are gone: put, by a worker that then died, in their last moment."""
        batch: list[str] = []
        async for owner in self._stores.blobs.owners_of_variants(after, until):
            batch.append(owner)
            if len(batch) == _BATCH:
                await self._delete_unknown(batch)
                batch = []
        await self._delete_unknown(batch)

    async def _delete_unknown(self, owners: Sequence[str]) -> None:
        for owner in await self._stores.repository.unknown_images(owners) if owners else ():
            await self._stores.blobs.delete(owner)
            failpoints.reach("variants-deleted")

    async def _find_lost(self, after: str, until: str, stored: set[str], report: SweepReport) -> None:
        while ids := await self._stores.repository.images_between(after, until, _BATCH):
            for image_id in ids:
                if image_id not in stored:
                    await self._mend(image_id, report)
            after = ids[-1]

    async def _mend(self, image_id: str, report: SweepReport) -> None:
        data = await self._stores.spool.read(image_id)
        try:
            if data is not None:
                info = await self._stores.codec.verify(data)
                await self._stores.blobs.put(image_id, data, info.format.content_type)
                failpoints.reach("picture-mended")
                await self._stores.spool.discard(image_id)
                report.delivered.append(image_id)
                return
        except (InvalidPictureError, BlobExistsError):
            log.exception("spooled bytes are not those of the image", extra={"image_id": image_id})
        report.lost.append(image_id)

    def _settled_until(self) -> datetime:
        return self._stores.clock() - UNTOUCHED
