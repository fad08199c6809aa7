"""What is paid for survives when a part is down: nothing is lost, and nothing is bought again."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from limner.domain.task import GenerationState
from tests.purchase.conftest import KNOWN_JOB, Site, reason_of
from tests.purchase.provider import Provider
from tests.purchase.serving import running
from tests.purchase.test_crash import MADE, UNKNOWN, outcome
from tests.purchase.worker import PATIENCE
from tests.real_parts.databases import migrated_postgres
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.ports import held_port
from tests.real_parts.postgres import running_postgres

SOON = {PATIENCE: "2"}
"""Lets callers who wait for what is down be told so soon."""
OUTAGE_S = 10.0 if "LIMNER_CRASH_KILLS" in os.environ else 3.0
"""Longer than callers wait; in the long run longer than they do in earnest."""
_BREAK_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'limner'"


@pytest.fixture
def held() -> Iterator[int]:
    """A port that stays the test's own while its server is down."""
    with held_port() as port:
        yield port


async def refusal(asking: Any) -> tuple[str, str]:
    """Why a call failed, and the generation that it tells of."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asking
    info = reason_of(failure.value)
    assert failure.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    return info.reason, info.metadata.get("generationId", "")


class TestProvider:
    async def test_one_that_hangs_up_after_it_was_paid_is_an_honest_unknown(self, site: Site) -> None:
        replica = site.add_replica()
        async with running(replica):
            for model in ("direct", "queue"):
                prompt = f"{model} [[fault:drop]]"
                for _ in range(2):
                    with pytest.raises(grpc.aio.AioRpcError) as failure:
                        await site.generate(replica, prompt, key=model, model_id=model)
                    assert reason_of(failure.value).metadata["outcome"] == "unknown"
                assert site.provider.bought(prompt) == 1
            books = await site.audited()
        assert books.states() == {GenerationState.UNKNOWN: 2}

    async def test_one_that_sells_nothing_may_be_asked_again(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            embedded.provider.faults.plan("busy")
            reason, failed = await refusal(embedded.generate(replica, "a fox", key="key"))
            answer = await embedded.generate(replica, "a fox", key="key")
            assert reason == "PROVIDER_UNAVAILABLE"
            assert answer.generation_id != failed
            await embedded.audited()

    async def test_pictures_of_a_split_order_that_are_lost_are_named(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            embedded.provider.faults.plan("", "drop", "")
            answer = await embedded.generate(replica, "foxes", num_images=3, key="key")
            assert (answer.detail.code, len(answer.images)) == ("PARTIAL_RESULT", 2)
            assert await embedded.generate(replica, "foxes", num_images=3, key="key") == answer
            await embedded.audited()


class TestStorage:
    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_pictures_made_while_a_folder_is_gone_come_later_by_the_key(
        self, embedded: Site, tmp_path: Path, model: str
    ) -> None:
        folder, away = tmp_path / "pictures", tmp_path / "away"
        embedded.settings |= {"LIMNER_STORAGE": str(folder), **SOON}
        replica = embedded.add_replica()
        async with running(replica):
            await embedded.generate(replica, "before")
            folder.rename(away)
            reason, generation_id = await refusal(embedded.generate(replica, "a fox", key="key", model_id=model))
            assert reason == "STORAGE_UNAVAILABLE"
            assert (await embedded.generation(replica, generation_id)).state == 1
            again = await refusal(embedded.generate(replica, "a fox", key="key", model_id=model))
            assert again == (reason, generation_id)
            away.rename(folder)

            answer = await _patiently(embedded, replica, "a fox", key="key", model_id=model)

            assert answer.generation_id == generation_id
            await embedded.audited()
        assert embedded.provider.bought("a fox") == 1

    async def test_a_bucket_that_is_down_longer_than_callers_wait_loses_nothing_not_even_by_a_crash(
        self, tmp_path: Path, provider: Provider, held: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects = tmp_path / "objects"
        with fake_gcs(objects, held) as emulator:
            make_bucket(emulator, "purchases")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
        settings = {"LIMNER_STORAGE": "gs://purchases", "STORAGE_EMULATOR_HOST": emulator, **SOON}
        site = Site(tmp_path, provider, settings)
        replica = site.add_replica()
        async with running(replica):
            over = asyncio.create_task(asyncio.sleep(OUTAGE_S))
            tasks = [
                asyncio.create_task(refusal(site.generate(replica, f"{model} fox", key=model, model_id=model)))
                for model in ("direct", "queue")
            ]
            generation_ids = {reason[1] for reason in await asyncio.gather(*tasks)}
            replica.kill()
            await replica.ended()
            await replica.start()
            await over
            with fake_gcs(objects, held):
                answers = [
                    await _patiently(site, replica, f"{model} fox", key=model, model_id=model)
                    for model in ("direct", "queue")
                ]
                assert {answer.generation_id for answer in answers} == generation_ids
                await site.audited()


@contextlib.contextmanager
def small_disk(folder: Path, *, mib: int) -> Iterator[None]:
    """A disk of so many MiB at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Take all that is free on the disk of a file."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@contextlib.asynccontextmanager
