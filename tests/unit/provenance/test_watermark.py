"""The service's watermark: put in, found again, and not found where there is none."""

import io
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import product

import pytest
from PIL import Image, ImageChops, ImageStat

from limner.domain.image import OutputFormat
from limner.domain.provenance import Mark, Marker, MarkKind, MarkState
from limner.provenance.pixels import Watermarks
from limner.provenance.service_code import CODE, MAX_TRIES, TOLERANCE, false_alarm_rate, is_code
from limner.service.marks import UnmarkedError
from tests.pictures import encoded, landscape, painting

FOUND = Mark(kind=MarkKind.WATERMARK, state=MarkState.DETECTED, by=Marker.LIMNER)
ABSENT = Mark(kind=MarkKind.WATERMARK, state=MarkState.ABSENT)


@pytest.fixture
async def watermarks() -> AsyncIterator[Watermarks]:
    with closing(Watermarks()) as made:
        yield made


def test_a_few_wrong_bits_are_put_right_and_no_more() -> None:
    for wrong in (0, TOLERANCE, TOLERANCE + 1):
        bits = [1 - bit if at < wrong else bit for at, bit in enumerate(CODE)]
        assert is_code(bits) is (wrong <= TOLERANCE)


def test_false_alarms_are_rarer_than_one_in_a_million_by_count() -> None:
    near = sum(sum(flips) <= TOLERANCE for flips in product((0, 1), repeat=16))  # of all words of half the length
    assert near == 1 + 16 + 120
    assert false_alarm_rate(1) == (1 + 32 + 496) / 2**32
    assert false_alarm_rate() == MAX_TRIES * false_alarm_rate(1) < 1e-6


async def test_a_watermark_is_found_in_what_others_make_of_a_picture(watermarks: Watermarks) -> None:
    plain = landscape(768, 512)
    marked = await watermarks.embedded(encoded(plain, "PNG"), OutputFormat.PNG)
    picture = Image.open(io.BytesIO(marked)).convert("RGB")

    assert await watermarks.looked_for(marked) == FOUND
    assert await watermarks.looked_for(encoded(picture, "JPEG", quality=60)) == FOUND
    assert await watermarks.looked_for(encoded(picture.resize((384, 256)), "PNG")) == FOUND
    assert await watermarks.looked_for(encoded(plain, "PNG")) == ABSENT
    squares = ImageStat.Stat(ImageChops.difference(plain, picture)).sum2
    assert sum(squares) / (3 * 768 * 512) < 255**2 / 10**4  # a PSNR of 40


@pytest.mark.parametrize("kind", OutputFormat)
async def test_a_picture_keeps_its_format_size_and_transparency(watermarks: Watermarks, kind: OutputFormat) -> None:
    plain = painting(96, 64).convert("RGB" if kind is OutputFormat.JPEG else "RGBA")
    if kind is not OutputFormat.JPEG:
        plain.putalpha(Image.linear_gradient("L").resize((96, 64)))

    made = Image.open(io.BytesIO(await watermarks.embedded(encoded(plain, kind.value.upper()), kind)))

    assert (made.format, made.size, made.mode) == (kind.value.upper(), plain.size, plain.mode)
    if kind is OutputFormat.PNG:
        assert made.getchannel("A").tobytes() == plain.getchannel("A").tobytes()


async def test_what_cannot_be_decoded_gets_no_watermark_and_has_none(watermarks: Watermarks) -> None:
    cut = encoded(painting(64, 64), "PNG")[:200]

    with pytest.raises(UnmarkedError):
        await watermarks.embedded(cut, OutputFormat.PNG)
    found = await watermarks.looked_for(cut)
    assert (found.state, len(found.problems)) == (MarkState.ABSENT, 1)
