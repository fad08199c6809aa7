"""Falling back to another model, only when surely nothing was bought."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    Outcome,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.model import ModelCapabilities
from limner.domain.task import GenerateTask, MissingPicture, Operation
from limner.models.fallback import FallbackModel, ResumableFallbackModel, with_fallback
from limner.service.ports import Job, KnownSubmission, MadePicture, Order

ORDER = Order(task=GenerateTask(model_id="first", prompt="a heron"), seed=7)
Work = Callable[[Order, Job], Awaitable[None]]


class KeepingJob:
    """Keeps what it is told."""

    watched = False

    def __init__(self) -> None:
        self.pictures: list[MadePicture] = []
        self.missing: list[MissingPicture] = []
        self.submissions: list[str] = []

    def progress(self, fraction: float) -> None:
        pass

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        pass

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> "KeepingJob":
        self.submissions.append(f"submitting {list(indexes)}" + (f" from {model_id}" if model_id else ""))
        return self

    async def accepted(self, provider_job_id: str) -> None:
        self.submissions.append(f"accepted {provider_job_id}")

    async def void(self) -> None:
        self.submissions.append("void")

    async def made(self, picture: MadePicture) -> None:
        self.pictures.append(picture)

    def missed(self, missing: MissingPicture) -> None:
        self.missing.append(missing)

    def describe(self, text: str) -> None:
        pass


class Model:
    """Does what it is given to do, and counts how often."""

    def __init__(self, name: str, work: Work, *, operations: tuple[Operation, ...] = (Operation.GENERATE,)) -> None:
        self.capabilities = ModelCapabilities(id=name, description="", operations=operations)
        self._work = work
        self.orders: list[Order] = []
        self.unready = ""
        self.closed = False

    def unready_reason(self) -> str:
        return self.unready

    async def run(self, order: Order, job: Job) -> None:
        self.orders.append(order)
        await self._work(order, job)

    async def close(self) -> None:
        self.closed = True


class JobsModel(Model):
    """Knows its work by ids."""

    def __init__(self, name: str, work: Work) -> None:
        super().__init__(name, work)
        self.resumed: list[str] = []
        self.cancelled: list[str] = []

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        self.orders.append(order)
        self.resumed += [each.provider_job_id for each in submissions]

    async def cancel(self, submission: KnownSubmission) -> bool:
        self.cancelled.append(submission.provider_job_id)
        return True


def failing(error: LimnerError, *, void: bool = True) -> Work:
    async def work(order: Order, job: Job) -> None:
        submission = await job.submitting([0])
        if void:
            await submission.void()
        raise error

    return work


async def paint(order: Order, job: Job) -> None:
    await job.made(MadePicture(index=0, data=order.task.model_id.encode()))


async def buy(order: Order, job: Job) -> None:
    await (await job.submitting([0])).accepted("job-7")
    await paint(order, job)


SURELY_NOTHING = [
    OverloadedError(),
    ProviderUnavailableError(outcome=Outcome.NOT_BOUGHT),
    ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT),
]
ELSE = [
    ContentRejectedError(),
    ContentRejectedError(outcome=Outcome.NOT_BOUGHT),
    ProviderUnavailableError(),
    ProviderUnavailableError(outcome=Outcome.UNKNOWN),
    ProviderMisconfiguredError(),
    StorageUnavailableError(),
]


@pytest.mark.parametrize("error", SURELY_NOTHING)
async def test_the_next_model_makes_the_picture_when_surely_nothing_was_bought(error: LimnerError) -> None:
    job, second = KeepingJob(), Model("second", paint)
    await FallbackModel(Model("first", failing(error)), [second]).run(ORDER, job)
    assert [(picture.data, picture.model_id) for picture in job.pictures] == [(b"second", "second")]
    assert second.orders == [replace(ORDER, task=replace(ORDER.task, model_id="second"))]


@pytest.mark.parametrize("error", ELSE)
async def test_refusals_and_unknown_outcomes_never_fall_back(error: LimnerError) -> None:
    second = Model("second", paint)
    with pytest.raises(type(error)):
        await FallbackModel(Model("first", failing(error)), [second]).run(ORDER, KeepingJob())
    assert second.orders == []


async def test_a_submission_that_is_not_void_never_falls_back() -> None:
    second = Model("second", paint)
    with pytest.raises(OverloadedError):
        await FallbackModel(Model("first", failing(OverloadedError(), void=False)), [second]).run(ORDER, KeepingJob())
    assert second.orders == []


async def test_one_of_two_submissions_being_void_is_not_enough() -> None:
    async def half(order: Order, job: Job) -> None:
        await (await job.submitting([0])).accepted("job-1")
        await failing(OverloadedError())(order, job)

    second = Model("second", paint)
    with pytest.raises(OverloadedError):
        await FallbackModel(Model("first", half), [second]).run(ORDER, KeepingJob())
    assert second.orders == []


@pytest.mark.parametrize("telling", ["made", "missed", "preview", "describe"])
async def test_a_model_that_told_of_its_work_never_falls_back(telling: str) -> None:
    async def work(order: Order, job: Job) -> None:
        if telling == "made":
            await paint(order, job)
        elif telling == "missed":
            job.missed(MissingPicture(index=0, reason="", message=""))
        elif telling == "preview":
            job.preview(0, b"", "")
        else:
            job.describe("a heron")
        raise OverloadedError

    second = Model("second", paint)
    with pytest.raises(OverloadedError):
        await FallbackModel(Model("first", work), [second]).run(ORDER, KeepingJob())
    assert second.orders == []


async def test_alternatives_that_cannot_do_it_or_are_not_ready_are_passed_over() -> None:
    upscaler = Model("upscaler", paint, operations=(Operation.UPSCALE,))
    unready, busy, last = Model("unready", paint), Model("busy", failing(OverloadedError())), Model("last", paint)
    unready.unready = "no key"
    job = KeepingJob()
    await FallbackModel(Model("first", failing(OverloadedError())), [upscaler, unready, busy, last]).run(ORDER, job)
    assert [picture.data for picture in job.pictures] == [b"last"]
    assert [len(each.orders) for each in (upscaler, unready, busy)] == [0, 0, 1]


async def test_a_model_that_is_not_ready_falls_back_without_being_asked() -> None:
    first, second, job = Model("first", paint), Model("second", paint), KeepingJob()
    first.unready = "no key"
    await FallbackModel(first, [second]).run(ORDER, job)
    assert [(picture.data, picture.model_id) for picture in job.pictures] == [(b"second", "second")]
    assert first.orders == []


async def test_a_model_that_is_not_ready_says_why_when_no_model_is_left() -> None:
    first, second = Model("first", paint), Model("second", failing(OverloadedError()))
    first.unready = "no key"
    with pytest.raises(ProviderMisconfiguredError, match="first is not ready: no key"):
        await FallbackModel(first, [second]).run(ORDER, KeepingJob())


async def test_the_first_models_error_is_raised_when_no_model_is_left() -> None:
    first = Model("first", failing(OverloadedError("the first")))
    with pytest.raises(OverloadedError, match="the first"):
        await FallbackModel(first, [Model("second", failing(OverloadedError("the second")))]).run(ORDER, KeepingJob())


async def test_a_refusal_of_an_alternative_is_the_answer() -> None:
    third = Model("third", paint)
    alternatives = [Model("second", failing(ContentRejectedError())), third]
    with pytest.raises(ContentRejectedError):
        await FallbackModel(Model("first", failing(OverloadedError())), alternatives).run(ORDER, KeepingJob())
    assert third.orders == []


async def test_work_of_an_alternative_is_resumed_and_cancelled_there() -> None:
    first, second = JobsModel("first", failing(OverloadedError())), JobsModel("second", buy)
    model = with_fallback(first, [second])
    assert isinstance(model, ResumableFallbackModel)
    job = KeepingJob()
    await model.run(ORDER, job)
    assert job.submissions[-2:] == ["submitting [0] from second", "accepted job-7"]
    known = KnownSubmission(indexes=(0,), provider_job_id="job-7", model_id="second")
    await model.resume(ORDER, [known], job)
    assert await model.cancel(known)
    assert (second.resumed, second.cancelled, second.orders[-1].task.model_id) == (["job-7"], ["job-7"], "second")


async def test_work_of_the_first_model_is_resumed_there_by_its_own_id() -> None:
    first, second = JobsModel("first", buy), JobsModel("second", buy)
    model = with_fallback(first, [second])
    assert isinstance(model, ResumableFallbackModel)
    job = KeepingJob()
    await model.run(ORDER, job)
    assert job.submissions == ["submitting [0]", "accepted job-7"]
    await model.resume(ORDER, [KnownSubmission(indexes=(0,), provider_job_id="job-7", model_id="first")], job)
    assert (first.resumed, second.resumed) == (["job-7"], [])


async def test_it_shows_the_first_model_and_closes_only_that() -> None:
    first, second = Model("first", paint), Model("second", paint)
    first.unready = "no key"
    model = with_fallback(first, [second])
    assert not hasattr(model, "resume")
    assert (replace(model.capabilities, fallback=()), model.unready_reason()) == (first.capabilities, "no key")
    assert model.capabilities.fallback == (second.capabilities,)
    await model.close()
    assert (first.closed, second.closed) == (True, False)
    assert with_fallback(first, []) is first
