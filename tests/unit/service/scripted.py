"""A model that does what a test tells it, and stores that are down when a test wants it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

from limner.domain.errors import DatabaseUnavailableError, StorageUnavailableError
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, Generation, Operation
from limner.persistence.repository import SqlRepository
from limner.service.ports import Job, MadePicture, Order, Start, Started
from limner.storage.memory import MemoryBlobStore
from tests.pictures import png

Script = Callable[[Order, Job], Awaitable[None]]


async def make_all(order: Order, job: Job) -> None:
    """Make every picture, the last one first."""
    for index in reversed(range(order.task.num_images)):
        await job.made(MadePicture(index=index, data=png(8 + index, 8), seed=order.seed + index))


class Scripted:
    """An ``ImageModel``. ``local`` ones are free; the others buy when their script submits."""

    def __init__(self, script: Script = make_all, *, local: bool = True, unready: str = "", **facts: Any) -> None:
        self.script = script
        self.orders: list[Order] = []
        self.stopped = 0
        self._unready = unready
        self.capabilities = ModelCapabilities(
            id="scripted",
            description="Does as it is told.",
            operations=tuple(Operation),
            aspect_ratios=(*ASPECT_RATIOS, "auto"),
            max_input_images=4,
            upscale_factors=(2, 4),
            price_usd=Decimal(0) if local else Decimal("0.04"),
            local=local,
            **{"seeds": True, **facts},
        )

    def unready_reason(self) -> str:
        return self._unready

    async def run(self, order: Order, job: Job) -> None:
        self.orders.append(order)
        try:
            await self.script(order, job)
        except asyncio.CancelledError:
            self.stopped += 1
            raise

    async def close(self) -> None:
        pass


class Moment:
    """A model's script that stands still until it is let on."""

    def __init__(self, *, buys: bool = False, then: Script = make_all) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self._buys = buys
        self._then = then

    async def __call__(self, order: Order, job: Job) -> None:
        if self._buys:
            await job.submitting(range(order.task.num_images))
        self.reached.set()
        await self.go_on.wait()
        await self._then(order, job)


class FlakyBlobStore(MemoryBlobStore):
    """Is down for the next ``failures`` calls."""

    failures = 0

    def _fail(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StorageUnavailableError

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self._fail()
        await super().put(key, data, content_type)

    async def read(self, key: str) -> bytes:
        self._fail()
        return await super().read(key)

    async def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        self._fail()
        async for chunk in super().stream(key, chunk_bytes):
            yield chunk

    async def delete(self, key: str) -> None:
        self._fail()
        await super().delete(key)

    def held(self) -> set[str]:
        """The keys of all bytes."""
        return set(self._blobs)


class FlakyRepository(SqlRepository):
    """Is down for the next starts or ends of generations; one may also be kept and its answer lost."""

    failing_starts = 0
    lost_starts = 0
    failing_ends = 0
    lost_answers = 0
    failing_uploads = 0

    async def start_generation(self, start: Start) -> Started:
        if self.failing_starts > 0:
            self.failing_starts -= 1
            raise DatabaseUnavailableError
        started = await super().start_generation(start)
        if self.lost_starts > 0:
            self.lost_starts -= 1
            error = DatabaseUnavailableError()
            error.may_be_kept = True
            raise error
        return started

    async def finish_generation(self, generation: Generation, cost_micros: int, **options: Any) -> bool:
        if self.failing_ends > 0:
            self.failing_ends -= 1
            raise DatabaseUnavailableError
        kept = await super().finish_generation(generation, cost_micros, **options)
        if self.lost_answers > 0:
            self.lost_answers -= 1
            raise DatabaseUnavailableError
        return kept

    async def add_image(self, image: Any) -> None:
        if self.failing_uploads > 0:
            self.failing_uploads -= 1
            raise DatabaseUnavailableError
        await super().add_image(image)
