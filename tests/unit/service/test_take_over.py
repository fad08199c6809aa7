"""Workers that die, stall or lose their leases, on one database, with a clock that tests set."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from limner.domain.errors import (
    DatabaseUnavailableError,
    InterruptedTaskError,
    Outcome,
    OverloadedError,
    ProviderUnavailableError,
)
from limner.domain.identifiers import new_id
from limner.domain.task import Generation, GenerationState, MissingPicture
from limner.service.catalogue import Catalogue
from limner.service.events import Completed, Event
from limner.service.ports import Claim, Job, KnownSubmission, MadePicture, Order, Start, Started, Submission
from limner.service.tasks import LEASE, TaskRunner
from tests.pictures import png
from tests.unit.service.conftest import ADA, WORKSPACE, World, asked
from tests.unit.service.scripted import Moment, Script, Scripted, make_all

RUNNING, SUCCEEDED = GenerationState.RUNNING, GenerationState.SUCCEEDED
FAILED, CANCELLED, UNKNOWN = GenerationState.FAILED, GenerationState.CANCELLED, GenerationState.UNKNOWN
KEY = Claim(key="key", fingerprint="same")


class SetClock:
    """A clock that stands where it was set."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


class Resumable(Scripted):
    """A model whose provider knows its work by an id."""

    def __init__(self, script: Script = make_all, *, resuming: Script = make_all, may_bill: bool = False) -> None:
        super().__init__(script, local=False)
        self.resumed: list[KnownSubmission] = []
        self.cancelled: list[str] = []
        self._resuming = resuming
        self._may_bill = may_bill

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        self.resumed += submissions
        await self._resuming(order, job)

    async def cancel(self, submission: KnownSubmission) -> bool:
        self.cancelled.append(submission.provider_job_id)
        return self._may_bill


def buying(*job_ids: str, void: Sequence[int] = (), then: Script | None = None) -> Script:
    """A script that submits one picture after the other, and hears an id for each that has one."""

    async def script(order: Order, job: Job) -> None:
        for index, job_id in enumerate(job_ids):
            submission = await job.submitting([index])
            if index in void:
                await submission.void()
            elif job_id:
                await submission.accepted(job_id)
        if then is not None:
            await then(order, job)

    return script


async def die(runner: TaskRunner) -> None:
    """End a worker as a crash does: nothing more of it happens."""
    for run in list(runner._runs.values()):
        run.abandon()
        await asyncio.wait([run.task])


async def left(world: World, model: Scripted, moment: Moment, **draft: Any) -> str:
    """What a worker leaves behind that dies at a moment of its model."""
    runner = world.runner(model, worker_id=new_id())
    call = asyncio.create_task(runner.run(replace(asked(**draft), claim=KEY)))
    await asyncio.wait([call, asyncio.create_task(moment.reached.wait())], return_when=asyncio.FIRST_COMPLETED)
    (generation_id,) = runner._runs
    await die(runner)
    with pytest.raises(InterruptedTaskError):
        await call
    return generation_id


async def inherited(world: World, generation_id: str, model: Scripted | None = None) -> Generation:
    """What becomes of a generation when another worker takes it over, its lease having lapsed."""
    heir = world.runner(model, worker_id=new_id())
    await world.repository.end_leases([await holder(world)])
    await heir._beat()
    await asyncio.gather(*(run.task for run in heir._runs.values()))
    return await heir.generation(WORKSPACE, generation_id)


async def holder(world: World) -> str:
    return str(
        await world.repository._read(
            lambda connection: connection.exec_driver_sql("SELECT worker_id FROM generations ORDER BY id DESC").scalar()
        )
    )


