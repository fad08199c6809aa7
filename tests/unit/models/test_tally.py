"""What becomes of the pictures of one order, told to its job."""

import pytest

from limner.domain.errors import ContentRejectedError, OverloadedError, StorageUnavailableError
from limner.models.tally import Tally
from limner.service.ports import MadePicture
from tests.jobs import RecordingJob, generate_order


class FullJob(RecordingJob):
    """A job whose store is full."""

    async def made(self, picture: MadePicture) -> None:
        raise StorageUnavailableError


def made(index: int) -> MadePicture:
    return MadePicture(index=index, data=b"picture")


async def test_lost_pictures_are_told_beside_the_made_ones_in_order() -> None:
    job = RecordingJob()
    tally = Tally(generate_order(count=3), job)
    tally.lost((2,), OverloadedError())
    await tally.made(made(0))
    tally.lost((1,), ContentRejectedError())
    tally.settle()
    assert [(index, each.reason) for index, each in job.missing.items()] == [(1, "CONTENT_REJECTED"), (2, "OVERLOADED")]
    assert job.fractions == [1 / 3, 2 / 3, 1.0]


async def test_when_all_are_lost_the_gravest_reason_is_raised() -> None:
    job = RecordingJob()
    tally = Tally(generate_order(count=2), job)
    tally.lost((0,), OverloadedError())
    tally.lost((1,), ContentRejectedError())
    with pytest.raises(ContentRejectedError):
        tally.settle()
    assert not job.missing


async def test_picture_that_can_not_be_kept_is_lost() -> None:
    tally = Tally(generate_order(), FullJob())
    await tally.made(made(0))
    with pytest.raises(StorageUnavailableError):
        tally.settle()


async def test_words_come_in_the_order_of_the_pictures_each_once() -> None:
    job = RecordingJob()
    tally = Tally(generate_order(count=3), job)
    for index, text in ((2, "third"), (0, "first"), (1, "first"), (1, "")):
        tally.describe(index, text)
    assert job.words == "first\nthird"


async def test_model_that_tells_finer_steps_is_not_spoken_over() -> None:
    job = RecordingJob()
    await Tally(generate_order(), job, steps=False).made(made(0))
    assert job.fractions == []
