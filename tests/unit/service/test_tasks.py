"""Task calls from the draft to the kept outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    DatabaseUnavailableError,
    GenerationCancelledError,
    GenerationNotFoundError,
    ImageNotFoundError,
    InternalError,
    InterruptedTaskError,
    OverloadedError,
    PermissionDeniedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.image import ImageFilter, OutputFormat
from limner.domain.task import Generation, GenerationState, MissingPicture, Operation
from limner.service.events import Completed, Finished, Progress, Queued
from limner.service.ports import Claim, Job, MadePicture, Order
from limner.service.tasks import TaskRunner
from tests.pictures import decoded, jpeg, png
from tests.unit.service.conftest import ADA, BOB, WORKSPACE, World, asked
from tests.unit.service.scripted import Moment, Scripted, make_all

FAILED, CANCELLED, SUCCEEDED = GenerationState.FAILED, GenerationState.CANCELLED, GenerationState.SUCCEEDED


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait some seconds for a condition, and return what it returned."""
    async with asyncio.timeout(10):
        while not (result := await condition()):  # noqa: ASYNC110 - of what it waits for, nobody tells
            await asyncio.sleep(0.01)
    return result


async def only_generation(world: World, runner: TaskRunner, error: BaseException) -> Generation:
    """The generation that an error tells of."""
    return await runner.generation(WORKSPACE, error.metadata["generationId"])  # type: ignore[attr-defined]


async def shown(world: World) -> list[str]:
    page = await world.library.images(WORKSPACE, ImageFilter(), None, 100)
    return [image.id for image in page.images]