class TestInheritance:
    async def test_what_was_never_submitted_is_made(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Scripted(moment, local=False), moment)
        assert (await inherited(world, generation_id)).state is SUCCEEDED

    async def test_a_purchase_without_an_id_is_unknown(self, world: World) -> None:
        moment = Moment(buys=True)
        generation_id = await left(world, Scripted(moment, local=False), moment)
        ended = await inherited(world, generation_id)
        assert (ended.state, world.model.orders) == (UNKNOWN, [])
        assert ended.failure is not None
        assert ended.failure.outcome == "unknown"

    async def test_an_id_means_nothing_to_a_model_that_can_not_resume(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Scripted(buying("job", then=moment), local=False), moment)
        assert (await inherited(world, generation_id)).state is UNKNOWN

    async def test_a_known_purchase_is_resumed(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Resumable(buying("job", then=moment)), moment)
        heir = Resumable()
        assert (await inherited(world, generation_id, heir)).state is SUCCEEDED
        known = KnownSubmission(indexes=(0,), provider_job_id="job", model_id="scripted")
        assert (heir.orders, heir.resumed) == ([], [known])

    async def test_what_is_known_is_made_and_the_rest_is_said_to_be_in_doubt(self, world: World) -> None:
        async def first(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png()))

        moment = Moment()
        generation_id = await left(world, Resumable(buying("job", "", then=moment)), moment, num_images=3)
        ended = await inherited(world, generation_id, Resumable(resuming=first))
        assert (ended.state, len(ended.images)) == (SUCCEEDED, 1)
        assert [each.index for each in ended.missing] == [1, 2]
        assert "nobody knows" in ended.missing[0].message

    async def test_a_kept_picture_whose_id_was_not_is_shown_whatever_the_model_says(self, world: World) -> None:
        """A worker stored the first picture and died before it kept the job's id; the second one's job is known."""

        async def first_is_stored(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png(9, 9)))
            await moment(order, job)

        async def second(order: Order, job: Job) -> None:
            job.missed(MissingPicture(index=0, reason="PROVIDER_UNAVAILABLE", message="Nobody knows of it."))
            await job.made(MadePicture(index=1, data=png()))

        moment = Moment()
        generation_id = await left(world, Resumable(buying("", "job", then=first_is_stored)), moment, num_images=2)
        ended = await inherited(world, generation_id, Resumable(resuming=second))
        assert (ended.state, [image.width for image in ended.images], ended.missing) == (SUCCEEDED, [9, 8], ())

    async def test_a_void_purchase_and_a_job_that_ended_unbought_leave_no_doubt(self, world: World) -> None:
        async def unbought(order: Order, job: Job) -> None:
            raise ProviderUnavailableError("The model took too long.", outcome=Outcome.NOT_BOUGHT)

        moment = Moment()
        script = buying("", "job", void=[0], then=moment)
        generation_id = await left(world, Resumable(script), moment, num_images=2)
        ended = await inherited(world, generation_id, Resumable(resuming=unbought))
        assert ended.state is FAILED
        assert ended.failure is not None
        assert ended.failure.outcome == "not_bought"

    async def test_a_job_whose_pictures_are_kept_is_not_asked_for_again(self, world: World) -> None:
        async def stored(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png()))
            await moment(order, job)

        moment = Moment()
        generation_id = await left(world, Resumable(buying("one", "two", then=stored)), moment, num_images=2)

        async def second(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=1, data=png()))

        heir = Resumable(resuming=second)
        assert (await inherited(world, generation_id, heir)).state is SUCCEEDED
        assert [each.provider_job_id for each in heir.resumed] == ["two"]

    async def test_what_was_never_asked_for_is_not_in_doubt(self, world: World) -> None:
        async def first(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=0, data=png()))

        moment = Moment()
        generation_id = await left(world, Resumable(buying("job", then=moment)), moment, num_images=2)
        ended = await inherited(world, generation_id, Resumable(resuming=first))
        assert [(each.index, each.reason) for each in ended.missing] == [(1, "INTERRUPTED")]

    async def test_a_refusal_at_the_provider_leaves_other_doubts(self, world: World) -> None:
        async def refuses(order: Order, job: Job) -> None:
            raise ProviderUnavailableError("The job failed.")

        moment = Moment()
        generation_id = await left(world, Resumable(buying("job", "", then=moment)), moment, num_images=2)
        assert (await inherited(world, generation_id, Resumable(resuming=refuses))).state is UNKNOWN

    async def test_after_a_void_purchase_the_next_one_is_made(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Scripted(buying("", void=[0], then=moment), local=False), moment)
        ended = await inherited(world, generation_id, Scripted(buying("", then=make_all), local=False))
        assert ended.state is SUCCEEDED

    async def test_a_cancelled_purchase_is_withdrawn_and_said_to_bill(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Resumable(buying("job", then=moment)), moment)
        await world.repository.request_cancel(WORKSPACE, generation_id)
        heir = Resumable(may_bill=True)
        ended = await inherited(world, generation_id, heir)
        assert (ended.state, ended.may_bill, heir.cancelled) == (CANCELLED, True, ["job"])

    async def test_pictures_that_are_kept_are_adopted_and_not_made_again(self, world: World) -> None:
        async def one_then_stop(order: Order, job: Job) -> None:
            await job.submitting([0, 1])
            await job.made(MadePicture(index=1, data=png(9, 9), seed=order.seed + 1))
            await moment(order, job)

        moment = Moment()
        generation_id = await left(world, Scripted(one_then_stop, local=False), moment, num_images=2, seed=7)
        ended = await inherited(world, generation_id)
        (image,) = ended.images
        assert (ended.state, image.width, image.parameters["seed"]) == (SUCCEEDED, 9, 8)
        assert await world.blobs.read(image.id) == png(9, 9)

    async def test_free_work_is_done_again_around_what_is_kept(self, world: World) -> None:
        async def one_then_stop(order: Order, job: Job) -> None:
            await job.made(MadePicture(index=1, data=png(99, 9)))
            await moment(order, job)

        moment = Moment()
        generation_id = await left(world, Scripted(one_then_stop), moment, num_images=2)
        ended = await inherited(world, generation_id)
        assert [image.width for image in ended.images] == [8, 99]

    async def test_a_spooled_picture_is_delivered(self, world: World) -> None:
        async def one_then_stop(order: Order, job: Job) -> None:
            await job.submitting([0])
            world.blobs.failures = 1
            await job.made(MadePicture(index=0, data=png()))
            await moment(order, job)

        moment = Moment()
        generation_id = await left(world, Scripted(one_then_stop, local=False), moment)
        assert world.blobs.held() == set()
        ended = await inherited(world, generation_id)
        assert ended.state is SUCCEEDED
        assert world.blobs.held() == {ended.images[0].id}
        assert await world.stores.spool.keys() == ()

    async def test_a_model_that_is_configured_no_longer_loses_no_picture(self, world: World) -> None:
        async def one_then_stop(order: Order, job: Job) -> None:
            await job.submitting([0, 1])
            await job.made(MadePicture(index=0, data=png()))
            await moment(order, job)

        moment = Moment()
        generation_id = await left(world, Scripted(one_then_stop, local=False), moment, num_images=2)
        heir = TaskRunner(Catalogue([], {}), world.stores, world.runner()._rules, worker_id="heir")
        await world.repository.end_leases([await holder(world)])
        await heir._beat()
        await asyncio.gather(*(run.task for run in heir._runs.values()))
        ended = await heir.generation(WORKSPACE, generation_id)
        assert (ended.state, len(ended.images)) == (SUCCEEDED, 1)

    async def test_nobody_who_leaves_ends_what_was_inherited(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Scripted(moment), moment)
        again = Moment()
        heir = world.runner(Scripted(again), worker_id="heir")
        await world.repository.end_leases([await holder(world)])
        await heir._beat()
        await again.reached.wait()
        call = asyncio.create_task(heir.run(replace(asked(), claim=KEY)))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait([call])
        again.go_on.set()
        await heir.drain(5)
        assert (await heir.generation(WORKSPACE, generation_id)).state is SUCCEEDED


