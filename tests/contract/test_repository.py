"""What every repository keeps to, on SQLite and on PostgreSQL."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from limner.domain.errors import (
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    ImageNotFoundError,
    OverloadedError,
    QuotaExceededError,
)
from limner.domain.identifiers import new_id
from limner.domain.image import Cursor, Image, ImageFilter, OutputFormat, Retention
from limner.domain.task import Failure, Generation, GenerationState, MissingPicture, Operation
from limner.domain.usage import Quota, Usage
from limner.persistence.engine import open_engine
from limner.persistence.repository import SqlRepository
from limner.service.ports import Claim, Repository, Start, Started, SubmissionRecord
from tests.real_parts.databases import migrated, migrated_postgres
from tests.real_parts.postgres import PostgresServer, running_postgres, shared_postgres
from tests.starts import plan_of, start_of

NOW = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)
WORKSPACE = "workspace"
EVERYTHING = ImageFilter()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(dialect: str, tmp_path: Path) -> str:
    """The address of an empty database."""
    return f"sqlite:///{tmp_path / 'limner.db'}" if dialect == "sqlite" else shared_postgres().new_database()


@pytest.fixture
def url(dialect: str, tmp_path: Path) -> str:
    return migrated(dialect, tmp_path)


@pytest.fixture
async def repository(url: str) -> AsyncIterator[SqlRepository]:
    repository = SqlRepository(url)
    yield repository
    await repository.close()


@pytest.fixture
async def replica(url: str) -> AsyncIterator[SqlRepository]:
    """Another process's way to the same database."""
    replica = SqlRepository(url)
    yield replica
    await replica.close()