class TestOutcomes:
    async def test_images_come_in_the_order_asked_for_however_they_were_made(self, world: World) -> None:
        runner = world.runner()

        generation = await runner.run(asked(num_images=3, seed=7))

        assert generation.state is SUCCEEDED
        assert [image.width for image in generation.images] == [8, 9, 10]
        assert [image.parameters["seed"] for image in generation.images] == [7, 8, 9]
        assert {image.id for image in generation.images} == world.blobs.held() == set(await shown(world))
        assert await runner.generation(WORKSPACE, generation.id) == generation

    async def test_a_picture_that_is_missing_has_its_reason(self, world: World) -> None:
        async def some(order: Order, job: Job) -> None:
            job.describe("One is not allowed.")
            job.missed(MissingPicture(index=1, reason="CONTENT_REJECTED", message="Not this one."))
            await job.made(MadePicture(index=0, data=png()))
            await job.made(MadePicture(index=2, data=png()))

        generation = await world.runner(Scripted(some)).run(asked(num_images=3))

        assert generation.state is SUCCEEDED
        assert len(generation.images) == 2
        assert generation.missing == (MissingPicture(index=1, reason="CONTENT_REJECTED", message="Not this one."),)
        assert generation.description == "One is not allowed."

    async def test_a_model_that_fails_after_a_picture_keeps_the_picture(self, world: World) -> None:
        async def fails_late(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png()))
            raise ProviderUnavailableError("It broke down.")

        generation = await world.runner(Scripted(fails_late)).run(asked(num_images=2))

        assert (generation.state, len(generation.images)) == (SUCCEEDED, 1)
        assert generation.missing == (MissingPicture(index=1, reason="PROVIDER_UNAVAILABLE", message="It broke down."),)

    @pytest.mark.parametrize(
        "error", [ContentRejectedError("No foxes."), ProviderUnavailableError("Down."), OverloadedError()]
    )
    async def test_a_model_that_makes_nothing_fails_the_call_with_its_reason(self, world: World, error: Any) -> None:
        async def fails(order: Order, job: Job) -> None:
            raise error

        runner = world.runner(Scripted(fails))
        with pytest.raises(type(error), match=error.message) as failure:
            await runner.run(asked())

        generation = await only_generation(world, runner, failure.value)
        assert generation.state is FAILED
        assert generation.failure is not None
        assert (generation.failure.reason, generation.failure.message) == (error.reason, error.message)
        assert await shown(world) == []

    async def test_a_model_that_says_nothing_made_nothing(self, world: World) -> None:
        async def nothing(order: Order, job: Job) -> None:
            pass

        with pytest.raises(ProviderUnavailableError):
            await world.runner(Scripted(nothing)).run(asked())

    async def test_pictures_that_were_all_refused_are_a_refusal(self, world: World) -> None:
        async def refuses(order: Order, job: Job) -> None:
            job.missed(MissingPicture(index=0, reason="CONTENT_REJECTED", message="Not this."))

        with pytest.raises(ContentRejectedError, match="Not this"):
            await world.runner(Scripted(refuses)).run(asked())

    async def test_a_fault_of_a_model_shows_nothing_of_the_inside(self, world: World) -> None:
        async def breaks(order: Order, job: Job) -> None:
            raise KeyError("secret")

        runner = world.runner(Scripted(breaks))
        with pytest.raises(InternalError) as failure:
            await runner.run(asked())

        generation = await only_generation(world, runner, failure.value)
        assert generation.state is FAILED
        assert "secret" not in repr(generation) + str(failure.value)

    @pytest.mark.parametrize(
        "data", [b"", b"<html>", png()[:40], bytes(65 << 20)], ids=["empty", "html", "cut", "huge"]
    )
    async def test_a_picture_that_is_none_is_missing(self, world: World, data: bytes) -> None:
        async def junk(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=data))
            await job.made(MadePicture(index=1, data=png()))

        generation = await world.runner(Scripted(junk)).run(asked(num_images=2))

        assert len(generation.images) == len(world.blobs.held()) == 1
        assert [(each.index, each.reason) for each in generation.missing] == [(0, "PROVIDER_UNAVAILABLE")]

    @pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
    async def test_a_picture_comes_in_the_format_that_was_asked_for(self, world: World, output_format: str) -> None:
        (image,) = (await world.runner().run(asked(output_format=output_format))).images

        data = await world.blobs.read(image.id)
        assert decoded(data).format == output_format.upper()
        assert (image.format, image.size_bytes) == (OutputFormat(output_format), len(data))
        assert image.parameters["outputFormat"] == output_format

    async def test_the_bytes_of_a_picture_in_the_asked_format_are_left_alone(self, world: World) -> None:
        original = jpeg(32, 32, comment=b"signed by its maker")

        async def makes(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=original))

        (image,) = (await world.runner(Scripted(makes)).run(asked(output_format="jpeg"))).images

        assert await world.blobs.read(image.id) == original

    async def test_an_outcome_counts_as_used(self, world: World) -> None:
        await world.runner(Scripted(local=False)).run(asked(num_images=2))

        usage = await world.library.usage(WORKSPACE)

        assert (usage.images_used, usage.images_reserved) == (2, 0)
        assert (usage.cost_used_micros, usage.cost_reserved_micros) == (80_000, 0)


class TestInputs:
    async def test_an_edit_reads_its_inputs_in_order(self, world: World) -> None:
        library = world.library
        sources = [await library.upload(ADA, WORKSPACE, png(edge, edge)) for edge in (4, 5)]
        ids = tuple(image.id for image in sources)

        generation = await world.runner().run(asked(Operation.EDIT, image_ids=ids[::-1]))

        (order,) = world.model.orders
        assert [each.image.id for each in order.inputs] == list(ids[::-1])
        assert await order.inputs[0].read() == png(5, 5)
        assert generation.images[0].input_image_ids == ids[::-1]
        assert generation.inputs == tuple(sources[::-1])

    async def test_pictures_of_others_are_refused_before_anything_is_kept(self, world: World) -> None:
        source = await world.library.upload(BOB, WORKSPACE, png())

        with pytest.raises(PermissionDeniedError):
            await world.runner().run(asked(Operation.UPSCALE, image_ids=(source.id,), upscale_factor=2))

        assert world.model.orders == []
        assert (await world.library.usage(WORKSPACE)).images_reserved == 0

    async def test_an_input_that_is_not_there_is_not_found(self, world: World) -> None:
        with pytest.raises(ImageNotFoundError):
            await world.runner().run(asked(Operation.EDIT, image_ids=("0" * 32,)))