class TestLostLeases:
    async def test_who_lost_its_lease_buys_nothing(self, world: World) -> None:
        moment = Moment(then=buying("", then=make_all))
        stalled = world.runner(Scripted(moment, local=False), worker_id="stalled")
        call = asyncio.create_task(stalled.run(asked()))
        await moment.reached.wait()
        (generation_id,) = stalled._runs

        ended = await inherited(world, generation_id, Scripted(buying("", then=make_all), local=False))
        moment.go_on.set()

        assert ended.state is SUCCEEDED
        with pytest.raises(InterruptedTaskError) as failure:
            await call
        assert failure.value.metadata["generationId"] == generation_id
        assert await stalled.generation(WORKSPACE, generation_id) == ended

    async def test_who_got_its_lease_back_does_not_buy_what_another_one_bought(self, world: World) -> None:
        """The other worker bought, and died, while this one stood still."""
        moment = Moment(then=buying("", then=make_all))
        stalled = world.runner(Scripted(moment, local=False), worker_id="stalled")
        call = asyncio.create_task(stalled.run(asked()))
        await moment.reached.wait()
        (generation_id,) = stalled._runs
        bought = Moment(buys=True)
        other = world.runner(Scripted(bought, local=False), worker_id="other")
        await world.repository.end_leases(["stalled"])
        await other._beat()
        await bought.reached.wait()
        await die(other)
        await world.repository.end_leases(["other"])
        await stalled._beat()

        moment.go_on.set()

        with pytest.raises(InterruptedTaskError):
            await call
        assert (await inherited(world, generation_id)).state is UNKNOWN

    async def test_a_late_result_mends_what_another_one_gave_up(self, world: World) -> None:
        moment = Moment(buys=True)
        stalled = world.runner(Scripted(moment, local=False), worker_id="stalled")
        call = asyncio.create_task(stalled.run(asked()))
        await moment.reached.wait()
        (generation_id,) = stalled._runs
        assert (await inherited(world, generation_id)).state is UNKNOWN

        moment.go_on.set()

        assert (await call).state is SUCCEEDED
        assert (await stalled.generation(WORKSPACE, generation_id)).failure is None

    async def test_who_lost_its_lease_does_not_cancel_the_work_of_another_one(self, world: World) -> None:
        moment, other_moment = Moment(), Moment(buys=True)
        stalled = world.runner(Scripted(moment, local=False), worker_id="stalled")
        call = asyncio.create_task(stalled.run(asked()))
        await moment.reached.wait()
        (generation_id,) = stalled._runs
        heir = world.runner(Scripted(other_moment, local=False), worker_id="heir")
        await world.repository.end_leases(["stalled"])
        await heir._beat()
        await other_moment.reached.wait()

        call.cancel()
        await asyncio.wait([call])
        await asyncio.sleep(0.05)
        other_moment.go_on.set()
        await heir.drain(5)

        assert (await heir.generation(WORKSPACE, generation_id)).state is SUCCEEDED
        await stalled.drain(5)

    async def test_purchases_side_by_side_have_numbers_of_their_own(self, world: World) -> None:
        submissions: list[Submission] = []

        async def side_by_side(order: Order, job: Job) -> None:
            submissions.extend(await asyncio.gather(*(job.submitting([index]) for index in range(4))))
            await make_all(order, job)

        generation = await world.runner(Scripted(side_by_side, local=False)).run(asked(num_images=4))
        assert len(generation.images) == len(submissions) == 4


