"""What one generation bought, or may have bought: row before purchase, and what is known of it afterwards."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from limner.domain.errors import LimnerError
from limner.service import failpoints, tracing
from limner.service.ports import KnownSubmission, Repository, SubmissionRecord

log = logging.getLogger(__name__)

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0


@dataclass(slots=True)
class KeptSubmission:
    """One purchase, as the database knows it (``ports.Submission``)."""

    generation_id: str
    number: int
    indexes: tuple[int, ...]
    model_id: str
    repository: Repository
    provider_job_id: str = ""
    voided: bool = False
    span: tracing.Span = field(default_factory=tracing.nothing)
    keeping: "asyncio.Task[None] | None" = None
    """Keeps the id later, when an outage hindered it."""

    async def accepted(self, provider_job_id: str) -> None:
        """Keep the provider's id of the work. That is bought, and goes on even while its id can't be kept."""
        self.provider_job_id = provider_job_id
        try:
            await self.repository.accept_submission(self.generation_id, self.number, provider_job_id)
        except LimnerError as error:
            facts = {"generation_id": self.generation_id, "reason": error.reason}
            log.warning("a provider's id could not be kept", extra=facts)
            self.keeping = asyncio.create_task(self._keep_id(), name=f"id-{self.generation_id}")
        failpoints.reach("job-accepted")

    async def _keep_id(self) -> None:
        """Try until it is kept: a worker that died before would leave the outcome unknown."""
        delay_s, kept = _FIRST_DELAY_S, False
        while not kept:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            with suppress(LimnerError):
                await self.repository.accept_submission(self.generation_id, self.number, self.provider_job_id)
                kept = True

    async def void(self) -> None:
        """Keep that nothing was bought."""
        self.voided = True
        self.span.note({tracing.OUTCOME: "not_bought"})
        self.span.end()
        await self.repository.void_submission(self.generation_id, self.number)
        failpoints.reach("submission-voided")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """What a worker finds that takes over from a dead one."""

    submissions: tuple[SubmissionRecord, ...] = ()
    submitted: int = 0
    """The number of the next submission."""
    cancel_requested: bool = False


Purchase: TypeAlias = KeptSubmission | SubmissionRecord
"""One of this worker's, or of one that died."""


class Purchases:
    """The purchases of one generation, this worker's and those of the workers before. It counts those not void."""

    def __init__(self, generation_id: str, repository: Repository, inherited: Inheritance | None = None) -> None:
        self._generation_id = generation_id
        self._repository = repository
        self._all: list[Purchase] = list(inherited.submissions) if inherited else []
        self._numbers = itertools.count(inherited.submitted if inherited else 0)

    async def begin(self, worker_id: str, indexes: Sequence[int], model_id: str) -> KeptSubmission:
        """Keep that these pictures are about to be bought. Raises ``LeaseLostError`` when they must not be."""
        submission = KeptSubmission(
            self._generation_id, next(self._numbers), tuple(indexes), model_id, self._repository
        )
        await self._repository.add_submission(
            self._generation_id, worker_id, submission.number, submission.indexes, model_id
        )
        self._all.append(submission)
        submission.span = tracing.begin("purchase", {tracing.MODEL: model_id, tracing.GENERATION: self._generation_id})
        failpoints.reach("submission-kept")
        return submission

    def __len__(self) -> int:
        return len(self.live)

    @property
    def live(self) -> tuple[Purchase, ...]:
        """What was, or may have been, bought."""
        return tuple(each for each in self._all if not _is_void(each))

    @property
    def voided_models(self) -> list[str]:
        """For each purchase of this worker that was surely not made, the model that was asked."""
        return [each.model_id for each in self._all if _is_void(each)]

    def known(self) -> list[KnownSubmission]:
        """Return what the provider is known to have accepted."""
        return [
            KnownSubmission(indexes=each.indexes, provider_job_id=each.provider_job_id, model_id=each.model_id)
            for each in self.live
            if each.provider_job_id
        ]

    def in_doubt(self, open_indexes: Sequence[int], *, resumable: bool) -> set[int]:
        """Return the open pictures of which nobody knows whether they were bought.

        The one place that judges this. A provider's id takes the doubt away only from a model that can ask by it.
        """
        lost = (each.indexes for each in self.live if not (each.provider_job_id and resumable))
        return set(open_indexes).intersection(itertools.chain.from_iterable(lost))

    def end_spans(self) -> None:
        """End what is traced of them."""
        for each in self._all:
            if isinstance(each, KeptSubmission):
                each.span.end()

    def stop_keeping(self) -> None:
        """Let go of ids that are of no use any longer."""
        for each in self._all:
            if isinstance(each, KeptSubmission) and each.keeping is not None:
                each.keeping.cancel()


def _is_void(purchase: Purchase) -> bool:
    return isinstance(purchase, KeptSubmission) and purchase.voided
