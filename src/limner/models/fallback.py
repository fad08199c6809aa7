"""Another model in the place of one that surely bought nothing."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from limner.domain.errors import LimnerError, Outcome, ProviderMisconfiguredError
from limner.domain.model import ModelCapabilities
from limner.domain.task import MissingPicture
from limner.models.http.outcome import bought_nothing
from limner.service.ports import ImageModel, Job, KnownSubmission, MadePicture, Order, ResumableModel, Submission

log = logging.getLogger(__name__)


class FallbackModel:
    """Asks its first model, and the next one only when surely nothing was bought.

    That is so when the error says so, every submission is void, and no picture was made, missed or previewed.
    ``OverloadedError``, and ``ProviderUnavailableError`` or ``ProviderMisconfiguredError`` whose metadata say
    ``outcome: not_bought``, fall back, and so does a model that is not ready; a refusal and an unknown outcome never
    do. Alternatives that can't do the task or are not ready are passed over. When none is left, the first model's
    error is raised.
    """

    def __init__(self, model: ImageModel, alternatives: Sequence[ImageModel]) -> None:
        self._model = model
        self._alternatives = tuple(alternatives)
        fallback = tuple(each.capabilities for each in alternatives)
        self._capabilities = replace(model.capabilities, fallback=fallback)

    @property
    def capabilities(self) -> ModelCapabilities:
        """What the first model can do, and which ones are asked in its place."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return why the first model can't work now; empty when it can."""
        return self._model.unready_reason()

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures with the first model that begins."""
        watched = _WatchedJob(job)
        try:
            if reason := self._model.unready_reason():
                raise ProviderMisconfiguredError(
                    f"{self.capabilities.id} is not ready: {reason}", outcome=Outcome.NOT_BOUGHT
                )
            await self._model.run(order, watched)
            return
        except LimnerError as error:
            if not _may_fall_back(error, watched):
                raise
            first_error = error
        if not await self._run_alternatives(order, job):
            raise first_error

    async def close(self) -> None:
        """Close the first model; the alternatives are models of the catalogue, which closes them."""
        await self._model.close()

    async def _run_alternatives(self, order: Order, job: Job) -> bool:
        """Return whether one of them made the pictures."""
        for model in self._alternatives:
            substitute = _order_for(model, order)
            if substitute is None:
                continue
            log.warning("%s bought nothing; falling back to %s", self.capabilities.id, model.capabilities.id)
            watched = _WatchedJob(job, model.capabilities.id)
            try:
                await model.run(substitute, watched)
                return True
            except LimnerError as error:
                if not _may_fall_back(error, watched):
                    raise
        return False


class ResumableFallbackModel(FallbackModel):
    """A fallback some of whose models know their work by an id."""

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        """Go on waiting at the model that took the work; one model took all of it."""
        model = self._owner(submissions[0])
        watched = job if model is self._model else _WatchedJob(job, model.capabilities.id)
        await model.resume(_addressed(order, model), submissions, watched)

    async def cancel(self, submission: KnownSubmission) -> bool:
        """Ask the model that took the work to stop; return whether it may still bill."""
        return await self._owner(submission).cancel(submission)

    def _owner(self, submission: KnownSubmission) -> ResumableModel:
        """Return the model that took the work."""
        for model in self._alternatives:
            if submission.model_id == model.capabilities.id:
                return _resumable(model)
        return _resumable(self._model)


def with_fallback(model: ImageModel, alternatives: Sequence[ImageModel]) -> ImageModel:
    """Return the model with alternatives; resumable when it, or one of them, is."""
    if not alternatives:
        return model
    resumable = any(hasattr(each, "resume") for each in (model, *alternatives))
    return (ResumableFallbackModel if resumable else FallbackModel)(model, alternatives)


def _resumable(model: ImageModel) -> ResumableModel:
    return model  # type: ignore[return-value]  # only such a model hands out ids


def _addressed(order: Order, model: ImageModel) -> Order:
    return replace(order, task=replace(order.task, model_id=model.capabilities.id))


def _may_fall_back(error: LimnerError, job: "_WatchedJob") -> bool:
    return bought_nothing(error) and job.told_nothing


def _order_for(model: ImageModel, order: Order) -> Order | None:
    """Return the order as this model takes it, or ``None`` when it can't do it."""
    addressed = _addressed(order, model)
    unfit = model.unready_reason() or any(model.capabilities.violations(addressed.task))
    return None if unfit else addressed


class _WatchedJob:
    """Passes all on, with the id of an alternative, and knows whether anything came that shows that work was begun."""

    def __init__(self, job: Job, model_id: str = "") -> None:
        self._job = job
        self._model_id = model_id
        self._told = False
        self._submissions: list[_WatchedSubmission] = []

    @property
    def told_nothing(self) -> bool:
        """Whether no picture came, and every submission is void."""
        return not self._told and all(each.is_void for each in self._submissions)

    @property
    def watched(self) -> bool:
        return self._job.watched

    def progress(self, fraction: float) -> None:
        self._job.progress(fraction)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        self._told = True
        self._job.preview(index, data, content_type)

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> Submission:
        submission = _WatchedSubmission(await self._job.submitting(indexes, model_id or self._model_id))
        self._submissions.append(submission)
        return submission

    async def made(self, picture: MadePicture) -> None:
        self._told = True
        await self._job.made(replace(picture, model_id=picture.model_id or self._model_id))

    def missed(self, missing: MissingPicture) -> None:
        self._told = True
        self._job.missed(missing)

    def describe(self, text: str) -> None:
        self._told = True
        self._job.describe(text)


class _WatchedSubmission:
    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self.is_void = False

    async def accepted(self, provider_job_id: str) -> None:
        self.is_void = False
        await self._submission.accepted(provider_job_id)

    async def void(self) -> None:
        await self._submission.void()
        self.is_void = True
