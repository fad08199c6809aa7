"""``auto`` keeps the first input's shape, whatever the instruction says."""

import pytest

from limner.models.sketch import SketchModel
from tests.jobs import RecordingJob, StoredPicture, edit_order
from tests.pictures import decoded, encoded, painting


@pytest.mark.parametrize("prompt", ["put them side by side", "stack them", "warmer", "rotate it by 90 degrees"])
@pytest.mark.parametrize("first", [(96, 64), (64, 96)])
async def test_auto_keeps_the_first_shape(prompt: str, first: tuple[int, int]) -> None:
    model, job = SketchModel(threads=1), RecordingJob()
    inputs = [StoredPicture(encoded(painting(*size), "PNG")) for size in (first, (80, 80))]
    await model.run(edit_order(*inputs, prompt=prompt), job)
    width, height = decoded(job.pictures[0].data).size
    assert width * first[1] == height * first[0]
    await model.close()