class TestBeats:
    async def test_a_row_that_nobody_works_on_does_not_live_for_ever(self, world: World) -> None:
        clock = SetClock()
        world.stores = replace(world.stores, clock=clock)
        moment, busy = Moment(), Moment()
        runner = world.runner(Scripted(moment), worker_id="worker")
        call = asyncio.create_task(runner.run(asked()))
        await moment.reached.wait()
        (lost_id,) = runner._runs
        await die(runner)  # as a bug would end the run, but not the worker
        await asyncio.wait([call])
        runner._catalogue = Catalogue([Scripted(busy)], {})
        other = asyncio.create_task(runner.run(asked(model_id="scripted")))
        await busy.reached.wait()

        for _ in range(8):
            clock.forward(LEASE / 6)
            await runner._beat()
        busy.go_on.set()
        await asyncio.gather(*(run.task for run in runner._runs.values()))

        assert (await runner.generation(WORKSPACE, lost_id)).state is SUCCEEDED
        await other

    @pytest.mark.parametrize("step", [timedelta(hours=5), -timedelta(hours=5)])
    async def test_a_clock_that_is_set_costs_no_other_worker_its_lease_at_once(
        self, world: World, step: timedelta
    ) -> None:
        clock = SetClock()
        stores, world.stores = world.stores, replace(world.stores, clock=clock)
        moment = Moment()
        busy = world.runner(Scripted(moment), worker_id="busy")
        call = asyncio.create_task(busy.run(asked()))
        await moment.reached.wait()
        other = world.runner(worker_id="other")
        await other._beat()

        clock.forward(step)
        await other._beat()  # comes first, and has to wait for the others
        assert other._runs == {}
        await busy._beat()
        await other._beat()
        assert other._runs == {}

        moment.go_on.set()
        assert (await call).state is SUCCEEDED
        world.stores = stores

    async def test_after_an_outage_of_the_database_the_others_may_renew_first(self, world: World) -> None:
        clock = SetClock()
        world.stores = replace(world.stores, clock=clock)
        moment = Moment(buys=True)
        busy = world.runner(Scripted(moment, local=False), worker_id="busy")
        call = asyncio.create_task(busy.run(asked()))
        await moment.reached.wait()
        down: list[bool] = []

        def dead_workers() -> Sequence[str]:
            if down:
                raise DatabaseUnavailableError
            return ()

        other = world.runner(worker_id="other", dead_workers=dead_workers)
        down.append(True)
        with pytest.raises(DatabaseUnavailableError):
            await other._beat()
        clock.forward(LEASE * 2)
        down.clear()
        await other._beat()
        assert other._runs == {}
        await busy._beat()
        await other._beat()
        assert other._runs == {}
        moment.go_on.set()
        assert (await call).state is SUCCEEDED

    async def test_the_beat_survives_what_goes_wrong(self, world: World) -> None:
        faults = [OSError("no such folder"), OverloadedError(), KeyError("bug")]

        def dead_workers() -> Sequence[str]:
            if faults:
                raise faults.pop()
            return ()

        runner = world.runner(dead_workers=dead_workers)
        for _ in range(4):
            beating = asyncio.create_task(runner.keep_leases())
            await asyncio.sleep(0.05)
            assert not beating.done()
            beating.cancel()

    async def test_nothing_is_taken_over_while_the_worker_drains(self, world: World) -> None:
        moment = Moment()
        generation_id = await left(world, Scripted(moment), moment)
        await world.repository.end_leases([await holder(world)])
        draining = world.runner(worker_id="draining")
        await draining.drain(0)
        await draining._beat()
        assert (await draining.generation(WORKSPACE, generation_id)).state is RUNNING

    async def test_what_a_drain_leaves_is_taken_over_at_once(self, world: World) -> None:
        moment = Moment()
        draining = world.runner(Resumable(buying("job", then=moment)), worker_id="draining")
        call = asyncio.create_task(draining.run(asked()))
        await moment.reached.wait()
        await draining.drain(0.05)
        with pytest.raises(InterruptedTaskError) as failure:
            await call
        assert failure.value.outcome == "unknown"
        heir = world.runner(Resumable(), worker_id="heir")
        await heir._beat()
        await asyncio.gather(*(run.task for run in heir._runs.values()))
        generation_id = failure.value.metadata["generationId"]
        assert (await heir.generation(WORKSPACE, generation_id)).state is SUCCEEDED

    async def test_who_waits_for_another_workers_purchase_is_told_when_this_one_ends(self, world: World) -> None:
        moment = Moment(buys=True)
        buying_worker, draining = world.runner(Scripted(moment, local=False)), world.runner(worker_id="draining")
        first = asyncio.create_task(buying_worker.run(replace(asked(), claim=KEY)))
        await moment.reached.wait()
        joiner = asyncio.create_task(draining.run(replace(asked(), claim=KEY)))
        (generation_id,) = buying_worker._runs
        await asyncio.sleep(0.05)

        await draining.drain(5)

        with pytest.raises(InterruptedTaskError) as failure:
            await joiner
        assert (failure.value.outcome, failure.value.metadata) == (Outcome.UNKNOWN, {"generationId": generation_id})
        moment.go_on.set()
        assert (await first).state is SUCCEEDED

    async def test_who_watches_a_purchase_is_shown_what_is_left_of_it(self, world: World) -> None:
        moment = Moment(buys=True)
        runner = world.runner(Scripted(moment, local=False))
        seen: list[Event] = []

        async def watch() -> None:
            async for event in runner.events(asked()):
                seen.append(event)  # noqa: PERF401 - what was seen before the error is asserted

        watching = asyncio.create_task(watch())
        await moment.reached.wait()
        await runner.drain(0)
        with pytest.raises(InterruptedTaskError):
            await watching
        last = seen[-1]
        assert isinstance(last, Completed)
        assert last.generation.may_bill
        assert last.generation.failure is not None
        assert last.generation.failure.outcome == "unknown"

    async def test_a_purchase_that_runs_may_be_billed_and_one_that_is_void_is_not(self, world: World) -> None:
        for void, may_bill in (((), True), ((0,), False)):
            moment = Moment()
            runner = world.runner(Scripted(buying("job", void=void, then=moment), local=False))
            begun = await runner.begin(asked())
            await moment.reached.wait()
            assert (await runner.generation(WORKSPACE, begun.id)).may_bill is may_bill
            moment.go_on.set()
            await runner.drain(5)
            assert not (await runner.generation(WORKSPACE, begun.id)).may_bill

    async def test_a_drain_while_the_store_is_down_does_not_free_the_key_of_a_purchase(self, world: World) -> None:
        moment = Moment(buys=True)
        generation_id = await left(world, Scripted(moment, local=False), moment)
        world.blobs.failures = 1000
        heir = world.runner(worker_id="heir")
        await world.repository.end_leases([await holder(world)])
        await heir._beat()
        await asyncio.sleep(0.05)
        await heir.drain(0.05)
        world.blobs.failures = 0
        assert (await inherited(world, generation_id)).state is UNKNOWN

    async def test_a_spooled_picture_mends_what_was_given_up_meanwhile(self, world: World) -> None:
        """Another machine took over, and saw nothing of this one's spool."""
        moment = Moment(buys=True)
        generation_id = await left(world, Scripted(moment, local=False), moment)
        await inherited(world, generation_id)
        plan = await world.repository._read(
            lambda connection: connection.exec_driver_sql("SELECT planned_image_ids FROM generations").scalar_one()
        )
        image_id = str(plan).strip('[]"')
        await world.stores.spool.keep(image_id, png())
        await world.stores.spool.keep(new_id(), png())

        restarted = world.runner(worker_id="restarted")
        await restarted._beat()
        await asyncio.gather(*(run.task for run in restarted._runs.values()))

        ended = await restarted.generation(WORKSPACE, generation_id)
        assert (ended.state, [image.id for image in ended.images]) == (SUCCEEDED, [image_id])
        assert world.blobs.held() == {image_id}
        assert await world.stores.spool.keys() == ()