class TestOutages:
    async def test_a_database_that_is_down_at_the_start_asks_no_model(self, world: World) -> None:
        world.repository.failing_starts = 1

        with pytest.raises(DatabaseUnavailableError):
            await world.runner().run(asked())

        assert world.model.orders == []

    async def test_a_start_that_is_kept_though_its_commit_broke_is_withdrawn_and_its_key_free(
        self, world: World
    ) -> None:
        world.repository.lost_starts, world.repository.failing_ends = 1, 2
        runner, claim = world.runner(), Claim(key="key", fingerprint="x")

        with pytest.raises(DatabaseUnavailableError):
            await runner.run(replace(asked(), claim=claim))
        await until(lambda: _true(not runner._withdrawing))
        generation = await runner.run(replace(asked(), claim=claim))

        assert len(generation.images) == len(world.model.orders) == 1

    @pytest.mark.parametrize("outage", ["failing_ends", "lost_answers"])
    async def test_a_short_outage_at_the_end_is_waited_for(self, world: World, outage: str) -> None:
        setattr(world.repository, outage, 2)

        generation = await world.runner().run(asked())

        assert generation.state is SUCCEEDED
        assert await shown(world) == [generation.images[0].id]

    async def test_a_long_outage_is_told_and_the_images_are_shown_later(self, world: World) -> None:
        world.repository.failing_ends = 5
        runner = world.runner()

        with pytest.raises(DatabaseUnavailableError) as failure:
            await runner.run(asked())

        assert await shown(world) == []
        assert await until(lambda: shown(world))
        assert (await only_generation(world, runner, failure.value)).state is SUCCEEDED

    async def test_a_picture_is_kept_aside_while_the_store_is_down(self, world: World) -> None:
        world.blobs.failures = 3

        (image,) = (await world.runner().run(asked())).images

        assert await world.blobs.read(image.id) == png()
        assert await world.stores.spool.read(image.id) is None

    async def test_a_store_that_stays_down_is_told_and_the_images_are_shown_later(self, world: World) -> None:
        world.blobs.failures = 6
        runner = world.runner()

        with pytest.raises(StorageUnavailableError) as failure:
            await runner.run(asked())

        assert await shown(world) == []
        assert await until(lambda: shown(world))
        assert (await only_generation(world, runner, failure.value)).state is SUCCEEDED

    async def test_an_input_that_can_not_be_read_fails_the_call(self, world: World) -> None:
        source = await world.library.upload(ADA, WORKSPACE, png())
        world.blobs.failures = 1

        async def reads(order: Order, job: Job) -> None:
            await order.inputs[0].read()

        with pytest.raises(StorageUnavailableError):
            await world.runner(Scripted(reads)).run(asked(Operation.EDIT, image_ids=(source.id,)))