def an_image(**facts: Any) -> Image:
    settings: dict[str, Any] = {
        "id": new_id(),
        "workspace_id": WORKSPACE,
        "created_by_user_id": "user",
        "width": 640,
        "height": 480,
        "size_bytes": 12_345,
        "format": OutputFormat.PNG,
        "sha256": "ab" * 32,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Image(**settings | facts)


def a_generation(**facts: Any) -> Generation:
    settings: dict[str, Any] = {
        "id": new_id(),
        "workspace_id": WORKSPACE,
        "created_by_user_id": "user",
        "operation": Operation.EDIT if facts.get("input_image_ids") else Operation.GENERATE,
        "model": "sketch",
        "prompt": "a fox",
        "requested_images": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Generation(**settings | facts)


def succeeded(generation: Generation, *images: Image, at: datetime = NOW) -> Generation:
    made = images or (image_of(generation),)
    return replace(generation, state=GenerationState.SUCCEEDED, updated_at=at, images=made)


def failed(generation: Generation, *, repeatable: bool = False) -> Generation:
    failure = Failure(
        reason="PROVIDER_UNAVAILABLE",
        message="The model is not available now.",
        metadata={"model": "m"},
        repeatable=repeatable,
    )
    return replace(generation, state=GenerationState.FAILED, failure=failure)


def cancelled(generation: Generation, *, may_bill: bool = False) -> Generation:
    return replace(generation, state=GenerationState.CANCELLED, may_bill=may_bill)


def claiming(key: str, *, fingerprint: str = "same", **facts: Any) -> Start:
    return start_of(a_generation(), "worker", LEASE, claim=Claim(key=key, fingerprint=fingerprint), **facts)


def image_of(generation: Generation, **facts: Any) -> Image:
    return an_image(generation_id=generation.id, input_image_ids=generation.input_image_ids, **facts)


async def uploaded(repository: Repository, **facts: Any) -> Image:
    image = an_image(**facts)
    await repository.add_image(image)
    return image


async def started(repository: Repository, *inputs: Image, **facts: Any) -> Generation:
    generation = a_generation(input_image_ids=tuple(image.id for image in inputs), **facts)
    await repository.start_generation(start_of(generation, "worker", LEASE))
    return generation


async def made(repository: Repository, *inputs: Image) -> Image:
    """Start a generation from the inputs, finish it, and return its image."""
    generation = await started(repository, *inputs)
    image = image_of(generation)
    assert await repository.finish_generation(succeeded(generation, image), 0)
    return image


async def deleted(repository: Repository, image: Image) -> tuple[str, ...]:
    return await repository.delete_image(image.workspace_id, image.id, NOW)


async def page_ids(
    repository: Repository, where: ImageFilter = EVERYTHING, after: Cursor | None = None, limit: int = 10
) -> list[str]:
    page = await repository.list_images(WORKSPACE, where, after, limit)
    return [image.id for image in page.images]


class TestImages:
    async def test_an_uploaded_image_comes_back_as_it_was(self, repository: SqlRepository) -> None:
        image = an_image(
            prompt="Füchse 🦊 im Schnee\n" + "x" * 32_000,
            model="sketch",
            parameters={"aspectRatio": "1:1", "seed": 2**32 - 1},
            created_at=NOW,
            updated_at=NOW + timedelta(microseconds=1),
        )
        await repository.add_image(image)
        assert await repository.image(WORKSPACE, image.id) == image

    async def test_moments_come_back_in_utc(self, repository: SqlRepository) -> None:
        tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
        image = await uploaded(repository, created_at=tokyo)
        kept = await repository.image(WORKSPACE, image.id)
        assert kept is not None
        assert (kept.created_at, kept.created_at.tzinfo) == (NOW, UTC)

    async def test_an_image_is_not_found_by_another_workspace(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        assert await repository.image("other", image.id) is None

    async def test_an_unknown_image_is_none(self, repository: SqlRepository) -> None:
        assert await repository.image(WORKSPACE, new_id()) is None

    async def test_images_come_in_the_order_asked_for(self, repository: SqlRepository) -> None:
        first, second, third = [await uploaded(repository) for _ in range(3)]
        stranger = await uploaded(repository, workspace_id="other")
        ids = [third.id, new_id(), first.id, stranger.id, second.id, first.id]
        assert await repository.images(WORKSPACE, ids) == (third, first, second, first)

    async def test_no_images_are_asked_for(self, repository: SqlRepository) -> None:
        assert await repository.images(WORKSPACE, []) == ()

    async def test_deleted_images_are_shown_by_nothing(self, repository: SqlRepository) -> None:
        image = await made(repository)
        await deleted(repository, image)
        generation = await repository.generation(WORKSPACE, image.generation_id)
        assert generation is not None
        assert generation.images == ()
        assert await repository.image(WORKSPACE, image.id) is None
        assert await repository.images(WORKSPACE, [image.id]) == ()
        for where in (EVERYTHING, ImageFilter(generation_id=image.generation_id)):
            assert await page_ids(repository, where) == []

    async def test_an_image_is_kept_once(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        with pytest.raises(Exception, match=r"(?i)unique"):
            await repository.add_image(image)


class TestList:
    async def test_newest_come_first_and_equal_moments_by_id(self, repository: SqlRepository) -> None:
        moments = [NOW, NOW + timedelta(microseconds=1), NOW - timedelta(days=400), NOW, NOW]
        images = [await uploaded(repository, created_at=moment) for moment in moments]
        expected = sorted(images, key=lambda image: (image.created_at, image.id), reverse=True)
        page = await repository.list_images(WORKSPACE, EVERYTHING, None, 10)
        assert page.images == tuple(expected)
        assert page.next is None

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    async def test_pages_show_every_image_once(self, repository: SqlRepository, limit: int) -> None:
        images = [await uploaded(repository, created_at=NOW + timedelta(seconds=i // 3)) for i in range(7)]
        seen: list[str] = []
        cursor: Cursor | None = None
        pages = 0
        while cursor is not None or not pages:
            page = await repository.list_images(WORKSPACE, EVERYTHING, cursor, limit)
            seen += [image.id for image in page.images]
            cursor = page.next
            pages += 1
        assert pages == -(-7 // limit)
        assert sorted(seen) == sorted(image.id for image in images)

    async def test_pages_are_stable_while_images_come_and_go(self, repository: SqlRepository) -> None:
        images = [await uploaded(repository, created_at=NOW + timedelta(seconds=i)) for i in range(6)]
        first = await repository.list_images(WORKSPACE, EVERYTHING, None, 3)
        await uploaded(repository, created_at=NOW + timedelta(hours=1))
        await deleted(repository, images[3])  # the one that the cursor points to
        assert await page_ids(repository, after=first.next, limit=3) == [images[2].id, images[1].id, images[0].id]

    async def test_filters_hold_alone_and_together(self, repository: SqlRepository) -> None:
        by_users = [await uploaded(repository, created_by_user_id=user) for user in ("ann", "bob", "ann")]
        generation = await started(repository)
        mine = image_of(generation, created_by_user_id="ann", created_at=NOW + timedelta(hours=1))
        theirs = image_of(generation, created_by_user_id="bob")
        await repository.finish_generation(succeeded(generation, mine, theirs), 0)
        await uploaded(repository, workspace_id="other", created_by_user_id="ann")
        of_generation = ImageFilter(generation_id=generation.id)
        both = ImageFilter(generation_id=generation.id, created_by_user_id="ann")
        ann = await page_ids(repository, ImageFilter(created_by_user_id="ann"))
        assert ann == [mine.id, *sorted((by_users[0].id, by_users[2].id), reverse=True)]
        assert await page_ids(repository, of_generation) == [mine.id, theirs.id]
        assert await page_ids(repository, both) == [mine.id]
        assert await page_ids(repository, ImageFilter(generation_id=new_id())) == []

    async def test_filtered_pages_continue(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        images = [image_of(generation, created_at=NOW + timedelta(seconds=i)) for i in range(4)]
        await repository.finish_generation(succeeded(generation, *images), 0)
        for where in (
            ImageFilter(generation_id=generation.id),
            ImageFilter(created_by_user_id="user"),
            ImageFilter(generation_id=generation.id, created_by_user_id="user"),
        ):
            first = await repository.list_images(WORKSPACE, where, None, 3)
            assert [image.id for image in first.images] == [images[3].id, images[2].id, images[1].id]
            assert await page_ids(repository, where, first.next) == [images[0].id]

    async def test_input_ids_come_with_the_images(self, repository: SqlRepository) -> None:
        inputs = [await uploaded(repository, created_at=NOW - timedelta(days=1)) for _ in range(3)]
        image = await made(repository, *inputs)
        page = await repository.list_images(WORKSPACE, EVERYTHING, None, 1)
        assert page.images == (image,)
        assert page.images[0].input_image_ids == tuple(each.id for each in inputs)

    async def test_no_limit_shows_nothing(self, repository: SqlRepository) -> None:
        await uploaded(repository)
        page = await repository.list_images(WORKSPACE, EVERYTHING, None, 0)
        assert (page.images, page.next) == ((), None)


class TestGenerations:
    async def test_a_started_generation_is_shown_with_its_inputs(self, repository: SqlRepository) -> None:
        inputs = tuple([await uploaded(repository) for _ in range(3)])
        generation = await started(repository, *inputs, requested_images=4, prompt="ein Füchslein 🦊")
        assert await repository.generation(WORKSPACE, generation.id) == replace(generation, inputs=inputs)

    async def test_the_same_input_may_be_given_twice(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        generation = await started(repository, image, image)
        assert await repository.input_image(WORKSPACE, generation.id, image.id) == image
        kept = await repository.generation(WORKSPACE, generation.id)
        assert kept is not None
        assert kept.inputs == (image, image)

    async def test_a_generation_is_not_found_by_another_workspace(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        assert await repository.generation("other", generation.id) is None
        assert await repository.generation(WORKSPACE, new_id()) is None

    async def test_success_is_kept_with_images_in_their_order(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        generation = await started(repository, source, requested_images=3)
        images = tuple(sorted((image_of(generation) for _ in range(2)), key=lambda image: image.id, reverse=True))
        missing = (MissingPicture(index=1, reason="CONTENT_REJECTED", message="No."),)
        ended = replace(succeeded(generation, *images), missing=missing, description="Two foxes.")
        assert await repository.finish_generation(ended, 80_000)
        assert await repository.generation(WORKSPACE, generation.id) == replace(ended, inputs=(source,))
        assert await repository.image(WORKSPACE, images[0].id) == images[0]

    async def test_failure_is_kept(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        assert await repository.finish_generation(failed(generation), 0)
        assert await repository.generation(WORKSPACE, generation.id) == failed(generation)

    async def test_cancellation_is_kept(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        ended = cancelled(generation, may_bill=True)
        assert await repository.finish_generation(ended, 0)
        assert await repository.generation(WORKSPACE, generation.id) == ended

    async def test_what_ended_does_not_end_again(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        assert await repository.finish_generation(cancelled(generation), 0)
        late = image_of(generation)
        assert not await repository.finish_generation(succeeded(generation, late), 40_000)
        assert await repository.generation(WORKSPACE, generation.id) == cancelled(generation)
        assert await repository.image(WORKSPACE, late.id) is None
        assert await repository.usage(WORKSPACE, "2026-11") == Usage(workspace_id=WORKSPACE, month="2026-11")

    async def test_an_unknown_generation_does_not_end(self, repository: SqlRepository) -> None:
        assert not await repository.finish_generation(succeeded(a_generation()), 0)
        assert await page_ids(repository) == []

    async def test_one_of_many_ends_wins(self, repository: SqlRepository, replica: SqlRepository) -> None:
        generations = [await started(repository) for _ in range(10)]
        ends = [
            where.finish_generation(end, 40_000)
            for generation in generations
            for where in (repository, replica)
            for end in (succeeded(generation), cancelled(generation))
        ]
        verdicts = await asyncio.gather(*ends)
        assert [sum(verdicts[i : i + 4]) for i in range(0, 40, 4)] == [1] * 10
        kept = [await repository.generation(WORKSPACE, generation.id) for generation in generations]
        wins = sum(each is not None and each.state is GenerationState.SUCCEEDED for each in kept)
        assert all(each is not None and len(each.images) == (each.state == "succeeded") for each in kept)
        usage = await repository.usage(WORKSPACE, "2026-11")
        assert (usage.images_used, usage.cost_used_micros) == (wins, 10 * 40_000)

    @pytest.mark.parametrize("gone", ["deleted", "unknown", "in another workspace"])
    async def test_a_generation_does_not_start_from_an_image_that_is_gone(
        self, repository: SqlRepository, gone: str
    ) -> None:
        there = await uploaded(repository)
        image = await uploaded(repository, workspace_id="other" if gone == "in another workspace" else WORKSPACE)
        if gone == "deleted":
            await deleted(repository, image)
        generation = a_generation(input_image_ids=(there.id, new_id() if gone == "unknown" else image.id))
        with pytest.raises(ImageNotFoundError):
            await repository.start_generation(start_of(generation, "worker", LEASE))
        assert await repository.generation(WORKSPACE, generation.id) is None
        assert await deleted(repository, there) == (there.id,)


class TestUsage:
    async def test_nothing_was_used(self, repository: SqlRepository) -> None:
        assert await repository.usage(WORKSPACE, "2026-11") == Usage(workspace_id=WORKSPACE, month="2026-11")

    async def test_usage_adds_up_by_workspace_and_month(self, repository: SqlRepository) -> None:
        for _ in range(2):
            generation = await started(repository)
            ended = succeeded(generation, image_of(generation), image_of(generation))
            assert await repository.finish_generation(ended, 2**33)
        other = await started(repository, workspace_id="other")
        assert await repository.finish_generation(succeeded(other, image_of(other, workspace_id="other")), 7)
        assert await repository.usage(WORKSPACE, "2026-11") == Usage(
            workspace_id=WORKSPACE, month="2026-11", images_used=4, cost_used_micros=2**34
        )
        assert (await repository.usage("other", "2026-11")).images_used == 1

    async def test_usage_counts_for_the_month_of_the_end_in_utc(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        end = datetime(2026, 12, 1, 5, tzinfo=timezone(timedelta(hours=9)))
        assert await repository.finish_generation(succeeded(generation, at=end), 1)
        assert (await repository.usage(WORKSPACE, "2026-11")).images_used == 1
        assert (await repository.usage(WORKSPACE, "2026-12")).images_used == 0

    async def test_deleted_images_stay_used(self, repository: SqlRepository) -> None:
        await deleted(repository, await made(repository))
        assert (await repository.usage(WORKSPACE, "2026-11")).images_used == 1

    async def test_usage_is_exact_under_load(self, repository: SqlRepository, replica: SqlRepository) -> None:
        async def use(where: SqlRepository) -> None:
            generation = await started(where)
            assert await where.finish_generation(succeeded(generation), 3)

        await asyncio.gather(*(use(where) for where in (repository, replica) for _ in range(100)))
        usage = await repository.usage(WORKSPACE, "2026-11")
        assert (usage.images_used, usage.cost_used_micros) == (200, 600)


class TestDeletion:
    async def test_bytes_of_a_lone_image_are_not_needed(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        assert await deleted(repository, image) == (image.id,)

    async def test_what_is_deleted_already_returns_nothing(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        await deleted(repository, image)
        assert await deleted(repository, image) == ()
        assert await repository.delete_image(WORKSPACE, new_id(), NOW) == ()

    async def test_another_workspace_deletes_nothing(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        assert await repository.delete_image("other", image.id, NOW) == ()
        assert await repository.image(WORKSPACE, image.id) == image

    async def test_of_many_deletions_one_returns_the_bytes(
        self, repository: SqlRepository, replica: SqlRepository
    ) -> None:
        image = await uploaded(repository)
        answers = await asyncio.gather(*(deleted(where, image) for where in (repository, replica) for _ in range(5)))
        assert sorted(answers) == [()] * 9 + [(image.id,)]

    async def test_a_running_generation_needs_its_inputs(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        generation = await started(repository, source)
        assert await deleted(repository, source) == ()
        assert await repository.images_to_purge(10) == ()
        assert await repository.input_image(WORKSPACE, generation.id, source.id) == source

    async def test_a_failed_generation_needs_nothing(self, repository: SqlRepository) -> None:
        early, late = await uploaded(repository), await uploaded(repository)
        generation = await started(repository, early, late)
        assert await deleted(repository, early) == ()
        await repository.finish_generation(failed(generation), 0)
        assert await repository.images_to_purge(10) == (early.id,)
        assert await deleted(repository, late) == (late.id,)

    async def test_a_shown_image_needs_what_it_was_made_from(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        image = await made(repository, source)
        assert await deleted(repository, source) == ()
        kept = await repository.generation(WORKSPACE, image.generation_id)
        assert kept is not None
        assert kept.inputs == (source,)
        assert await deleted(repository, image) == tuple(sorted((source.id, image.id)))

    async def test_inputs_are_needed_until_the_last_image_is_deleted(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        generation = await started(repository, source)
        first, second = image_of(generation), image_of(generation)
        await repository.finish_generation(succeeded(generation, first, second), 0)
        await deleted(repository, source)
        assert await deleted(repository, second) == (second.id,)
        assert await repository.input_image(WORKSPACE, generation.id, source.id) == source
        assert await deleted(repository, first) == tuple(sorted((source.id, first.id)))
        assert await repository.input_image(WORKSPACE, generation.id, source.id) is None

    async def test_inputs_are_needed_by_every_generation_that_used_them(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        first, second = await made(repository, source), await made(repository, source)
        await deleted(repository, source)
        assert await deleted(repository, first) == (first.id,)
        assert await deleted(repository, second) == tuple(sorted((source.id, second.id)))

    async def test_an_input_that_is_not_deleted_stays(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        image = await made(repository, source)
        assert await deleted(repository, image) == (image.id,)
        assert await repository.image(WORKSPACE, source.id) == source
        assert await deleted(repository, source) == (source.id,)

    async def test_an_image_in_the_middle_of_a_chain_stays_for_the_next(self, repository: SqlRepository) -> None:
        first = await uploaded(repository)
        second = await made(repository, first)
        third = await made(repository, second)
        assert await deleted(repository, first) == ()
        assert await deleted(repository, second) == (first.id,)
        assert await deleted(repository, third) == tuple(sorted((second.id, third.id)))

    async def test_purged_bytes_are_not_returned_again(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        await deleted(repository, image)
        assert await repository.images_to_purge(10) == (image.id,)
        await repository.mark_purged([image.id])
        assert await repository.images_to_purge(10) == ()
        await repository.mark_purged([])

    async def test_an_image_that_is_not_deleted_is_not_marked_as_purged(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        await repository.mark_purged([image.id, new_id()])
        assert await repository.image(WORKSPACE, image.id) == image
        assert await deleted(repository, image) == (image.id,)
        assert await repository.images_to_purge(10) == (image.id,)

    async def test_those_deleted_first_are_purged_first(self, repository: SqlRepository) -> None:
        images = [await uploaded(repository) for _ in range(3)]
        for age, image in enumerate(images):
            await repository.delete_image(WORKSPACE, image.id, NOW - timedelta(days=age))
        assert await repository.images_to_purge(2) == (images[2].id, images[1].id)

    @pytest.mark.parametrize("seed", range(6))
    async def test_bytes_are_freed_exactly_when_nothing_needs_them(self, repository: SqlRepository, seed: int) -> None:
        """Walks at random, and compares with the rule written out over sets."""
        chance = random.Random(seed)
        live: dict[str, Image] = {}
        gone: set[str] = set()
        freed: set[str] = set()
        generations: dict[str, Generation] = {}

        def needed() -> set[str]:
            holding = [
                each
                for each in generations.values()
                if each.state is GenerationState.RUNNING or any(image.id in live for image in each.images)
            ]
            return set(live).union(*(each.input_image_ids for each in holding))

        for _ in range(60):
            action = chance.choice(["upload", "start", "start", "finish", "finish", "fail", "delete", "delete"])
            running = [each for each in generations.values() if each.state is GenerationState.RUNNING]
            if action == "upload" or not live:
                image = await uploaded(repository)
                live[image.id] = image
            elif action == "start":
                inputs = chance.sample(list(live.values()), k=min(len(live), chance.randint(1, 3)))
                generation = await started(repository, *inputs)
                generations[generation.id] = generation
            elif action in ("finish", "fail") and running:
                generation = chance.choice(running)
                images = [image_of(generation) for _ in range(chance.randint(1, 2))]
                ended = failed(generation) if action == "fail" else succeeded(generation, *images)
                assert await repository.finish_generation(ended, 0)
                generations[generation.id] = ended
                live.update({image.id: image for image in ended.images})
            elif action == "delete":
                image = live.pop(chance.choice(list(live)))
                before = await repository.images_to_purge(1000)
                gone.add(image.id)
                returned = set(await deleted(repository, image))
                assert returned <= gone - needed()
                assert returned >= (gone - needed()) - freed - set(before)
                if chance.random() < 0.5:
                    await repository.mark_purged(sorted(returned))
                    freed |= returned
            assert set(await repository.images_to_purge(1000)) == gone - needed() - freed

    async def test_no_generation_starts_from_bytes_that_are_given_up(
        self, repository: SqlRepository, replica: SqlRepository
    ) -> None:
        async def start(source: Image) -> bool:
            try:
                await started(repository, source)
            except ImageNotFoundError:
                return False
            return True

        sources = await asyncio.gather(*(uploaded(repository) for _ in range(60)))
        starts = [asyncio.create_task(start(source)) for source in sources]
        deletions = [asyncio.create_task(deleted(replica, source)) for source in random.sample(sources, k=60)]
        returned = set(itertools.chain.from_iterable(await asyncio.gather(*deletions)))
        for source, has_started in zip(sources, await asyncio.gather(*starts), strict=True):
            assert has_started == (source.id not in returned)


class TestInputImage:
    async def test_an_input_is_found_only_by_its_generation(self, repository: SqlRepository) -> None:
        source, other = await uploaded(repository), await uploaded(repository)
        generation = await started(repository, source)
        assert await repository.input_image(WORKSPACE, generation.id, source.id) == source
        assert await repository.input_image(WORKSPACE, generation.id, other.id) is None
        assert await repository.input_image("other", generation.id, source.id) is None
        assert await repository.input_image(WORKSPACE, new_id(), source.id) is None

    async def test_a_deleted_input_is_found_while_an_image_is_shown(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        image = await made(repository, source)
        await deleted(repository, source)
        assert await repository.input_image(WORKSPACE, image.generation_id, source.id) == source

    async def test_a_generation_without_images_has_no_inputs_to_show(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        image = await made(repository, source)
        await deleted(repository, image)
        assert await repository.input_image(WORKSPACE, image.generation_id, source.id) is None
        kept = await repository.generation(WORKSPACE, image.generation_id)
        assert kept is not None
        assert (kept.inputs, kept.input_image_ids) == ((), (source.id,))


class TestLeases:
    async def test_running_generations_lapse(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        lapsed = await started(repository, source)
        ended = await started(repository)
        await repository.finish_generation(failed(ended), 0)
        await repository.start_generation(start_of(a_generation(), "worker", LEASE + timedelta(minutes=1)))
        assert await repository.take_over("me", LEASE, LATER, 10) == ()
        (found,) = await repository.take_over("me", LEASE + timedelta(microseconds=1), LATER, 10)
        assert found.generation == replace(lapsed, inputs=(source,))

    async def test_a_lapsed_generation_is_taken_over_once(self, repository: SqlRepository) -> None:
        lapsed = await started(repository)
        now = LEASE + timedelta(seconds=1)
        takers = [repository.take_over(f"worker-{number}", now, LATER, 10) for number in range(5)]
        taken = [each for found in await asyncio.gather(*takers) for each in found]
        assert [each.generation.id for each in taken] == [lapsed.id]

    async def test_what_was_planned_and_submitted_is_found_again(self, repository: SqlRepository) -> None:
        generation = a_generation(requested_images=3)
        start = start_of(generation, "worker", LEASE, unit_cost_micros=40_000)
        await repository.start_generation(start)
        for number in range(3):
            await repository.add_submission(generation.id, "worker", number, [number], f"model-{number}")
        await repository.accept_submission(generation.id, 1, "job-1")
        await repository.void_submission(generation.id, 2)
        (found,) = await repository.take_over("me", LATER, LATER, 10)
        assert (found.plan, found.granted_images, found.cancel_requested) == (start.plan, 3, False)
        assert found.submissions == (
            SubmissionRecord(indexes=(0,), provider_job_id="", model_id="model-0"),
            SubmissionRecord(indexes=(1,), provider_job_id="job-1", model_id="model-1"),
        )

    async def test_those_lapsed_longest_come_first(self, repository: SqlRepository) -> None:
        generations = [a_generation() for _ in range(3)]
        for age, generation in enumerate(generations):
            await repository.start_generation(start_of(generation, "worker", LEASE - timedelta(minutes=age)))
        found = await repository.take_over("me", LATER, LATER, 2)
        assert {each.generation.id for each in found} == {generations[2].id, generations[1].id}

    async def test_a_worker_renews_its_own_leases(self, repository: SqlRepository) -> None:
        mine, theirs = a_generation(), a_generation()
        await repository.start_generation(start_of(mine, "me", LEASE))
        await repository.start_generation(start_of(theirs, "them", LEASE))
        await repository.renew_leases("me", [mine.id, theirs.id], LEASE + timedelta(hours=1))
        found = await repository.take_over("new", LEASE + timedelta(minutes=1), LATER, 10)
        assert [each.generation.id for each in found] == [theirs.id]

    async def test_the_leases_of_the_dead_end_at_once(self, repository: SqlRepository) -> None:
        left = await started(repository)
        await repository.start_generation(start_of(a_generation(), "alive", LEASE))
        await repository.end_leases(["worker", "never-seen"])
        found = await repository.take_over("me", NOW, LATER, 10)
        assert [each.generation.id for each in found] == [left.id]

    async def test_cancelling_is_asked_of_the_worker(self, repository: SqlRepository) -> None:
        generation, other = await started(repository), await started(repository)
        await repository.request_cancel(WORKSPACE, generation.id)
        await repository.request_cancel("elsewhere", other.id)
        assert await repository.cancel_requests("worker") == (generation.id,)
        assert await repository.cancel_requests("another") == ()
        await repository.finish_generation(cancelled(generation), 0)
        assert await repository.cancel_requests("worker") == ()


class TestUnknownOutcomes:
    async def test_a_late_result_mends_an_unknown_outcome(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        unknown = replace(failed(generation), state=GenerationState.UNKNOWN)
        assert await repository.finish_generation(unknown, 0)
        image = image_of(generation)
        assert await repository.finish_generation(succeeded(generation, image), 5)
        kept = await repository.generation(WORKSPACE, generation.id)
        assert kept is not None
        assert (kept.state, kept.images, kept.failure) == (GenerationState.SUCCEEDED, (image,), None)

    async def test_nothing_else_changes_an_unknown_outcome(self, repository: SqlRepository) -> None:
        generation = await started(repository)
        unknown = replace(failed(generation), state=GenerationState.UNKNOWN)
        assert await repository.finish_generation(unknown, 0)
        assert not await repository.finish_generation(failed(generation), 0)
        assert not await repository.finish_generation(cancelled(generation), 0)


class TestIdempotencyKeys:
    async def test_one_of_many_at_once_wins_and_the_others_join(self, repository: SqlRepository) -> None:
        starts = [claiming("key") for _ in range(20)]
        answers = await asyncio.gather(*(repository.start_generation(start) for start in starts))
        winners = [answer.generation_id for answer in answers if not answer.joined]
        assert len(winners) == 1
        assert {answer.generation_id for answer in answers} == set(winners)

    async def test_another_request_is_refused(self, repository: SqlRepository) -> None:
        await repository.start_generation(claiming("key"))
        other = claiming("key", fingerprint="another")
        with pytest.raises(IdempotencyKeyReusedError):
            await repository.start_generation(other)
        assert await repository.generation(WORKSPACE, other.generation.id) is None

    @pytest.mark.parametrize(
        "facts",
        [
            {"workspace_id": "other"},
            {"created_by_user_id": "other"},
            {"operation": Operation.UPSCALE, "input_image_ids": ()},
        ],
    )
    async def test_keys_of_others_are_other_keys(self, repository: SqlRepository, facts: dict[str, Any]) -> None:
        await repository.start_generation(claiming("key"))
        generation = a_generation(**facts)
        plan = plan_of(a_generation())
        claim = Claim(key="key", fingerprint="another")
        start = Start(generation=generation, plan=plan, worker_id="worker", lease_until=LEASE, claim=claim)
        assert not (await repository.start_generation(start)).joined

    async def test_a_key_whose_generation_bought_nothing_begins_anew(self, repository: SqlRepository) -> None:
        first, again = claiming("key"), claiming("key", fingerprint="another")
        await repository.start_generation(first)
        await repository.finish_generation(failed(first.generation, repeatable=True), 0)
        assert not (await repository.start_generation(again)).joined
        joined = await repository.start_generation(claiming("key", fingerprint="another"))
        assert (joined.joined, joined.generation_id) == (True, again.generation.id)

    async def test_a_key_whose_generation_failed_for_good_stays(self, repository: SqlRepository) -> None:
        first = claiming("key")
        await repository.start_generation(first)
        await repository.finish_generation(failed(first.generation), 0)
        joined = await repository.start_generation(claiming("key"))
        assert (joined.joined, joined.generation_id) == (True, first.generation.id)

    async def test_old_keys_are_forgotten(self, repository: SqlRepository) -> None:
        await repository.start_generation(claiming("key"))
        await repository.forget_keys(NOW)
        assert (await repository.start_generation(claiming("key"))).joined
        await repository.forget_keys(NOW + timedelta(seconds=1))
        assert not (await repository.start_generation(claiming("key"))).joined

    async def test_a_refused_start_claims_nothing(self, repository: SqlRepository) -> None:
        with pytest.raises(QuotaExceededError):
            await repository.start_generation(claiming("key", quota=Quota(images=0)))
        assert not (await repository.start_generation(claiming("key"))).joined


class TestQuota:
    async def test_exactly_the_limit_is_sold(self, repository: SqlRepository) -> None:
        starts = [start_of(a_generation(), "worker", LEASE, quota=Quota(images=10)) for _ in range(30)]
        attempts = [repository.start_generation(start) for start in starts]
        answers = await asyncio.gather(*attempts, return_exceptions=True)
        sold = [answer for answer in answers if isinstance(answer, Started)]
        assert len(sold) == 10
        assert sum(isinstance(answer, QuotaExceededError) for answer in answers) == 20

    async def test_a_part_is_granted_when_not_all_fit(self, repository: SqlRepository) -> None:
        quota = Quota(images=5)
        first = start_of(a_generation(requested_images=3), "worker", LEASE, quota=quota)
        second = start_of(a_generation(requested_images=3), "worker", LEASE, quota=quota)
        granted = [(await repository.start_generation(start)).granted_images for start in (first, second)]
        assert granted == [3, 2]
        (reserved,) = {(await repository.usage(WORKSPACE, "2026-11")).images_reserved}
        assert reserved == 5

    async def test_what_was_not_made_is_given_back(self, repository: SqlRepository) -> None:
        quota = Quota(images=2)
        start = start_of(a_generation(requested_images=2), "worker", LEASE, quota=quota)
        await repository.start_generation(start)
        await repository.finish_generation(succeeded(start.generation), 0)
        left = start_of(a_generation(requested_images=2), "worker", LEASE, quota=quota)
        assert (await repository.start_generation(left)).granted_images == 1

    async def test_money_is_reserved_by_price(self, repository: SqlRepository) -> None:
        quota = Quota(cost_micros=100_000)
        start = start_of(a_generation(requested_images=3), "worker", LEASE, quota=quota, unit_cost_micros=40_000)
        assert (await repository.start_generation(start)).granted_images == 2
        assert (await repository.usage(WORKSPACE, "2026-11")).cost_reserved_micros == 80_000

    async def test_a_quota_of_its_own_wins(self, repository: SqlRepository) -> None:
        await repository.set_quota(WORKSPACE, Quota(images=1))
        assert await repository.quota(WORKSPACE) == Quota(images=1)
        start = start_of(a_generation(requested_images=2), "worker", LEASE, quota=Quota(images=100))
        assert (await repository.start_generation(start)).granted_images == 1
        await repository.set_quota(WORKSPACE, None)
        assert await repository.quota(WORKSPACE) is None

    async def test_the_fullest_quota_is_of_this_month_and_of_whichever_limit_is_nearer(
        self, repository: SqlRepository
    ) -> None:
        november, december = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC)
        usual = Quota(images=10, cost_micros=1000)
        assert await repository.fullest_quota(usual, november) == 0
        generation = await started(repository)
        await repository.finish_generation(succeeded(generation, image_of(generation), image_of(generation)), 900)

        assert await repository.fullest_quota(usual, november) == pytest.approx(0.9)
        assert await repository.fullest_quota(Quota(images=10), november) == pytest.approx(0.2)
        assert await repository.fullest_quota(Quota(), november) == 0
        assert await repository.fullest_quota(usual, december) == 0
        await repository.set_quota(WORKSPACE, Quota(images=8))
        assert await repository.fullest_quota(usual, november) == pytest.approx(0.25)
        await repository.set_quota(WORKSPACE, Quota(images=0))
        assert await repository.fullest_quota(usual, november) == 0


class TestRetention:
    """At ``NOW`` images have been kept since ``NOW`` minus their age."""

    NOW = datetime(2027, 3, 1, tzinfo=UTC)

    async def kept_for(self, repository: SqlRepository, days: float, workspace_id: str = WORKSPACE) -> Image:
        return await uploaded(repository, workspace_id=workspace_id, created_at=self.NOW - timedelta(days=days))

    async def expired(self, repository: SqlRepository, days: int | None, limit: int = 10) -> list[str]:
        found = await repository.expired_images(Retention(days), self.NOW, limit)
        return [image.id for image in found]

    async def test_images_expire_the_oldest_first_and_a_few_at_a_time(self, repository: SqlRepository) -> None:
        older, oldest = await self.kept_for(repository, 31), await self.kept_for(repository, 90)
        await self.kept_for(repository, 29.9)
        assert await self.expired(repository, 30) == [oldest.id, older.id]
        assert await self.expired(repository, 30, limit=1) == [oldest.id]
        assert await self.expired(repository, None) == []

    async def test_deleted_images_do_not_expire_again(self, repository: SqlRepository) -> None:
        image = await self.kept_for(repository, 31)
        await deleted(repository, image)
        assert await self.expired(repository, 30) == []

    async def test_a_workspace_has_a_time_of_its_own(self, repository: SqlRepository) -> None:
        mine, other = await self.kept_for(repository, 10), await self.kept_for(repository, 40, "other")
        assert await repository.retention(WORKSPACE) is None
        await repository.set_retention(WORKSPACE, Retention(7))
        assert await repository.retention(WORKSPACE) == Retention(7)
        assert await self.expired(repository, 30) == [other.id, mine.id]
        assert await self.expired(repository, None) == [mine.id]
        await repository.set_retention("other", Retention(None))
        assert await self.expired(repository, 30) == [mine.id]
        await repository.set_retention(WORKSPACE, None)
        assert await self.expired(repository, 30) == []


class TestSweeping:
    async def test_ids_that_nothing_knows_are_found(self, repository: SqlRepository) -> None:
        image, purged = await uploaded(repository), await uploaded(repository)
        await deleted(repository, purged)
        await repository.mark_purged([purged.id])
        start = start_of(a_generation(), "worker", LEASE)
        await repository.start_generation(start)
        planned, stray = start.plan.image_ids[0], new_id()
        found = await repository.unknown_images([image.id, planned, stray, purged.id])
        assert set(found) == {stray, purged.id}

    async def test_images_come_by_ranges_of_ids(self, repository: SqlRepository) -> None:
        images = [await uploaded(repository, id=image_id) for image_id in sorted(new_id() for _ in range(4))]
        await deleted(repository, images[2])
        found = await repository.images_between(images[0].id, images[3].id, 10)
        assert found == (images[1].id, images[3].id)
        assert await repository.images_between("", "f" * 32, 1) == (images[0].id,)


class TestGroupCommit:
    async def test_a_wrong_write_fails_alone(self, repository: SqlRepository) -> None:
        image = await uploaded(repository)
        others = [an_image() for _ in range(30)]
        generation = a_generation()
        uploads = (*others[:15], image, *others[15:])
        writes: list[Awaitable[Any]] = [repository.add_image(each) for each in uploads]
        writes.append(repository.start_generation(start_of(generation, "worker", LEASE)))
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [position for position, answer in enumerate(answers) if isinstance(answer, Exception)] == [15]
        assert len(await page_ids(repository, limit=100)) == 31
        assert await repository.generation(WORKSPACE, generation.id) == generation

    async def test_a_refused_start_hurts_no_other(self, repository: SqlRepository) -> None:
        source = await uploaded(repository)
        starts = [
            repository.start_generation(start_of(a_generation(input_image_ids=(image_id,)), "worker", LEASE))
            for image_id in (source.id, new_id(), source.id)
        ]
        answers = await asyncio.gather(*starts, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Started, ImageNotFoundError, Started]

    async def test_too_many_waiting_writes_are_refused(self, url: str) -> None:
        repository = SqlRepository(url, queue_length=10)
        writes = [repository.add_image(an_image()) for _ in range(50)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        kept = await page_ids(repository, limit=100)
        await repository.close()
        refused = [answer for answer in answers if isinstance(answer, OverloadedError)]
        assert len(kept) == 50 - len(refused)
        assert 10 <= len(kept) < 50

    async def test_a_write_that_was_given_up_hurts_no_other(self, repository: SqlRepository) -> None:
        images = [an_image() for _ in range(20)]
        tasks = [asyncio.create_task(repository.add_image(image)) for image in images]
        await asyncio.sleep(0)
        tasks[7].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        kept = set(await page_ids(repository, limit=100))
        assert isinstance(answers[7], asyncio.CancelledError)
        assert kept - {images[7].id} == {image.id for image in images} - {images[7].id}

    async def test_what_waits_is_written_before_the_end(self, url: str) -> None:
        repository = SqlRepository(url)
        image = an_image()
        task = asyncio.create_task(repository.add_image(image))
        await asyncio.sleep(0)
        await repository.close()
        await task
        again = SqlRepository(url)
        assert await again.image(WORKSPACE, image.id) == image
        await again.close()


class TestCheck:
    async def test_the_newest_schema_is_fine(self, repository: SqlRepository) -> None:
        await repository.check()

    async def test_only_a_server_has_a_clock_of_its_own(self, repository: SqlRepository, url: str) -> None:
        before = datetime.now(UTC)
        seen = await repository.time()
        if url.startswith("sqlite"):
            assert seen is None
        else:
            assert seen is not None
            assert seen.tzinfo is UTC
            assert before - timedelta(seconds=1) < seen < datetime.now(UTC) + timedelta(seconds=1)

    async def test_a_repository_that_was_never_used_closes(self, url: str) -> None:
        await SqlRepository(url).close()

    async def test_an_empty_database_asks_for_a_migration(self, empty_url: str) -> None:
        repository = SqlRepository(empty_url)
        with pytest.raises(DatabaseUnavailableError, match="run limner migrate"):
            await repository.check()
        await repository.close()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


class TestOutage:
    async def test_a_database_that_is_down_is_said_to_be_unavailable_until_it_is_back(
        self, own_postgres: PostgresServer
    ) -> None:
        url = migrated_postgres(own_postgres)
        repository = SqlRepository(url)
        image = await uploaded(repository)
        await repository.image(WORKSPACE, image.id)

        own_postgres.stop()
        calls: list[Awaitable[object]] = [
            repository.image(WORKSPACE, image.id),
            repository.check(),
            repository.usage(WORKSPACE, "2026-11"),
        ]
        calls += [repository.add_image(an_image()) for _ in range(20)]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, DatabaseUnavailableError)
            assert answer.message == DatabaseUnavailableError.default_message

        own_postgres.start()
        assert await repository.image(WORKSPACE, image.id) == image
        assert await repository.finish_generation(succeeded(await started(repository)), 1)
        await repository.close()

    async def test_a_database_that_is_too_slow_is_said_to_be_unavailable(self) -> None:
        url = migrated_postgres()
        repository = SqlRepository(f"{url}&options=-c%20statement_timeout%3D200ms")
        engine = open_engine(url, connections=1)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE images"))
            with pytest.raises(DatabaseUnavailableError):
                await repository.image(WORKSPACE, new_id())
            with pytest.raises(DatabaseUnavailableError):
                await repository.add_image(an_image())
        engine.dispose()
        await uploaded(repository)
        await repository.close()

    async def test_a_restart_between_two_calls_is_not_noticed(self, own_postgres: PostgresServer) -> None:
        url = migrated_postgres(own_postgres)
        repository = SqlRepository(url)
        image = await uploaded(repository)
        await asyncio.gather(*(repository.image(WORKSPACE, image.id) for _ in range(8)))
        own_postgres.stop()
        own_postgres.start()
        await uploaded(repository)
        assert await repository.images(WORKSPACE, [image.id]) == (image,)
        await repository.close()