class TestWaiting:
    async def test_who_joined_is_served_when_the_first_caller_leaves(self, world: World) -> None:
        moment = Moment()
        runner, other = world.runner(Scripted(moment)), world.runner(worker_id="other")
        first = asyncio.create_task(runner.run(replace(asked(), claim=KEY)))
        await moment.reached.wait()
        second = asyncio.create_task(other.run(replace(asked(), claim=KEY)))
        await asyncio.sleep(0.1)

        first.cancel()

        assert (await second).state is SUCCEEDED

    async def test_what_nobody_waits_for_on_purpose_goes_on_when_a_joiner_leaves(self, world: World) -> None:
        moment = Moment()
        runner = world.runner(Scripted(moment))
        begun = await runner.begin(replace(asked(), claim=KEY))
        joiner = asyncio.create_task(runner.run(replace(asked(), claim=KEY)))
        await asyncio.sleep(0.05)
        joiner.cancel()
        await asyncio.wait([joiner])

        moment.go_on.set()
        await runner.drain(5)

        assert (await runner.generation(WORKSPACE, begun.id)).state is SUCCEEDED

    async def test_cancelling_what_waits_for_an_outage_does_not_wait_for_it(self, world: World) -> None:
        world.repository.failing_ends = 1000
        runner = world.runner(Scripted(buying("", then=make_all), local=False))
        with pytest.raises(DatabaseUnavailableError) as failure:
            await runner.run(asked())
        async with asyncio.timeout(1):
            generation = await runner.cancel(ADA, WORKSPACE, failure.value.metadata["generationId"])
        assert generation.state is RUNNING
        world.repository.failing_ends = 0
        await runner.drain(10)

    async def test_a_paid_picture_that_nothing_takes_is_held_until_something_does(self, world: World) -> None:
        full = [True]

        class FullSpool(type(world.stores.spool)):  # type: ignore[misc]
            async def keep(self, key: str, data: bytes) -> None:
                if full:
                    raise OverloadedError
                await super().keep(key, data)

        spool = FullSpool(world.stores.spool._root, goes_first=True, max_bytes=1 << 20)  # type: ignore[attr-defined]
        world.stores = replace(world.stores, spool=spool)
        runner = world.runner(Scripted(buying("", then=make_all), local=False))
        call = asyncio.create_task(runner.run(asked()))
        await asyncio.sleep(0.3)
        full.clear()
        assert (await call).state is SUCCEEDED
        await spool.close()


