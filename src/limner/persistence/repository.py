"""The facts in SQLite or PostgreSQL."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from limner.domain.image import Cursor, Image, ImageFilter, ImagePage, Retention
from limner.domain.task import Generation
from limner.domain.usage import Quota, Usage
from limner.persistence import deliveries, reads, schema, writes
from limner.persistence.engine import for_reading, open_engine, translated_errors
from limner.persistence.lookups import ImageLookups
from limner.persistence.writer import GroupCommitWriter
from limner.service.executor import BoundedExecutor
from limner.service.ports import Delivery, Start, Started, Unfinished

P = ParamSpec("P")
T = TypeVar("T")

_SWEEP_MARK = "sweep"


class SqlRepository:
    """Keeps the facts in a database whose schema is up to date: see ``schema.migrate``.

    Holds up to ``readers`` + 1 connections; at most ``queue_length`` reads and as many writes wait,
    more are refused with ``OverloadedError``. A write that raises ``DatabaseUnavailableError`` may
    have been kept when the connection broke during the commit.
    """

    def __init__(self, url: str, *, readers: int = 4, queue_length: int = 4096) -> None:
        self._engine = open_engine(url, connections=readers + 1)
        self._for_reading = for_reading(self._engine)
        self._writer = GroupCommitWriter(self._engine, queue_length=queue_length)
        self._readers = BoundedExecutor("database-reader", threads=readers, queue=queue_length)
        self._lookups = ImageLookups(self._live_images, queue_length=queue_length)

    async def add_image(self, image: Image) -> None:
        """Keep an uploaded image."""
        await self._writer.run(writes.add_images, image)

    async def image(self, workspace_id: str, image_id: str) -> Image | None:
        """Return the image, or ``None``."""
        return await self._lookups.find(workspace_id, image_id)

    async def images(self, workspace_id: str, image_ids: Sequence[str]) -> tuple[Image, ...]:
        """Return those of the images that exist, in the order asked for."""
        return await self._read(reads.images_by_id, workspace_id, image_ids)

    async def list_images(self, workspace_id: str, where: ImageFilter, after: Cursor | None, limit: int) -> ImagePage:
        """Return up to ``limit`` images, newest first."""
        return await self._read(reads.image_page, workspace_id, where, after, limit)

    async def delete_image(self, workspace_id: str, image_id: str, at: datetime) -> tuple[str, ...]:
        """Delete the image, and return the ids of all images whose bytes nothing needs any longer."""
        return await self._writer.run(writes.delete_images, writes.Deletion(workspace_id, image_id, at))

    async def images_to_purge(self, limit: int) -> tuple[str, ...]:
        """Return ids of deleted images whose bytes nothing needs and that were not yet purged."""
        return await self._read(reads.images_to_purge, limit)

    async def mark_purged(self, image_ids: Sequence[str]) -> None:
        """Note that the bytes of these deleted images are gone."""
        await self._writer.run(writes.mark_purged, writes.Purge(image_ids, datetime.now(UTC)))

    async def start_generation(self, start: Start) -> Started:
        """Keep a running generation and its inputs, within quota and under its key."""
        return await self._writer.run(writes.start_generations, start, flush=start.durable)

    async def add_submission(
        self, generation_id: str, worker_id: str, number: int, indexes: Sequence[int], model_id: str
    ) -> None:
        """Keep that a purchase of these pictures is about to be made from a model."""
        purchase = writes.Purchase(generation_id, worker_id, number, indexes, model_id)
        await self._writer.run(writes.add_submissions, purchase)

    async def accept_submission(self, generation_id: str, number: int, provider_job_id: str) -> None:
        """Keep the provider's id of a purchase."""
        await self._writer.run(writes.accept_submissions, (generation_id, number, provider_job_id))

    async def void_submission(self, generation_id: str, number: int) -> None:
        """Keep that a purchase was surely not made."""
        await self._writer.run(writes.void_submissions, (generation_id, number))

    async def finish_generation(
        self, generation: Generation, cost_micros: int, *, worker_id: str = "", notify: bool = False
    ) -> bool:
        """Keep the final state, the images and the month's usage, unless it ended before."""
        finish = writes.Finish(generation, cost_micros, worker_id, notify)
        return await self._writer.run(writes.finish_generations, finish)

    async def request_cancel(self, workspace_id: str, generation_id: str) -> None:
        """Ask whichever worker runs the generation to cancel it."""
        await self._writer.run(writes.request_cancels, (workspace_id, generation_id))

    async def cancel_requests(self, worker_id: str) -> tuple[str, ...]:
        """Return the ids of the worker's running generations that somebody wants cancelled."""
        return await self._read(reads.cancel_requests, worker_id)

    async def generation(self, workspace_id: str, generation_id: str) -> Generation | None:
        """Return the generation with its images and inputs, or ``None``."""
        return await self._read(reads.generation, workspace_id, generation_id)

    async def input_image(self, workspace_id: str, generation_id: str, image_id: str) -> Image | None:
        """Return a picture that the generation started from, even a deleted one, or ``None``."""
        return await self._read(reads.input_image, workspace_id, generation_id, image_id)

    async def renew_leases(self, worker_id: str, generation_ids: Sequence[str], lease_until: datetime) -> None:
        """Lease those generations for longer that run and are still leased to the worker."""
        renewal = writes.Renewal(worker_id, generation_ids, lease_until)
        await self._writer.run(writes.renew_leases, renewal, flush=False)

    async def end_leases(self, worker_ids: Sequence[str]) -> None:
        """End the leases of workers that are known to be dead."""
        await self._writer.run(writes.end_leases, tuple(worker_ids))

    async def take_over(
        self, worker_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple[Unfinished, ...]:
        """Lease running generations whose lease has ended to this worker, and return them."""
        return await self._writer.run(writes.take_over, writes.TakeOver(worker_id, now, lease_until, limit))

    async def forget_keys(self, before: datetime) -> None:
        """Forget idempotency keys that were claimed before."""
        await self._writer.run(writes.forget_keys, before)

    async def unknown_outcomes(self, image_ids: Sequence[str]) -> tuple[Unfinished, ...]:
        """Return the generations that ended as unknown and planned one of these images."""
        return await self._read(reads.unknown_outcomes, image_ids)

    async def workspaces_to_notify(self, now: datetime) -> tuple[str, ...]:
        """Return the workspaces of which a webhook delivery is due."""
        return await self._read(deliveries.workspaces_to_notify, now)

    async def lease_deliveries(
        self, workspace_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple[Delivery, ...]:
        """Return due deliveries of the workspace, put off until the lease ends."""
        lease = deliveries.DeliveryLease(workspace_id, now, lease_until, limit)
        return await self._writer.run(deliveries.lease_deliveries, lease)

    async def end_delivery(self, delivery_id: str) -> None:
        """Note that the event was delivered, or is given up."""
        await self._writer.run(deliveries.end_deliveries, delivery_id)

    async def postpone_delivery(self, delivery: Delivery, until: datetime) -> None:
        """Count a failed attempt, and note when the next one is due."""
        await self._writer.run(deliveries.postpone_deliveries, deliveries.Postponement(delivery, until))

    async def unknown_images(self, image_ids: Sequence[str]) -> tuple[str, ...]:
        """Return those ids that no row and no plan of a running generation knows."""
        return await self._read(reads.unknown_images, image_ids)

    async def images_between(self, first: str, last: str, limit: int) -> tuple[str, ...]:
        """Return ids of images whose bytes must be there, in order."""
        return await self._read(reads.images_between, first, last, limit)

    async def sweep_mark(self) -> str:
        """Return up to which id bytes and rows were compared."""
        return await self._read(reads.mark, _SWEEP_MARK)

    async def advance_sweep_mark(self, old: str, new: str) -> bool:
        """Move the mark, unless somebody else moved it before."""
        return await self._writer.run(writes.move_marks, (_SWEEP_MARK, old, new))

    async def quota(self, workspace_id: str) -> Quota | None:
        """Return the quota of a workspace that has one of its own, or ``None``."""
        return await self._read(reads.quota, workspace_id)

    async def retention(self, workspace_id: str) -> Retention | None:
        """Return how long a workspace keeps its images that does not do as the others, or ``None``."""
        return await self._read(reads.retention, workspace_id)

    async def set_retention(self, workspace_id: str, retention: Retention | None) -> None:
        """Let a workspace keep its images for a time of its own; ``None``: as long as the others."""
        await self._writer.run(writes.set_retentions, (workspace_id, retention))

    async def expired_images(self, usual: Retention, at: datetime, limit: int) -> tuple[Image, ...]:
        """Return the oldest images that their workspaces do not keep any longer."""
        return await self._read(reads.expired_images, usual, at, limit)

    async def fullest_quota(self, quota: Quota, at: datetime) -> float:
        """Return the largest part of its quota that a workspace used this month; ``quota`` is the default's."""
        return await self._read(reads.fullest_quota, quota, at)

    async def set_quota(self, workspace_id: str, quota: Quota | None) -> None:
        """Give a workspace a quota of its own; ``None`` takes it away."""
        await self._writer.run(writes.set_quotas, (workspace_id, quota))

    async def usage(self, workspace_id: str, month: str) -> Usage:
        """Return what the workspace used in a month."""
        return await self._read(reads.usage, workspace_id, month)

    async def time(self) -> datetime | None:
        """Return the time by the server's clock; ``None`` for SQLite, which has none of its own."""
        return await self._read(reads.time)

    async def check(self) -> None:
        """Return when the database answers and has the newest schema."""
        await self._read(schema.check)

    async def close(self) -> None:
        """Write what waits, and release all connections."""
        await self._writer.close()
        self._readers.close()
        await asyncio.to_thread(self._engine.dispose)

    async def _live_images(self, image_ids: Sequence[str]) -> tuple[Image, ...]:
        return await self._read(reads.live_images, image_ids)

    async def _read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._readers.run(lambda: self._query(query, *args, **kwargs))

    def _query(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with translated_errors():
            try:
                return self._query_once(query, *args, **kwargs)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The server ended the connection, as after its restart. The pool has let go of all of them.
            return self._query_once(query, *args, **kwargs)

    def _query_once(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._for_reading.begin() as connection:
            return query(connection, *args, **kwargs)