async def _loaded(site: Site, replica: Any) -> AsyncIterator[None]:
    """Callers who keep asking while something happens, each with a key, until all are answered."""
    stop = asyncio.Event()

    async def caller(name: str) -> None:
        number = 0
        while not stop.is_set():
            await _patiently(site, replica, f"{name} {number}", key=f"{name} {number}", model_id=name[:-1])
            number += 1

    async with asyncio.TaskGroup() as callers:
        for name in ("direct1", "direct2", "queue1", "queue2"):
            callers.create_task(caller(name))
        yield
        stop.set()


async def _bought(site: Site, prompt: str) -> None:
    """Wait until the provider has sold something of a prompt."""
    async with asyncio.timeout(20):
        while not site.bought(prompt):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def _patiently(site: Site, replica: Any, prompt: str, **facts: Any) -> Any:
    """Ask with a key until there is an answer."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await site.generate(replica, prompt, **facts)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                assert "outcome" not in reason_of(error).metadata, error
            await asyncio.sleep(0.2)


class TestDatabase:
    async def test_one_that_is_down_longer_than_callers_wait_loses_nothing(
        self, tmp_path: Path, provider: Provider
    ) -> None:
        prompt = "slow [[fault:slow=0.5]]"
        with running_postgres() as postgres:
            site = Site(tmp_path, provider, {"LIMNER_DATABASE_URL": migrated_postgres(postgres), **SOON})
            replica = site.add_replica()
            async with running(replica):
                async with _loaded(site, replica):
                    slow = asyncio.create_task(refusal(site.generate(replica, prompt, key="slow")))
                    await _bought(site, prompt)
                    await asyncio.to_thread(postgres.stop)
                    over = asyncio.create_task(asyncio.sleep(OUTAGE_S))
                    reason, generation_id = await slow
                    assert reason == "DATABASE_UNAVAILABLE"
                    await over
                    await asyncio.to_thread(postgres.start)
                    answer = await _patiently(site, replica, prompt, key="slow")
                    assert answer.generation_id == generation_id
                await site.audited()
        assert site.bought(prompt) == 1

    async def test_a_worker_that_dies_while_it_is_down_leaves_its_purchases_to_another(
        self, tmp_path: Path, provider: Provider
    ) -> None:
        prompts = {model: f"{model} [[fault:slow=0.5]]" for model in ("direct", "queue")}
        with running_postgres() as postgres:
            site = Site(tmp_path, provider, {"LIMNER_DATABASE_URL": migrated_postgres(postgres), **SOON})
            one, two = site.add_replica(), site.add_replica()
            async with running(one, two):
                asking = [
                    asyncio.create_task(refusal(site.generate(one, prompt, key=model, model_id=model)))
                    for model, prompt in prompts.items()
                ]
                for prompt in prompts.values():
                    await _bought(site, prompt)
                await site.until(KNOWN_JOB)
                await asyncio.to_thread(postgres.stop)
                assert {reason for reason, _ in await asyncio.gather(*asking)} == {"DATABASE_UNAVAILABLE"}
                one.kill()
                await one.ended()
                await asyncio.to_thread(postgres.start)
                for model, prompt in prompts.items():
                    answer = await _patiently(site, two, prompt, key=model, model_id=model)
                    assert len(answer.images) == 1
                await site.audited()
        assert {site.bought(prompt) for prompt in prompts.values()} == {1}

    async def test_connections_that_break_in_the_middle_lose_nothing(self, tmp_path: Path, provider: Provider) -> None:
        """Whatever a worker was about to keep, or to hear: even whether it was kept."""
        with running_postgres() as postgres:
            site = Site(tmp_path, provider, {"LIMNER_DATABASE_URL": migrated_postgres(postgres), **SOON})
            replica = site.add_replica()
            async with running(replica):
                async with _loaded(site, replica):
                    for _ in range(40):
                        await asyncio.sleep(0.1)
                        await asyncio.to_thread(postgres.execute, _BREAK_ALL)
                books = await site.audited()
        assert books.states()[GenerationState.SUCCEEDED] > 10

    async def test_an_id_that_comes_while_it_is_down_is_kept_later(self, tmp_path: Path, provider: Provider) -> None:
        """Else a death after the outage would make a doubt of a job that is known."""
        prompt = "a fox [[fault:late=2]]"
        with running_postgres() as postgres:
            site = Site(tmp_path, provider, {"LIMNER_DATABASE_URL": migrated_postgres(postgres), **SOON})
            replica = site.add_replica()
            async with running(replica):
                asking = asyncio.create_task(_patiently(site, replica, prompt, key="key", model_id="queue"))
                await _bought(site, prompt)
                await asyncio.to_thread(postgres.stop)
                await asyncio.sleep(3)  # the id came, and could not be kept
                await asyncio.to_thread(postgres.start)
                await site.until(KNOWN_JOB)
                replica.kill()
                await replica.ended()
                await replica.start()
                assert len((await asking).images) == 1
                await site.audited()
        assert site.bought(prompt) == 1


class TestDisk:
    async def test_a_full_disk_refuses_purchases_before_they_are_made(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        embedded.settings["LIMNER_MIN_FREE_MIB"] = str(1 << 40)
        async with running(replica):
            for model in ("direct", "queue"):
                reason, _ = await refusal(embedded.generate(replica, "a fox", model_id=model))
                assert reason == "STORAGE_UNAVAILABLE"
            assert embedded.provider.ledger.accepted == 0
            embedded.settings.clear()
            await embedded.audited()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    async def test_a_disk_that_fills_up_during_a_purchase_holds_the_picture_up(
        self, embedded: Site, tmp_path: Path
    ) -> None:
        disk = tmp_path / "disk"
        embedded.settings |= {"LIMNER_STORAGE": str(disk / "pictures"), "LIMNER_MIN_FREE_MIB": "1"}
        with small_disk(disk, mib=4):
            replica = embedded.add_replica("disk/data")
            async with running(replica):
                prompt = "a fox [[fault:slow=0.3]]"
                asking = asyncio.create_task(refusal(embedded.generate(replica, prompt, key="key")))
                await embedded.provider.asked.wait()
                filler = disk / "filler"
                fill(filler)
                reason, generation_id = await asking
                assert reason == "STORAGE_UNAVAILABLE"
                refused, _ = await refusal(embedded.generate(replica, "another"))
                assert (refused, embedded.provider.ledger.accepted) == ("STORAGE_UNAVAILABLE", 1)

                filler.unlink()

                assert (await _patiently(embedded, replica, prompt, key="key")).generation_id == generation_id
                await embedded.audited()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    @pytest.mark.parametrize(("model", "fate"), [("direct", UNKNOWN), ("queue", MADE)])
    async def test_a_death_while_the_disk_is_full_buys_nothing_again(
        self, embedded: Site, tmp_path: Path, model: str, fate: str
    ) -> None:
        disk, prompt = tmp_path / "disk", "a fox [[fault:slow=0.3]]"
        embedded.settings |= {"LIMNER_STORAGE": str(disk / "pictures"), "LIMNER_MIN_FREE_MIB": "1"}
        with small_disk(disk, mib=4):
            replica = embedded.add_replica("disk/data")
            async with running(replica):
                asking = asyncio.create_task(refusal(embedded.generate(replica, prompt, key="key", model_id=model)))
                await embedded.provider.asked.wait()
                if model == "queue":
                    await embedded.until(KNOWN_JOB)
                fill(disk / "filler")
                assert (await asking)[0] == "STORAGE_UNAVAILABLE"
                replica.kill()
                await replica.ended()
                (disk / "filler").unlink()
                await replica.start()
                assert await outcome(embedded, replica, prompt, "key", model) == fate
                await embedded.audited()
        assert embedded.bought(prompt) == 1

    async def test_a_full_spool_refuses_purchases_before_they_are_made(self, embedded: Site, tmp_path: Path) -> None:
        folder, away = tmp_path / "pictures", tmp_path / "away"
        embedded.settings |= {"LIMNER_STORAGE": str(folder), "LIMNER_SPOOL_MAX_MIB": "1"}
        replica = embedded.add_replica()
        spool = replica.data_dir / "spool"
        (spool / "ff").mkdir(parents=True)
        (spool / "ff" / ("f" * 32)).write_bytes(bytes((1 << 20) + 1))
        async with running(replica):
            reason, _ = await refusal(embedded.generate(replica, "a fox"))
            assert reason == "STORAGE_UNAVAILABLE"
            assert embedded.provider.ledger.accepted == 0
            assert not away.exists()