class TestHangingUp:
    async def hang_up(self, world: World, model: Scripted, moment: Moment) -> tuple[TaskRunner, str]:
        runner = world.runner(model)
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        (run,) = runner._runs.values() or [None]
        assert run is not None
        return runner, run.generation.id

    async def state(self, runner: TaskRunner, generation_id: str) -> GenerationState:
        return (await runner.generation(WORKSPACE, generation_id)).state

    async def test_work_that_costs_nothing_stops(self, world: World) -> None:
        moment = Moment()
        model = Scripted(moment)

        runner, generation_id = await self.hang_up(world, model, moment)
        await runner.drain(5)

        assert await self.state(runner, generation_id) is CANCELLED
        assert model.stopped == 1

    async def test_a_purchase_goes_on_and_is_kept(self, world: World) -> None:
        moment = Moment(buys=True)
        model = Scripted(moment, local=False)

        runner, generation_id = await self.hang_up(world, model, moment)
        moment.go_on.set()
        await runner.drain(5)

        assert await self.state(runner, generation_id) is SUCCEEDED
        assert model.stopped == 0
        assert len(await shown(world)) == 1

    async def test_one_watcher_who_leaves_does_not_end_the_work_of_the_others(self, world: World) -> None:
        moment = Moment()
        runner = world.runner(Scripted(moment))
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        (run,) = runner._runs.values()
        await asyncio.sleep(0.01)  # the first caller waits by now
        run.join()
        run.leave()

        moment.go_on.set()

        assert (await call).state is SUCCEEDED


class TestCancelling:
    async def test_while_it_runs(self, world: World) -> None:
        moment = Moment()
        model = Scripted(moment)
        runner = world.runner(model)
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        (generation_id,) = runner._runs

        cancelled = await runner.cancel(ADA, WORKSPACE, generation_id)

        assert (cancelled.state, cancelled.may_bill, model.stopped) == (CANCELLED, False, 1)
        with pytest.raises(GenerationCancelledError):
            await call

    async def test_before_its_turn(self, world: World) -> None:
        moment = Moment()
        model = Scripted(moment, concurrency=1)
        runner = world.runner(model)
        first = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        second = asyncio.create_task(runner.run(asked()))
        await until(lambda: _true(len(runner._runs) == 2))
        waiting = [*runner._runs][1]

        assert (await runner.cancel(ADA, WORKSPACE, waiting)).state is CANCELLED

        with pytest.raises(GenerationCancelledError):
            await second
        moment.go_on.set()
        assert (await first).state is SUCCEEDED
        assert len(model.orders) == 1

    async def test_what_was_made_by_then_is_kept(self, world: World) -> None:
        moment = Moment()

        async def one_then_wait(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png()))
            await moment(order, job)

        runner = world.runner(Scripted(one_then_wait))
        call = asyncio.create_task(runner.run(asked(num_images=2)))
        await moment.reached.wait()
        (generation_id,) = runner._runs

        cancelled = await runner.cancel(ADA, WORKSPACE, generation_id)

        assert (cancelled.state, len(cancelled.images)) == (CANCELLED, 1)
        assert len(await shown(world)) == 1
        with pytest.raises(GenerationCancelledError):
            await call

    async def test_afterwards_it_changes_nothing(self, world: World) -> None:
        runner = world.runner()
        generation = await runner.run(asked())

        assert await runner.cancel(ADA, WORKSPACE, generation.id) == generation

    async def test_a_purchase_that_is_cancelled_may_still_be_billed(self, world: World) -> None:
        moment = Moment(buys=True)
        runner = world.runner(Scripted(moment, local=False))
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        (generation_id,) = runner._runs

        assert (await runner.cancel(ADA, WORKSPACE, generation_id)).may_bill

        with pytest.raises(GenerationCancelledError):
            await call

    async def test_others_may_not(self, world: World) -> None:
        runner = world.runner()
        generation = await runner.run(asked())

        with pytest.raises(PermissionDeniedError):
            await runner.cancel(BOB, WORKSPACE, generation.id)

    async def test_what_another_worker_runs_is_cancelled_there(self, world: World) -> None:
        moment = Moment()
        here, there = world.runner(Scripted(moment), worker_id="here"), world.runner(worker_id="there")
        heeding = asyncio.create_task(here.heed_cancellations())
        call = asyncio.create_task(here.run(asked()))
        await moment.reached.wait()
        (generation_id,) = here._runs

        cancelled = await there.cancel(ADA, WORKSPACE, generation_id)

        assert cancelled.state is CANCELLED
        with pytest.raises(GenerationCancelledError):
            await call
        heeding.cancel()

    @pytest.mark.parametrize("generation_id", ["0" * 32, "nonsense", ""])
    async def test_what_is_not_there_is_not_found(self, world: World, generation_id: str) -> None:
        with pytest.raises(GenerationNotFoundError):
            await world.runner().cancel(ADA, WORKSPACE, generation_id)


