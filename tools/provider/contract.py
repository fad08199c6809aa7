"""The adapter for Acme against every way that it fails: what callers are told, and what was bought."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.http.retry import RetryPolicy
from limner.outbound.client import HttpClient
from tests.jobs import RecordingJob, generate_order
from tools.provider.adapter import AcmeModel, acme_capabilities
from tools.provider.fake import KEY, FakeAcme, fake_acme


@dataclass
class Rig:
    """The vendor, and a model that asks it."""

    fake: FakeAcme
    client: HttpClient

    async def run(self, prompt: str = "a cat", *, count: int = 1, key: str = KEY) -> RecordingJob:
        model = AcmeModel(
            capabilities=acme_capabilities("acme-1"),
            upstream_model="acme-1",
            client=self.client,
            api_key=key,
            base_url=self.fake.base_url,
            retries=RetryPolicy(first_delay_s=0.01),
        )
        self.job = RecordingJob()
        await model.run(generate_order(prompt, count=count), self.job)
        return self.job


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    client = HttpClient()
    async with fake_acme() as fake:
        yield Rig(fake, client)
        assert fake.recorder.leaks == []
    await client.close()


async def test_every_picture_of_an_order_is_made_and_bought_once(rig: Rig) -> None:
    job = await rig.run(count=4)
    assert sorted(job.pictures) == [0, 1, 2, 3]
    assert [each.seed for _, each in sorted(job.pictures.items())] == [7, 8, 9, 10]
    assert rig.fake.ledger.pictures == 4
    assert sorted(index for each in job.submissions for index in each.indexes) == [0, 1, 2, 3]


async def test_what_surely_was_not_bought_is_asked_for_again(rig: Rig) -> None:
    job = await rig.run("a cat [[fault:busy*1]]")
    assert sorted(job.pictures) == [0]
    assert [each.voided for each in job.submissions] == [True, False]
    assert rig.fake.ledger.pictures == 1


@pytest.mark.parametrize(
    ("fault", "error", "outcome", "bought"),
    [
        ("busy", OverloadedError, None, 0),
        ("moderated", ContentRejectedError, None, 0),
        ("field", ProviderMisconfiguredError, "not_bought", 0),
        ("500", ProviderUnavailableError, "unknown", 1),
        ("502", ProviderUnavailableError, "unknown", 1),
        ("page", ProviderUnavailableError, "unknown", 1),
        ("no-picture", ProviderUnavailableError, "unknown", 1),
        ("drop", ProviderUnavailableError, "unknown", 1),
    ],
)
async def test_each_fault_is_told_as_what_it_is_and_never_bought_again(
    rig: Rig, fault: str, error: type[LimnerError], outcome: str | None, bought: int
) -> None:
    with pytest.raises(error) as told:
        await rig.run(f"a cat [[fault:{fault}]]")
    if outcome is not None:
        assert told.value.outcome == outcome
    assert rig.fake.ledger.pictures == bought
    assert all(each.voided == (bought == 0) for each in rig.job.submissions if error is not ContentRejectedError)


async def test_a_key_that_is_not_accepted_is_the_operators_to_mend(rig: Rig) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await rig.run(key="wrong")
    assert rig.fake.ledger.pictures == 0


async def test_pictures_that_came_are_kept_when_another_is_lost(rig: Rig) -> None:
    rig.fake.faults.plan("", "500")
    job = await rig.run(count=2)
    assert len(job.pictures) == len(job.missing) == 1
