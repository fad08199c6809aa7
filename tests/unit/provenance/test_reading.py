"""What is said of files: signed ones, changed ones, and what is none."""

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest

from limner.domain.image import OutputFormat
from limner.domain.provenance import Mark, Marker, MarkIngredient, MarkKind, MarkState, Provenance, SourceType
from limner.provenance.marks import NOT_LOOKED_FOR, C2paMarks
from limner.service.marks import Making, UnreadableMarksError
from tests import pictures
from tests.certificates import Signer
from tests.unit.provenance.conftest import marks_of

MADE = Making(
    action="c2pa.created", title="a picture", source_type=SourceType.TRAINED_ALGORITHMIC_MEDIA, model="painter-2"
)
ABSENT = Provenance(marks=(Mark(kind=MarkKind.C2PA, state=MarkState.ABSENT), NOT_LOOKED_FOR))
FILES = {
    OutputFormat.PNG: pictures.png(64, 48),
    OutputFormat.JPEG: pictures.jpeg(64, 48),
    OutputFormat.WEBP: pictures.webp(64, 48),
}


PIXELS = {OutputFormat.PNG: (b"IDAT", 8), OutputFormat.JPEG: (b"\xff\xda", 20), OutputFormat.WEBP: (b"VP8", 20)}


def changed(signed: bytes, kind: OutputFormat) -> bytes:
    """Return the file with another pixel."""
    begin, offset = PIXELS[kind]
    at = signed.rindex(begin) + offset
    return signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]


def only(found: Provenance) -> Mark:
    mark, watermark = found.marks
    assert watermark == NOT_LOOKED_FOR
    return mark


@pytest.mark.parametrize("kind", OutputFormat)
async def test_an_unsigned_picture_has_no_mark_and_that_is_said(marks: C2paMarks, kind: OutputFormat) -> None:
    assert await marks.read(FILES[kind]) == ABSENT


@pytest.mark.parametrize("kind", OutputFormat)
async def test_a_signed_picture_tells_who_signed_it_and_how_it_came_to_be(marks: C2paMarks, kind: OutputFormat) -> None:
    found = await marks.read(await marks.sign(FILES[kind], kind, MADE))

    assert found.source_type is SourceType.TRAINED_ALGORITHMIC_MEDIA
    assert only(found) == Mark(
        kind=MarkKind.C2PA,
        state=MarkState.TRUSTED,
        by=Marker.LIMNER,
        generator="Limner",
        issuer="Example Pictures",
        actions=("c2pa.created",),
    )


async def test_without_a_list_of_trust_a_signature_is_valid_but_not_trusted(signer: Signer) -> None:
    with closing(marks_of(signer, trusted=False)) as marks:
        mark = only(await marks.read(await marks.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, MADE)))

    assert (mark.state, mark.by) == (MarkState.VALID, Marker.LIMNER)
    assert mark.problems == ("no list of trust that is set here vouches for the certificate",)


async def test_a_strangers_signature_is_not_taken_for_our_own(marks: C2paMarks, stranger: Signer) -> None:
    with closing(marks_of(stranger)) as others:
        theirs = await others.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, MADE)

    mark = only(await marks.read(theirs))

    assert (mark.state, mark.by, mark.generator) == (MarkState.VALID, Marker.UNKNOWN, "Limner")


@pytest.mark.parametrize("kind", OutputFormat)
async def test_a_changed_byte_makes_a_mark_invalid(marks: C2paMarks, kind: OutputFormat) -> None:
    signed = await marks.sign(FILES[kind], kind, MADE)

    mark = only(await marks.read(changed(signed, kind)))

    assert (mark.state, mark.by) == (MarkState.INVALID, Marker.UNKNOWN)
    assert any("assertion.dataHash.mismatch" in problem for problem in mark.problems)


@pytest.mark.parametrize("kind", OutputFormat)
async def test_a_file_cut_off_anywhere_is_told_as_invalid_or_absent(marks: C2paMarks, kind: OutputFormat) -> None:
    signed = await marks.sign(FILES[kind], kind, MADE)

    states = [only(await marks.read(signed[:end])).state for end in range(16, len(signed) - 1, 97)]

    assert set(states) <= {MarkState.INVALID, MarkState.ABSENT}
    assert states[-1] is MarkState.INVALID