async def _true(value: bool) -> bool:
    return value


class TestEvents:
    async def test_a_run_is_told_from_its_start_to_its_end(self, world: World) -> None:
        async def steps(order: Order, job: Job) -> None:
            for fraction in (0.25, 0.1, 0.5, 7.0, 0.75):
                job.progress(fraction)
                await asyncio.sleep(0.01)
            await make_all(order, job)

        events = [event async for event in world.runner(Scripted(steps)).events(asked(num_images=2))]

        assert isinstance(events[0], Queued)
        assert [event for event in events if isinstance(event, Progress)] == [
            Progress(0.25),
            Progress(0.5),
            Progress(0.75),
        ]
        assert isinstance(events[-1], Completed)
        images = tuple(event.image for event in events if isinstance(event, Finished))
        assert images == events[-1].generation.images
        assert events[0].generation_id == events[-1].generation.id

    async def test_a_model_that_looks_at_once_sees_that_it_is_watched(self, world: World) -> None:
        watched: list[bool] = []

        async def looks(order: Order, job: Job) -> None:
            watched.append(job.watched)
            await make_all(order, job)

        runner = world.runner(Scripted(looks))
        _ = [event async for event in runner.events(replace(asked(), watched=True))]
        _ = [event async for event in runner.events(asked())]
        await runner.run(asked())

        assert watched == [True, False, False]

    async def test_a_failure_follows_its_completed_event(self, world: World) -> None:
        async def fails(order: Order, job: Job) -> None:
            raise ProviderUnavailableError

        events: list[Any] = []
        with pytest.raises(ProviderUnavailableError):
            async for event in world.runner(Scripted(fails)).events(asked()):
                events.append(event)  # noqa: PERF401 - those before the error count

        assert [type(event) for event in events] == [Queued, Completed]
        assert events[-1].generation.state is FAILED

    async def test_leaving_the_events_stops_work_that_costs_nothing(self, world: World) -> None:
        moment = Moment()
        model = Scripted(moment)
        runner = world.runner(model)

        events = runner.events(asked())
        queued = await anext(events)
        await moment.reached.wait()
        await events.aclose()
        await runner.drain(5)

        assert model.stopped == 1
        assert (await runner.generation(WORKSPACE, queued.generation_id)).state is CANCELLED  # type: ignore[union-attr]


class TestDraining:
    async def test_running_work_ends_and_new_work_is_refused(self, world: World) -> None:
        moment = Moment()
        runner = world.runner(Scripted(moment))
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()

        draining = asyncio.create_task(runner.drain(5))
        await asyncio.sleep(0)
        with pytest.raises(InterruptedTaskError):
            await runner.run(asked())
        moment.go_on.set()

        assert (await call).state is SUCCEEDED
        await draining

    async def test_work_that_takes_too_long_is_interrupted(self, world: World) -> None:
        moment = Moment()
        runner = world.runner(Scripted(moment))
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()

        await runner.drain(0.05)

        with pytest.raises(InterruptedTaskError) as failure:
            await call
        generation = await only_generation(world, runner, failure.value)
        assert generation.state is FAILED
        assert generation.failure is not None
        assert generation.failure.reason == "INTERRUPTED"

    async def test_a_purchase_stays_for_whoever_takes_over(self, world: World) -> None:
        moment = Moment(buys=True)
        runner = world.runner(Scripted(moment, local=False))
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()

        await runner.drain(0.05)

        with pytest.raises(InterruptedTaskError) as failure:
            await call
        assert (await only_generation(world, runner, failure.value)).state is GenerationState.RUNNING


