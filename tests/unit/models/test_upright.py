"""What hosted models are sent of pictures that callers uploaded."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from limner.catalogue import load_models
from limner.domain.errors import InvalidFieldError, StorageUnavailableError
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import Operation
from limner.imaging.codec import PillowCodec
from limner.models.upright import UprightModel, with_upright_inputs
from limner.service.ports import InputPicture, Job, KnownSubmission, Order, ResumableModel
from tests import phones
from tests.jobs import RecordingJob, StoredPicture, edit_order
from tests.pictures import decoded, png


@dataclass
class Asked:
    """A hosted model that keeps what it is sent."""

    sent: list[tuple[InputPicture, bytes, bytes]] = field(default_factory=list)
    resumed: int = 0
    capabilities = ModelCapabilities(id="hosted", description="", operations=(Operation.EDIT,), max_input_images=4)

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        for each in order.inputs:
            streamed = b"".join([part async for part in each.stream()])
            self.sent.append((each, await each.read(), streamed))

    async def close(self) -> None:
        pass


class AskedByJob(Asked):
    """One whose provider knows its work by an id."""

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        self.resumed += 1

    async def cancel(self, submission: KnownSubmission) -> bool:
        return False


@pytest.fixture
def codec() -> Iterator[PillowCodec]:
    codec = PillowCodec()
    yield codec
    codec.close()


async def sent(codec: PillowCodec, *inputs: StoredPicture) -> list[tuple[InputPicture, bytes, bytes]]:
    model = Asked()
    await with_upright_inputs(model, codec).run(edit_order(*inputs), RecordingJob())
    return model.sent


async def test_a_photograph_arrives_upright_and_without_its_place(codec: PillowCodec) -> None:
    photo = phones.photo(96, 64, turn=6)
    assert decoded(photo).getexif().get_ifd(0x8825)
    ((picture, read, streamed),) = await sent(codec, StoredPicture(photo, OutputFormat.JPEG))
    assert read == streamed
    assert (picture.image.size_bytes, picture.image.width, picture.image.height) == (len(read), 64, 96)
    made = decoded(read)
    assert made.size == (64, 96) and not made.getexif()


async def test_a_picture_that_tells_nothing_is_streamed_from_where_it_is(codec: PillowCodec) -> None:
    source = StoredPicture(png(64, 64))
    ((picture, read, _),) = await sent(codec, source)
    assert picture is source and read == source.data


async def test_inputs_keep_their_order_and_a_large_one_comes_in_parts(codec: PillowCodec) -> None:
    large = phones.photo(1400, 1000, quality=100)
    first, second = await sent(codec, StoredPicture(large, OutputFormat.JPEG), StoredPicture(png(8, 8)))
    assert decoded(first[1]).size == (1400, 1000)
    assert decoded(second[1]).size == (8, 8)


async def test_two_calls_may_read_an_input_at_once(codec: PillowCodec) -> None:
    class Twice(Asked):
        async def run(self, order: Order, job: Job) -> None:
            one, other = await asyncio.gather(order.inputs[0].read(), order.inputs[0].read())
            assert one == other and decoded(one).size == (700, 500)
            await super().run(order, job)

    model = Twice()
    picture = StoredPicture(phones.photo(700, 500, quality=100), OutputFormat.JPEG)
    await with_upright_inputs(model, codec).run(edit_order(picture), RecordingJob())
    assert model.sent


async def test_an_input_that_no_decoder_shows_is_refused_by_field_before_the_model_is_asked(
    codec: PillowCodec,
) -> None:
    model = Asked()
    with pytest.raises(InvalidFieldError, match="imageIds"):
        await with_upright_inputs(model, codec).run(edit_order(StoredPicture(b"no picture")), RecordingJob())
    assert not model.sent


async def test_a_storage_that_is_down_is_told_as_such(codec: PillowCodec) -> None:
    class Lost(StoredPicture):
        async def read(self) -> bytes:
            raise StorageUnavailableError

        async def stream(self) -> AsyncIterator[bytes]:
            raise StorageUnavailableError
            yield b""

    with pytest.raises(StorageUnavailableError):
        await with_upright_inputs(Asked(), codec).run(edit_order(Lost(b"")), RecordingJob())


async def test_a_model_stays_resumable_and_only_then(codec: PillowCodec) -> None:
    model = AskedByJob()
    upright = with_upright_inputs(model, codec)
    assert isinstance(upright, ResumableModel)
    await upright.resume(edit_order(), [], RecordingJob())
    assert model.resumed == 1
    assert not isinstance(with_upright_inputs(Asked(), codec), ResumableModel)


CATALOGUE = """
[[models]]
id = "careful"
adapter = "openai"
upstream_model = "gpt-image-2"
[[models]]
id = "open"
adapter = "openai"
upstream_model = "gpt-image-2"
keep_metadata = true
[[models]]
id = "sketch"
adapter = "sketch"
"""


async def test_the_operator_may_let_a_model_have_inputs_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(CATALOGUE)
    loaded = load_models(path, {"OPENAI_API_KEY": "key"})
    careful, open_, local = loaded.models
    assert isinstance(careful, UprightModel)
    assert not isinstance(open_, UprightModel) and not isinstance(local, UprightModel)
    await loaded.close()
