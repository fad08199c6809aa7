"""Models that buy from the provider, and one that is free."""

import asyncio
import base64
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import aiohttp

from limner.domain.errors import ContentRejectedError, Outcome, ProviderUnavailableError
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, Operation
from limner.service import failpoints
from limner.service.ports import ImageModel, Job, KnownSubmission, MadePicture, Order
from tests.pictures import png

PRICE_MICROS = 40_000
PURCHASE_MADE = "purchase-made"
"""A point of the models' own: the provider sold, and nobody kept its answer."""

_POLL_S = 0.02
_PER_JOB = 2


def capabilities(model_id: str, **facts: Any) -> ModelCapabilities:
    return ModelCapabilities(
        id=model_id,
        description="For tests.",
        operations=(Operation.GENERATE, Operation.EDIT),
        aspect_ratios=(*ASPECT_RATIOS, "auto"),
        max_input_images=4,
        **{"price_usd": Decimal(PRICE_MICROS) / 1_000_000, **facts},
    )


class DirectModel:
    """Buys picture by picture, side by side, and waits on the line. Its provider knows no ids."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.capabilities = capabilities("direct")

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        async with aiohttp.ClientSession() as session:
            calls = [self._make(session, order, index, job) for index in range(order.task.num_images)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        if len(errors) == len(outcomes):
            raise errors[0]

    async def close(self) -> None:
        pass

    async def _make(self, session: aiohttp.ClientSession, order: Order, index: int, job: Job) -> None:
        submission = await job.submitting([index])
        order_document = {"prompt": order.task.prompt, "indexes": [index]}
        try:
            async with session.post(f"{self._url}/pictures", json=order_document) as response:
                if error := _refusal(response.status):
                    await submission.void()
                    raise error
                (encoded,) = await response.json()
        except aiohttp.ClientError as error:
            raise ProviderUnavailableError(outcome=Outcome.UNKNOWN) from error
        failpoints.reach(PURCHASE_MADE)
        await job.made(MadePicture(index=index, data=base64.b64decode(encoded)))


class QueueModel:
    """Buys jobs of up to two pictures, which its provider knows by an id."""

    def __init__(self, url: str, model_id: str = "queue", *, concurrency: int = 0) -> None:
        self._url = url
        self.capabilities = capabilities(model_id, concurrency=concurrency)

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        indexes = range(order.task.num_images)
        parts = [indexes[start : start + _PER_JOB] for start in range(0, len(indexes), _PER_JOB)]
        async with aiohttp.ClientSession() as session:
            await _all([self._buy(session, order, part, job) for part in parts])

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        async with aiohttp.ClientSession() as session:
            await _all([self._wait(session, each.provider_job_id, each.indexes, job) for each in submissions])

    async def cancel(self, submission: KnownSubmission) -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.delete(self._job(submission.provider_job_id)) as response,
        ):
            return response.status != 204

    async def close(self) -> None:
        pass

    async def _buy(self, session: aiohttp.ClientSession, order: Order, indexes: Sequence[int], job: Job) -> None:
        submission = await job.submitting(indexes)
        order_document = {"prompt": order.task.prompt, "indexes": list(indexes)}
        try:
            async with session.post(f"{self._url}/jobs", json=order_document) as response:
                if error := _refusal(response.status):
                    await submission.void()
                    raise error
                job_id = (await response.json())["id"]
        except aiohttp.ClientError as error:
            raise ProviderUnavailableError(outcome=Outcome.UNKNOWN) from error
        failpoints.reach(PURCHASE_MADE)
        await submission.accepted(job_id)
        await self._wait(session, job_id, indexes, job)

    async def _wait(self, session: aiohttp.ClientSession, job_id: str, indexes: Sequence[int], job: Job) -> None:
        while True:
            async with session.get(self._job(job_id)) as response:
                if response.status == 404:
                    raise ProviderUnavailableError("The job is gone.")
                pictures = await response.json() if response.status == 200 else None
            if pictures is not None:
                break
            await asyncio.sleep(_POLL_S)
        for index, encoded in zip(indexes, pictures, strict=True):
            await job.made(MadePicture(index=index, data=base64.b64decode(encoded)))

    def _job(self, job_id: str) -> str:
        return f"{self._url}/jobs/{job_id}"


class FreeModel:
    """Makes pictures on this machine."""

    def __init__(self) -> None:
        self.capabilities = capabilities("free", price_usd=Decimal(0), local=True)

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        for index in range(order.task.num_images):
            await asyncio.sleep(0.01)
            await job.made(MadePicture(index=index, data=png(8 + index, 8)))

    async def close(self) -> None:
        pass


def models_of(url: str) -> list[ImageModel]:
    """The catalogue of a service that buys at this address."""
    return [DirectModel(url), QueueModel(url), QueueModel(url, "narrow", concurrency=1), FreeModel()]


async def _all(parts: Sequence[Any]) -> None:
    """Do all parts; raise the first error when none succeeded."""
    errors = [each for each in await asyncio.gather(*parts, return_exceptions=True) if isinstance(each, BaseException)]
    if len(errors) == len(parts):
        raise errors[0]


def _refusal(status: int) -> Exception | None:
    if status == 400:
        return ContentRejectedError()
    return ProviderUnavailableError(outcome=Outcome.NOT_BOUGHT) if status >= 500 else None