async def test_random_damage_to_a_manifest_is_always_an_answer(marks: C2paMarks) -> None:
    signed = await marks.sign(FILES[OutputFormat.JPEG], OutputFormat.JPEG, MADE)
    start = signed.index(b"jumb")

    async def damaged(at: int) -> Mark:
        changed = bytearray(signed)
        changed[at] ^= 0x55
        return only(await marks.read(bytes(changed)))

    found = [await damaged(start + offset) for offset in range(4, 2400, 61)]

    assert sum(each.state is MarkState.INVALID for each in found) > len(found) // 2
    assert all(each.problems for each in found if each.state is MarkState.INVALID)


async def test_what_is_no_picture_is_refused(marks: C2paMarks) -> None:
    for data in (b"", b"%PDF-1.7", b"hello"):
        with pytest.raises(UnreadableMarksError):
            await marks.read(data)


async def test_lineage_survives_several_edits(marks: C2paMarks) -> None:
    first = await marks.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, MADE)
    upload = FILES[OutputFormat.JPEG]
    edited = replace(
        MADE,
        action="c2pa.edited",
        source_type=SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA,
        ingredients=[
            await marks.ingredient("a" * 32, first, OutputFormat.PNG, parent=True),
            await marks.ingredient("b" * 32, upload, OutputFormat.JPEG, parent=False),
        ],
    )
    second = await marks.sign(FILES[OutputFormat.WEBP], OutputFormat.WEBP, edited)
    resized = Making(
        action="c2pa.resized",
        title="smaller",
        ingredients=[await marks.ingredient("c" * 32, second, OutputFormat.WEBP, parent=True)],
    )

    found = await marks.read(await marks.sign(FILES[OutputFormat.JPEG], OutputFormat.JPEG, resized))

    assert found.source_type is SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
    assert only(found).actions == ("c2pa.opened", "c2pa.resized")
    assert only(found).ingredients == (
        MarkIngredient(title=f"{'c' * 32}.webp", state=MarkState.TRUSTED, image_id="c" * 32),
        MarkIngredient(title=f"{'a' * 32}.png", state=MarkState.TRUSTED, image_id="a" * 32),
        MarkIngredient(title=f"{'b' * 32}.jpeg", state=MarkState.ABSENT, image_id="b" * 32),
    )


async def test_an_input_with_a_broken_manifest_is_named_as_such(marks: C2paMarks) -> None:
    broken = changed(await marks.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, MADE), OutputFormat.PNG)
    edited = replace(
        MADE,
        action="c2pa.edited",
        ingredients=[await marks.ingredient("a" * 32, broken, OutputFormat.PNG, parent=True)],
    )

    mark = only(await marks.read(await marks.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, edited)))

    assert mark.state is MarkState.TRUSTED
    assert [each.state for each in mark.ingredients] == [MarkState.INVALID]


async def test_many_look_and_sign_at_the_same_time(marks: C2paMarks) -> None:
    signed = await asyncio.gather(
        *(marks.sign(FILES[kind], kind, MADE) for kind in OutputFormat for _ in range(8)),
    )

    found = await asyncio.gather(*(marks.read(each) for each in signed))

    assert {only(each).state for each in found} == {MarkState.TRUSTED}


async def test_an_input_that_the_library_cannot_read_is_named_without_a_manifest(marks: C2paMarks) -> None:
    cut = (await marks.sign(FILES[OutputFormat.PNG], OutputFormat.PNG, MADE))[:400]
    named = await marks.ingredient("a" * 32, cut, OutputFormat.PNG, parent=True)

    signed = await marks.sign(
        FILES[OutputFormat.PNG], OutputFormat.PNG, replace(MADE, action="c2pa.edited", ingredients=[named])
    )

    assert [each.state for each in only(await marks.read(signed)).ingredients] == [MarkState.ABSENT]