class TestTakingOver:
    async def left_behind(self, world: World, count: int = 1) -> list[str]:
        """Generations of a worker that died before it asked a model."""
        moment = Moment()
        dying = world.runner(Scripted(moment), worker_id="dying", max_in_flight=100)
        calls = [asyncio.create_task(dying.run(asked())) for _ in range(count)]
        await until(lambda: _true(len(dying._runs) == count))
        await moment.reached.wait()
        generation_ids = list(dying._runs)
        for run in list(dying._runs.values()):
            run.abandon()
        await asyncio.gather(*calls, return_exceptions=True)
        return generation_ids

    @pytest.mark.parametrize(("count", "seats"), [(1, 4), (5, 2)])
    async def test_what_a_dead_worker_left_is_done(self, world: World, count: int, seats: int) -> None:
        generation_ids = await self.left_behind(world, count)
        dead = [["dying"]]
        heir = world.runner(worker_id="heir", max_in_flight=seats, dead_workers=lambda: dead.pop() if dead else [])

        keeping = asyncio.create_task(heir.keep_leases())

        for generation_id in generation_ids:

            async def done(generation_id: str = generation_id) -> bool:
                return (await heir.generation(WORKSPACE, generation_id)).state is SUCCEEDED

            await until(done)
        keeping.cancel()
        assert len(world.model.orders) == count


async def test_a_model_that_is_not_ready_is_the_operators_fault(world: World) -> None:
    model = Scripted(unready="its key is missing")

    with pytest.raises(ProviderMisconfiguredError, match="its key is missing"):
        await world.runner(model).run(asked())

    assert model.orders == []


async def test_a_model_that_is_not_ready_is_asked_when_another_may_take_its_place(world: World) -> None:
    alternative = replace(Scripted().capabilities, id="alternative")
    model = Scripted(unready="its key is missing", fallback=(alternative,))
    assert len((await world.runner(model).run(asked())).images) == 1


class TestOverload:
    async def test_too_much_is_refused_at_once(self, world: World) -> None:
        moment = Moment()
        runner = world.runner(Scripted(moment), max_in_flight=2)
        calls = [asyncio.create_task(runner.run(asked())) for _ in range(2)]
        await until(lambda: _true(len(runner._runs) == 2))

        with pytest.raises(OverloadedError):
            await runner.run(asked())

        moment.go_on.set()
        await asyncio.gather(*calls)
        assert (await runner.run(asked())).state is SUCCEEDED

    async def test_a_refused_call_frees_its_seat(self, world: World) -> None:
        runner = world.runner(max_in_flight=1)

        for _ in range(3):
            with pytest.raises(ImageNotFoundError):
                await runner.run(asked(Operation.EDIT, image_ids=("0" * 32,)))

        assert (await runner.run(asked())).state is SUCCEEDED


@pytest.mark.parametrize(("made", "kept"), [((32, 16), True), ((33, 17), True), ((16, 32), True), ((256, 128), False)])
async def test_an_upscale_of_another_size_than_was_asked_for_is_not_shown(
    world: World, made: tuple[int, int], kept: bool
) -> None:
    """Its parameters would say what is not true. Blocks of pixels and a camera that was held upright are fine."""

    async def enlarge(order: Order, job: Job) -> None:
        await job.submitting([0])
        await job.made(MadePicture(index=0, data=png(*made)))

    source = await world.library.upload(ADA, WORKSPACE, png(16, 8))
    runner = world.runner(Scripted(enlarge, local=False))
    task = asked(Operation.UPSCALE, image_ids=(source.id,), upscale_factor=2, model_id="scripted")
    if kept:
        assert (await runner.run(task)).images[0].width == made[0]
        return
    with pytest.raises(ProviderUnavailableError) as failure:
        await runner.run(task)
    assert failure.value.outcome == "bought"
    assert await shown(world) == [source.id]
