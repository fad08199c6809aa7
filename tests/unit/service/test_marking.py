"""Marks on what is made, through every way that a picture is kept."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import limner.service
from limner.certificates import load_identity
from limner.domain.derivative import Derivative, DerivativeFormat
from limner.domain.identifiers import new_id
from limner.domain.image import Image, OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.provenance import Mark, Marker, MarkKind, MarkState, Provenance, SourceType
from limner.domain.task import EditTask, GenerateTask, Generation, Operation, Plan, Task, UpscaleTask
from limner.imaging.derivatives import PillowDeriver
from limner.provenance.marks import C2paMarks
from limner.service.caller import Caller
from limner.service.contents import Content, Contents
from limner.service.library import ImageLibrary
from limner.service.marks import Making
from limner.service.pictures import Pictures
from limner.service.ports import MadePicture
from tests.certificates import Signer, signer_in
from tests.pictures import chunk, jpeg, png, webp
from tests.unit.provenance.conftest import marks_of
from tests.unit.service.conftest import WORKSPACE, World

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PAINTER = ModelCapabilities(id="painter-2", description="", operations=tuple(Operation), seeds=True)
SKETCHER = replace(PAINTER, id="sketcher", trained=False)
PROVIDERS = Making(action="c2pa.created", title="theirs", source_type=SourceType.TRAINED_ALGORITHMIC_MEDIA)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer_in(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer_in(tmp_path_factory.mktemp("provider"), "Provider Inc")


@pytest.fixture
async def signing(world: World, signer: Signer) -> AsyncIterator[World]:
    """A world that signs, with a store that may be down."""
    with closing(marks_of(signer)) as marks:
        world.stores = replace(world.stores, marks=marks)
        yield world


def pictures_of(
    world: World, task: Task, *, inputs: tuple[Image, ...] = (), ids: tuple[str, ...] = (), maker: ModelCapabilities
) -> Pictures:
    generation = Generation(
        id=new_id(),
        workspace_id=WORKSPACE,
        created_by_user_id="ada",
        operation=task.operation,
        model=maker.id,
        prompt=task.prompt,
        requested_images=1,
        input_image_ids=tuple(image.id for image in inputs),
        inputs=inputs,
        created_at=NOW,
        updated_at=NOW,
    )
    return Pictures(generation, Plan(task=task, seed=7, image_ids=ids or (new_id(),)), world.stores, maker)


async def made(
    world: World,
    task: Task,
    data: bytes = b"",
    *,
    inputs: tuple[Image, ...] = (),
    maker: ModelCapabilities = PAINTER,
) -> Image:
    pictures = pictures_of(world, task, inputs=inputs, maker=maker)
    await pictures.keep(MadePicture(index=0, data=data or png(32, 32)))
    (image,) = pictures.images
    return image


def generate(to: OutputFormat = OutputFormat.PNG) -> GenerateTask:
    return GenerateTask(model_id="painter-2", prompt="a fox", output_format=to)


def edit(*images: Image) -> EditTask:
    return EditTask(model_id="painter-2", prompt="a fox", image_ids=tuple(image.id for image in images))


async def mark_of(world: World, image: Image) -> Mark:
    data = await world.stores.blobs.read(image.id)
    assert len(data) == image.size_bytes
    assert world.stores.marks is not None
    mark, _ = (await world.stores.marks.read(data)).marks
    return mark


async def source_type_of(world: World, image: Image) -> SourceType:
    assert world.stores.marks is not None
    return (await world.stores.marks.read(await world.stores.blobs.read(image.id))).source_type


@pytest.mark.parametrize(("maker", "source"), [(PAINTER, "TRAINED_ALGORITHMIC_MEDIA"), (SKETCHER, "ALGORITHMIC_MEDIA")])
async def test_what_is_generated_says_what_made_it(signing: World, maker: ModelCapabilities, source: str) -> None:
    image = await made(signing, generate(), maker=maker)

    mark = await mark_of(signing, image)
    assert (mark.state, mark.by, mark.actions) == (MarkState.TRUSTED, Marker.LIMNER, ("c2pa.created",))
    assert await source_type_of(signing, image) == source


async def test_a_manifest_names_neither_prompt_nor_user_nor_workspace(signing: World) -> None:
    image = await made(signing, replace(generate(), prompt="a very secret fox"))

    data = await signing.stores.blobs.read(image.id)
    assert not any(word.encode() in data for word in ("secret fox", "ada", WORKSPACE))


async def test_a_manifest_names_what_the_operator_wants_told(signing: World, signer: Signer) -> None:
    with closing(marks_of(signer, told=frozenset({"prompt"}))) as marks:
        signing.stores = replace(signing.stores, marks=marks)
        image = await made(signing, replace(generate(), prompt="a famous fox"))
        data = await signing.stores.blobs.read(image.id)

    assert b"a famous fox" in data
    assert WORKSPACE.encode() not in data


async def test_edits_of_edits_and_upscales_name_all_that_they_came_from(signing: World) -> None:
    library = ImageLibrary(signing.stores)
    first = await made(signing, generate())
    own = await library.upload(Caller(user_id="ada"), WORKSPACE, jpeg(32, 32))
    second = await made(signing, edit(first, own), inputs=(first, own))
    third = await made(signing, edit(second), webp(32, 32), inputs=(second,))
    task = UpscaleTask(model_id="painter-2", image_id=third.id, upscale_factor=2)

    largest = await made(signing, task, png(64, 64), inputs=(third,))

    mark = await mark_of(signing, largest)
    assert mark.state is MarkState.TRUSTED
    assert mark.actions == ("c2pa.opened", "c2pa.resized")
    assert [(each.image_id, each.state) for each in mark.ingredients] == [
        (third.id, MarkState.TRUSTED),
        (second.id, MarkState.TRUSTED),
        (first.id, MarkState.TRUSTED),
        (own.id, MarkState.ABSENT),
    ]
    assert await source_type_of(signing, largest) is SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA


async def test_a_providers_manifest_stays_byte_for_byte(signing: World, provider: Signer) -> None:
    theirs = await signed_by(provider, png(32, 32))

    image = await made(signing, generate(), theirs)

    assert await signing.stores.blobs.read(image.id) == theirs


async def test_a_providers_manifest_is_wrapped_where_the_operator_wants_it(
    signing: World, signer: Signer, provider: Signer
) -> None:
    theirs = await signed_by(provider, png(32, 32))
    with closing(marks_of(signer, wraps=True)) as marks:
        signing.stores = replace(signing.stores, marks=marks)
        mark = await mark_of(signing, await made(signing, generate(), theirs))

    assert (mark.by, mark.state, mark.actions) == (Marker.LIMNER, MarkState.TRUSTED, ("c2pa.opened", "c2pa.repackaged"))
    assert [each.state for each in mark.ingredients] == [MarkState.VALID]


async def test_another_format_names_the_providers_picture_with_its_manifest(signing: World, provider: Signer) -> None:
    theirs = await signed_by(provider, png(32, 32))

    image = await made(signing, generate(OutputFormat.WEBP), theirs)

    mark = await mark_of(signing, image)
    assert (mark.by, mark.actions) == (Marker.LIMNER, ("c2pa.opened", "c2pa.transcoded"))
    assert [each.state for each in mark.ingredients] == [MarkState.VALID]
    assert await source_type_of(signing, image) is SourceType.TRAINED_ALGORITHMIC_MEDIA


async def test_a_broken_manifest_of_a_provider_is_replaced(signing: World, provider: Signer) -> None:
    theirs = await signed_by(provider, jpeg(32, 32), OutputFormat.JPEG)
    at = theirs.index(b"c2pa.created")
    broken = theirs[:at] + b"c2pa.drawing" + theirs[at + 12 :]

    mark = await mark_of(signing, await made(signing, generate(OutputFormat.JPEG), broken))

    assert (mark.by, mark.state) == (Marker.LIMNER, MarkState.TRUSTED)


async def test_what_cannot_be_signed_is_kept_and_that_is_said(signing: World, signer: Signer) -> None:
    assert isinstance(signing.stores.marks, C2paMarks)
    signing.stores.marks.close()
    with closing(marks_of(signer, threads=1, queue=-1)) as marks:  # there is never a place
        signing.stores = replace(signing.stores, marks=marks)
        pictures = pictures_of(signing, generate(), maker=PAINTER)
        await pictures.keep(MadePicture(index=0, data=png(32, 32)))

    (image,) = pictures.images
    assert await signing.stores.blobs.read(image.id) == png(32, 32)
    assert [each.image_id for each in pictures.unmarked] == [image.id]


async def test_what_a_crash_left_before_it_was_signed_is_signed_by_who_takes_over(signing: World) -> None:
    first = pictures_of(signing, generate(), maker=PAINTER)
    (image_id,) = first._plan.image_ids
    await signing.stores.spool.keep(image_id, png(32, 32))

    second = pictures_of(signing, generate(), ids=(image_id,), maker=PAINTER)
    await second.adopt(lambda _: PAINTER)
    await second.deliver()

    assert second.unmarked == ()
    (image,) = second.images
    assert (await mark_of(signing, image)).state is MarkState.TRUSTED
    assert await signing.stores.spool.keys() == ()


async def test_what_was_signed_while_the_store_was_down_is_signed_when_it_is_up(signing: World) -> None:
    pictures = pictures_of(signing, generate(), maker=PAINTER)
    signing.blobs.failures = 1
    await pictures.keep(MadePicture(index=0, data=png(32, 32)))

    await pictures.deliver()

    (image,) = pictures.images
    assert (await mark_of(signing, image)).state is MarkState.TRUSTED


async def signed_by(provider: Signer, data: bytes, kind: OutputFormat = OutputFormat.PNG) -> bytes:
    with closing(marks_of(provider)) as theirs:
        return await theirs.sign(data, kind, PROVIDERS)


class Stamping(C2paMarks):
    """Puts in a watermark that is easy to see: a comment."""

    @property
    def watermarks(self) -> bool:
        return True

    async def watermark(self, data: bytes, output_format: OutputFormat) -> bytes:
        return data[:-12] + chunk(b"tEXt", b"Comment\0marked") + data[-12:]


@pytest.mark.parametrize("has_one", [True, False])
async def test_only_what_has_no_watermark_gets_one(signing: World, signer: Signer, has_one: bool) -> None:
    identity = load_identity(str(signer.chain), str(signer.key))
    with closing(Stamping(identity=identity)) as marks:
        signing.stores = replace(signing.stores, marks=marks)
        image = await made(signing, generate(), maker=replace(PAINTER, watermarked=has_one))
        data = await signing.stores.blobs.read(image.id)
        mark = await mark_of(signing, image)

    assert (b"Comment\0marked" in data) is not has_one
    assert (mark.by, mark.state) == (Marker.LIMNER, MarkState.VALID)


class StampingOnly(Stamping):
    """Signs nothing, and finds its watermark again."""

    @property
    def signs(self) -> bool:
        return False

    async def read(self, data: bytes) -> Provenance:
        state = MarkState.DETECTED if b"Comment\0marked" in data else MarkState.ABSENT
        return Provenance(marks=(Mark(kind=MarkKind.WATERMARK, state=state),), source_type=SourceType.UNKNOWN)


async def test_what_got_a_watermark_while_the_store_was_down_gets_no_second(signing: World) -> None:
    with closing(StampingOnly()) as marks:
        signing.stores = replace(signing.stores, marks=marks)
        pictures = pictures_of(signing, generate(), maker=PAINTER)
        signing.blobs.failures = 1
        await pictures.keep(MadePicture(index=0, data=png(32, 32)))
        await pictures.deliver()

    (image,) = pictures.images
    assert (await signing.stores.blobs.read(image.id)).count(b"Comment\0marked") == 1
    assert pictures.unmarked == ()


async def test_what_a_crash_left_before_its_watermark_gets_it_from_who_takes_over(signing: World) -> None:
    with closing(StampingOnly()) as marks:
        signing.stores = replace(signing.stores, marks=marks)
        pictures = pictures_of(signing, generate(), maker=PAINTER)
        await signing.stores.spool.keep(pictures._plan.image_ids[0], png(32, 32))
        await pictures.adopt(lambda _: PAINTER)
        await pictures.deliver()

    (image,) = pictures.images
    assert (await signing.stores.blobs.read(image.id)).count(b"Comment\0marked") == 1


@pytest.mark.parametrize("kind", DerivativeFormat)
async def test_a_derivative_of_a_marked_picture_is_marked_and_names_it(signing: World, kind: DerivativeFormat) -> None:
    image = await made(signing, generate(), png(200, 100))
    contents = Contents(signing.stores, PillowDeriver(threads=1))
    content = Content(image, Derivative(128, kind))
    await (await contents.open(content)).close()
    contents.close()

    assert signing.stores.marks is not None
    mark, _ = (await signing.stores.marks.read(await signing.stores.blobs.read(content.key))).marks
    assert (mark.by, mark.state, mark.actions) == (Marker.LIMNER, MarkState.TRUSTED, ("c2pa.opened", "c2pa.resized"))
    assert [(each.image_id, each.state) for each in mark.ingredients] == [(image.id, MarkState.TRUSTED)]


async def test_a_derivative_of_an_unmarked_upload_has_no_mark(signing: World) -> None:
    own = await ImageLibrary(signing.stores).upload(Caller(user_id="ada"), WORKSPACE, png(200, 100))
    contents = Contents(signing.stores, PillowDeriver(threads=1))
    content = Content(own, Derivative(128, DerivativeFormat.WEBP))
    await (await contents.open(content)).close()
    contents.close()

    assert b"c2pa" not in await signing.stores.blobs.read(content.key)


def test_all_places_that_write_a_picture_are_tried_here() -> None:
    """Uploads stay as they came; the sweeper stores what was spooled; all else goes by ``marking``."""
    folder = Path(limner.service.__path__[0])
    writers = {path.stem for path in folder.glob("*.py") if "blobs.put(" in path.read_text()}
    assert writers == {"contents", "library", "pictures", "sweeper"}