class TestPowerCuts:
    """A plan is not flushed to the disk before its first purchase is: a power cut of the database may undo it."""

    async def undo_plans(self, world: World) -> None:
        def forget(connection: Connection, items: Sequence[None]) -> Sequence[None]:
            for table in ("idempotency_keys", "generations"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
            return items

        await world.repository._writer.run(forget, None)

    async def test_nothing_is_bought_by_a_plan_that_is_gone(self, world: World) -> None:
        bought: list[int] = []

        async def buys(order: Order, job: Job) -> None:
            await self.undo_plans(world)
            await job.submitting([0])
            bought.append(0)

        with pytest.raises(InterruptedTaskError):
            await world.runner(Scripted(buys, local=False)).run(replace(asked(), claim=KEY))
        assert not bought
        assert (await world.runner(Scripted(local=False)).run(replace(asked(), claim=KEY))).state is SUCCEEDED

    async def test_free_work_for_a_plan_that_is_gone_leaves_no_bytes(self, world: World) -> None:
        async def makes(order: Order, job: Job) -> None:
            await make_all(order, job)
            await self.undo_plans(world)

        with pytest.raises(InterruptedTaskError):
            await world.runner(Scripted(makes)).run(replace(asked(), claim=KEY))
        assert world.blobs.held() == set()

    async def test_who_is_told_of_a_generation_before_its_end_finds_it_after_a_power_cut(self, world: World) -> None:
        durable: list[bool] = []

        class Noting(type(world.repository)):  # type: ignore[misc]
            async def start_generation(self, start: Start) -> Started:
                durable.append(start.durable)
                return await super().start_generation(start)  # type: ignore[no-any-return]

        world.repository.__class__ = Noting
        runner = world.runner()
        await runner.run(asked())
        await runner.begin(asked())
        assert [event async for event in runner.events(asked())]
        assert durable == [False, True, True]
