"""Which pictures are kept, which are refused and why, and what a re-encoding keeps."""

import asyncio
import io
import os
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from limner.domain import limits
from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.imaging import jpeg as jpeg_container
from limner.imaging import png as png_container
from limner.imaging.codec import SMALL_PIXELS, PillowCodec
from limner.service.ports import InvalidPictureError, PictureInfo, ReadyPicture
from tests import phones, pictures

PNG, JPEG, WEBP = OutputFormat.PNG, OutputFormat.JPEG, OutputFormat.WEBP

TEXT = pictures.chunk(b"tEXt", b"a\0b")

GOOD = {
    "png": (pictures.png(5, 7), PNG, 5, 7),
    "png of one pixel": (pictures.png(1, 1), PNG, 1, 1),
    "palette png of one bit": (pictures.png(9, 3, colour=pictures.PALETTE, depth=1), PNG, 9, 3),
    "grey png of two bits": (pictures.png(5, 3, colour=pictures.GREY, depth=2), PNG, 5, 3),
    "grey png of 16 bits": (pictures.png(5, 3, colour=pictures.GREY, depth=16), PNG, 5, 3),
    "png with alpha of 16 bits": (pictures.png(5, 3, colour=pictures.RGBA, depth=16), PNG, 5, 3),
    "grey png with alpha": (pictures.png(5, 3, colour=pictures.GREY_ALPHA), PNG, 5, 3),
    "png with text": (pictures.png(before=TEXT, after=pictures.chunk(b"tIME", bytes(7))), PNG, 8, 8),
    "interlaced png": (
        pictures.PNG_SIGNATURE
        + pictures.image_header(3, 2, colour=pictures.GREY, interlace=1)
        + pictures.chunk(b"IDAT", zlib.compress(b"\0\1" + b"\0\2" + b"\0\3" + b"\0\4\5\6"))
        + pictures.chunk(b"IEND"),
        PNG, 3, 2,
    ),
    "jpeg": (pictures.jpeg(33, 17), JPEG, 33, 17),
    "progressive jpeg": (pictures.jpeg(33, 17, progressive=True), JPEG, 33, 17),
    "jpeg with restarts": (pictures.jpeg(99, 50, restart_marker_blocks=1), JPEG, 99, 50),
    "grey jpeg": (pictures.encoded(pictures.noise(9, 9, "L"), "JPEG"), JPEG, 9, 9),
    "cmyk jpeg": (pictures.encoded(pictures.noise(9, 9, "CMYK"), "JPEG"), JPEG, 9, 9),
    "jpeg of one pixel": (pictures.jpeg(1, 1), JPEG, 1, 1),
    "lossy webp": (pictures.webp(33, 17), WEBP, 33, 17),
    "lossless webp": (pictures.webp(33, 17, lossless=True), WEBP, 33, 17),
    "webp with alpha": (pictures.encoded(pictures.noise(33, 17, "RGBA"), "WEBP"), WEBP, 33, 17),
    "webp with exif": (pictures.webp(33, 17, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"), WEBP, 33, 17),
}  # fmt: skip

SMALL = pictures.jpeg(99, 99)

BAD = {
    "nothing": (b"", "empty"),
    "svg": (pictures.svg(), "an SVG"),
    "svg without a prologue": (b"<svg></svg>", "an SVG"),
    "gif": (pictures.gif(), "a GIF"),
    "heic without a picture": (b"\0\0\0\x18ftypheic" + bytes(20), "damaged"),
    "avif without a picture": (b"\0\0\0\x18ftypavif" + bytes(20), "damaged"),
    "video": (b"\0\0\0\x18ftypisom" + bytes(20), "a video"),
    "tiff": (pictures.encoded(pictures.noise(), "TIFF"), "a TIFF"),
    "bmp": (pictures.encoded(pictures.noise(), "BMP"), "a BMP"),
    "icon": (pictures.encoded(pictures.noise(16, 16), "ICO"), "an icon"),
    "pdf": (b"%PDF-1.7\n", "a PDF"),
    "html": (b"<!DOCTYPE html><html></html>", "an HTML page"),
    "archive": (pictures.zip_archive(), "an archive"),
    "json": (b'{"image": "..."}', "JSON"),
    "base64": (b"iVBORw0KGgo" * 10, "Base64"),
    "random bytes": (b"\x01\x02\x03\x04" * 20, "no picture that is known"),
    "signature alone": (pictures.PNG_SIGNATURE, "too early"),
    "png without pixels": (pictures.PNG_SIGNATURE + pictures.image_header(8, 8) + pictures.chunk(b"IEND"), "damaged"),
    "png of size zero": (pictures.png(0, 8), "no pixels"),
    "png with a wrong checksum": (pictures.png()[:-1] + b"\0", "checksum"),
    "png with an odd depth": (pictures.png(depth=4), "damaged"),
    "png with an unknown critical chunk": (pictures.png(before=pictures.chunk(b"EVIL", b"")), "damaged"),
    "png with two headers": (pictures.png(before=pictures.image_header(9, 9)), "damaged"),
    "png with an unknown filter": (pictures.png(pixels=(b"\x05" + bytes(24)) * 8), "damaged"),
    "png with too few rows": (pictures.png(pixels=bytes(25 * 7)), "too early"),
    "png with two rows too many": (pictures.png(pixels=bytes(25 * 10)), "more data"),
    "png with half a row too many": (pictures.png(pixels=bytes(25 * 8 + 12)), "more data"),
    "png with bytes behind its pixels": (pictures.png(idat=zlib.compress(bytes(25 * 8)) + b"evil"), "more data"),
    "png with half a stream": (pictures.png(idat=zlib.compress((b"\0" + os.urandom(24)) * 8)[:-9]), "too early"),
    "png with a broken stream": (pictures.png(idat=b"evil" * 10), "damaged"),
    "png in too many pieces": (pictures.png(before=TEXT * png_container.MAX_CHUNKS), "pieces"),
    "palette png without palette": (
        pictures.PNG_SIGNATURE + pictures.image_header(1, 1, colour=3)
        + pictures.chunk(b"IDAT", zlib.compress(bytes(2))) + pictures.chunk(b"IEND"),
        "damaged",
    ),
    "dimension bomb": (pictures.dimension_bomb(), "60000x60000"),
    "too many pixels": (pictures.dimension_bomb(8_001, 8_000), "megapixels"),
    "too long a side": (pictures.dimension_bomb(limits.MAX_EDGE_PIXELS + 1, 1), "no side"),
    "inflating bomb": (pictures.inflating_bomb(), "more data"),
    "text bomb": (pictures.text_bomb(b"zTXt"), "too long"),
    "international text bomb": (pictures.text_bomb(b"iTXt"), "too long"),
    "profile bomb": (pictures.text_bomb(b"iCCP"), "too long"),
    "many text bombs": (
        pictures.png(before=pictures.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20))) * 9), "too long",
    ),
    "animated png": (pictures.apng(), "animated"),
    "animated webp": (pictures.animated_webp(), "animated"),
    "truncated png": (pictures.truncated(pictures.png(99, 99)), "too early"),
    "truncated jpeg": (pictures.truncated(SMALL, 0.7), "too early"),
    "truncated webp": (pictures.truncated(pictures.webp(99, 99)), "too early"),
    "jpeg without its end": (SMALL[:-2], "too early"),
    "jpeg without pixels": (b"\xff\xd8\xff\xd9", "damaged"),
    "jpeg of size zero": (b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, 0, 8, 1) + b"\1\x11\0", "no pixels"),
    "huge jpeg": (b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, 60000, 60000, 1) + b"\1\x11\0", "no side"),
    "webp with other bytes inside": (b"RIFF" + struct.pack("<I", 12) + b"WEBPEVIL" + bytes(4), "damaged"),
}  # fmt: skip


@pytest.fixture
def codec() -> Iterator[PillowCodec]:
    codec = PillowCodec()
    yield codec
    codec.close()


@pytest.mark.parametrize("name", GOOD)
async def test_a_whole_still_picture_is_recognised(codec: PillowCodec, name: str) -> None:
    data, format_, width, height = GOOD[name]
    assert await codec.received(data) == ReadyPicture(data, PictureInfo(format=format_, width=width, height=height))


@pytest.mark.parametrize("name", BAD)
async def test_anything_else_is_refused_in_plain_words(codec: PillowCodec, name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(InvalidPictureError, match=reason) as refusal:
        await codec.received(data)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize("progressive", [False, True])
async def test_a_jpeg_with_more_scans_than_any_picture_needs_is_refused(codec: PillowCodec, progressive: bool) -> None:
    data = pictures.jpeg(progressive=progressive)
    scan = data.index(b"\xff\xda")
    bomb = data[:-2] + data[scan:-2] * jpeg_container.MAX_SCANS + data[-2:]
    with pytest.raises(InvalidPictureError, match="too many times"):
        await codec.received(bomb)


@pytest.mark.parametrize(
    "data",
    [pictures.jpeg(2200, 2200, progressive=True), pictures.webp(1500, 1200), pictures.webp(1500, 1200, lossless=True)],
    ids=["progressive jpeg", "lossy webp", "lossless webp"],
)
async def test_a_large_picture_is_looked_at_in_a_process_of_its_own(codec: PillowCodec, data: bytes) -> None:
    info = (await codec.received(data)).info
    assert info.width * info.height > SMALL_PIXELS


@pytest.mark.parametrize("lossless", [False, True])
async def test_a_large_picture_that_its_own_process_cannot_decode_is_refused(
    codec: PillowCodec, lossless: bool
) -> None:
    data = bytearray(pictures.webp(1500, 1200, lossless=lossless))
    data[30:2000] = b"\xff" * 1970
    with pytest.raises(InvalidPictureError, match="damaged"):
        await codec.received(bytes(data))


async def test_calls_beyond_the_queue_are_refused_at_once() -> None:
    codec = PillowCodec(threads=1, queue=1)
    data = pictures.png(2000, 2000)
    outcomes = await asyncio.gather(*(codec.received(data) for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ReadyPicture] * 2 + [OverloadedError] * 3
    codec.close()


async def test_no_warning_of_pillow_comes_through(codec: PillowCodec) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await codec.received(pictures.png(9_500, 6_500, colour=pictures.GREY))
    assert not caught


PLAIN = b"".join(b"\0" + b"\xc8\x64\x32" * 8 for _ in range(8))


def _wrong(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


UNLIKE_VIEWERS = {
    "a spare row": pictures.png(pixels=PLAIN + PLAIN[:25]),
    "bytes behind the pixels": pictures.png(idat=zlib.compress(PLAIN) + b"spare"),
    "a wrong checksum of the pixels": _wrong(pictures.png(pixels=PLAIN), -13),
    "a wrong checksum of a text": _wrong(pictures.png(pixels=PLAIN, before=TEXT), 33 + len(TEXT) - 1),
    "a wrong checksum of the head": _wrong(pictures.png(pixels=PLAIN), 32),
    "a wrong checksum within the pixels": pictures.png(idat=_wrong(zlib.compress(PLAIN), -1)),
    "no end": pictures.png(pixels=PLAIN)[:-12],
}


TRAILERS = {
    "motion photo": phones.motion_photo(),
    "samsung": phones.samsung(),
    "ultra hdr": phones.ultra_hdr(),
    "several pictures": (pictures.encoded(pictures.noise(), "JPEG"), pictures.multi_picture_jpeg()),
    "jpeg and a line's end": (SMALL, SMALL + b"\n"),
    "png and a line's end": (pictures.png(), pictures.png() + b"\n"),
    "webp and a line's end": (pictures.webp(), pictures.webp() + b"\n"),
    "png and archive": (pictures.png(), pictures.with_zip_behind(pictures.png())),
    "jpeg and archive": (SMALL, pictures.with_zip_behind(SMALL)),
    "webp and archive": (pictures.webp(), pictures.with_zip_behind(pictures.webp())),
    "jpeg and archive and a false end": (SMALL, pictures.with_zip_behind(SMALL) + b"\xff\xd9"),
    "png and page": (pictures.png(), pictures.with_html_behind(pictures.png())),
}


class TestReceived:
    """What phones and editors make."""

    @pytest.mark.parametrize("name", [name for name in TRAILERS if name != "several pictures"])
    async def test_what_follows_the_first_picture_is_not_kept(self, codec: PillowCodec, name: str) -> None:
        still, file = TRAILERS[name]
        assert (await codec.received(file)).data == still

    async def test_of_several_pictures_the_first_is_kept(self, codec: PillowCodec) -> None:
        kept = (await codec.received(pictures.multi_picture_jpeg())).data
        assert kept.count(b"\xff\xd8\xff") == 1
        assert pictures.decoded(kept).tobytes() == pictures.decoded(pictures.multi_picture_jpeg()).tobytes()

    @pytest.mark.parametrize(
        "data",
        [
            phones.with_segments(phones.ultra_hdr()[1], phones.manifest()),
            pictures.png(before=pictures.chunk(b"caBX", b"manifest")) + b"signed too",
        ],
        ids=["jpeg", "png"],
    )
    async def test_a_file_whose_manifest_signs_the_whole_is_kept_whole(self, codec: PillowCodec, data: bytes) -> None:
        assert (await codec.received(data)).data == data

    @pytest.mark.parametrize("make", [phones.heic, phones.avif])
    async def test_heic_and_avif_become_upright_jpegs_without_exif(
        self, codec: PillowCodec, make: Callable[..., bytes]
    ) -> None:
        ready = await codec.received(make(96, 64, turn=6))
        picture = pictures.decoded(ready.data)
        assert ready.info == PictureInfo(format=JPEG, width=64, height=96)
        assert (picture.format, picture.size, len(picture.getexif())) == ("JPEG", (64, 96), 0)
        shown = pictures.painting(96, 64).transpose(Image.Transpose.ROTATE_270)
        assert difference(picture, shown) < 12

    @pytest.mark.parametrize("make", [phones.heic, phones.avif])
    async def test_transparent_heic_and_avif_become_pngs(self, codec: PillowCodec, make: Callable[..., bytes]) -> None:
        ready = await codec.received(make(mode="RGBA"))
        assert (ready.info.format, pictures.decoded(ready.data).mode) == (PNG, "RGBA")

    @pytest.mark.parametrize("make", [phones.heic, phones.avif])
    async def test_a_damaged_heic_or_avif_is_refused(self, codec: PillowCodec, make: Callable[..., bytes]) -> None:
        with pytest.raises(InvalidPictureError):
            await codec.received(pictures.truncated(make(), 0.6))

    @pytest.mark.parametrize("turn", range(1, 9))
    async def test_the_size_is_that_of_the_picture_as_it_is_shown(self, codec: PillowCodec, turn: int) -> None:
        for data in (
            phones.photo(32, 16, turn),
            pictures.webp(32, 16, exif=phones.gps_exif(turn)),
            pictures.encoded(pictures.painting(32, 16), "PNG", exif=phones.gps_exif(turn)),
        ):
            info = (await codec.received(data)).info
            assert (info.width, info.height) == ((32, 16) if turn < 5 else (16, 32))

    @pytest.mark.parametrize("name", phones.ODD_EXIF)
    async def test_odd_exif_values_hide_no_orientation(self, codec: PillowCodec, name: str) -> None:
        ready = await codec.received(phones.with_odd_exif(name))
        assert (ready.info.width, ready.info.height) == (48, 64)
        made = pictures.decoded((await codec.kept(ready.data, PNG)).data)
        assert made.size == (48, 64)
        assert difference(made, pictures.painting(64, 48).transpose(Image.Transpose.ROTATE_270)) < 12


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures' pixels are apart in the mean, 0 to 255."""
    apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(apart).mean) / 3


class TestKept:
    """What was paid for is kept whenever a decoder can show it."""

    @pytest.mark.parametrize("name", GOOD)
    @pytest.mark.parametrize("to", OutputFormat)
    async def test_every_good_picture_becomes_every_format_in_its_size(
        self, codec: PillowCodec, name: str, to: OutputFormat
    ) -> None:
        data, _, width, height = GOOD[name]
        ready = await codec.kept(data, to)
        assert await codec.verify(ready.data) == ready.info == PictureInfo(format=to, width=width, height=height)

    @pytest.mark.parametrize("name", GOOD)
    async def test_a_picture_stays_as_it_is_when_no_format_is_asked_for(self, codec: PillowCodec, name: str) -> None:
        data, format_, width, height = GOOD[name]
        ready = await codec.kept(data, None)
        assert (ready.data, ready.info) == (data, PictureInfo(format=format_, width=width, height=height))

    @pytest.mark.parametrize("name", TRAILERS)
    async def test_a_picture_with_anything_behind_it_is_kept_byte_for_byte(self, codec: PillowCodec, name: str) -> None:
        _, file = TRAILERS[name]
        assert (await codec.kept(file, None)).data == file
        assert (await codec.kept(file, WEBP)).info.format is WEBP

    @pytest.mark.parametrize("name", UNLIKE_VIEWERS)
    async def test_what_viewers_do_not_look_at_costs_no_picture(self, codec: PillowCodec, name: str) -> None:
        data = UNLIKE_VIEWERS[name]
        ready = await codec.kept(data, PNG)
        assert (ready.data, ready.info.width, ready.info.height) == (data, 8, 8)
        shown = pictures.decoded((await codec.kept(data, WEBP)).data)
        assert difference(shown, Image.new("RGB", (8, 8), (200, 100, 50))) < 6

    @pytest.mark.parametrize("file_format", ["AVIF", "GIF", "TIFF", "BMP"])
    @pytest.mark.parametrize("wanted", [None, *OutputFormat])
    async def test_what_is_none_of_our_formats_becomes_what_was_asked(
        self, codec: PillowCodec, file_format: str, wanted: OutputFormat | None
    ) -> None:
        picture = Image.new("RGB", (40, 30), (200, 100, 50))
        ready = await codec.kept(pictures.encoded(picture, file_format), wanted)
        assert ready.info == PictureInfo(format=wanted or PNG, width=40, height=30)
        assert difference(pictures.decoded(ready.data), picture) < 6

    async def test_an_animation_stays_one_and_is_its_first_frame_in_another_format(self, codec: PillowCodec) -> None:
        for data in (pictures.apng(), pictures.animated_webp()):
            assert (await codec.kept(data, None)).data == data
            made = pictures.decoded((await codec.kept(data, JPEG)).data)
            assert difference(made, pictures.noise()) < difference(made, pictures.noise(seed=1))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"<html>Bad gateway</html>",
            pictures.truncated(pictures.png(99, 99)),
            pictures.truncated(SMALL, 0.7),
            pictures.truncated(pictures.webp(99, 99)),
            pictures.dimension_bomb(),
            pictures.truncated(pictures.encoded(pictures.noise(64, 64), "AVIF"), 0.6),
        ],
        ids=["nothing", "page", "half a png", "half a jpeg", "half a webp", "beyond the limits", "half an avif"],
    )
    async def test_what_no_decoder_shows_is_said(self, codec: PillowCodec, data: bytes) -> None:
        with pytest.raises(InvalidPictureError):
            await codec.kept(data, None)

    async def test_a_picture_in_the_asked_format_stays_as_it_is(self, codec: PillowCodec) -> None:
        data = pictures.png(before=TEXT)
        assert (await codec.kept(data, PNG)).data is data

    async def test_a_large_picture_is_converted_in_a_process_of_its_own(self, codec: PillowCodec) -> None:
        data = pictures.encoded(pictures.painting(1600, 1200, "RGBA"), "PNG", compress_level=1)
        made = pictures.decoded((await codec.kept(data, JPEG)).data)
        assert (made.size, made.mode) == ((1600, 1200), "RGB")

    async def test_pixels_come_through_a_lossless_path_unchanged(self, codec: PillowCodec) -> None:
        picture = pictures.noise(20, 30, "RGBA")
        picture.putalpha(255)
        data = pictures.encoded(picture, "WEBP", lossless=True)
        made = (await codec.kept(data, PNG)).data
        assert pictures.decoded(made).convert("RGBA").tobytes() == picture.tobytes()

    async def test_alpha_lies_on_white_in_a_jpeg_and_is_kept_elsewhere(self, codec: PillowCodec) -> None:
        data = pictures.encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 128)), "PNG")
        assert _middle((await codec.kept(data, JPEG)).data) == pytest.approx((254, 127, 127), abs=3)
        assert _middle((await codec.kept(data, WEBP)).data) == pytest.approx((255, 0, 0, 128), abs=6)

    async def test_a_transparent_palette_lies_on_white_in_a_jpeg(self, codec: PillowCodec) -> None:
        picture = Image.new("P", (16, 16), 1)
        picture.putpalette([0, 0, 0, 0, 0, 255])
        data = pictures.encoded(picture, "PNG", transparency=1)
        assert _middle((await codec.kept(data, JPEG)).data) == pytest.approx((255, 255, 255), abs=3)

    @pytest.mark.parametrize("colour", [pictures.GREY, pictures.RGB], ids=["grey", "colour"])
    @pytest.mark.parametrize("level", [0, 0x1234, 0x8000, 0xFFFF])
    async def test_sixteen_bits_become_eight_of_the_same_brightness(
        self, codec: PillowCodec, colour: int, level: int
    ) -> None:
        channels = 3 if colour == pictures.RGB else 1
        pixels = b"".join(b"\0" + struct.pack(f">{8 * channels}H", *[level] * 8 * channels) for _ in range(8))
        data = pictures.png(colour=colour, depth=16, pixels=pixels)
        made = Image.open(io.BytesIO((await codec.kept(data, JPEG)).data)).convert("L")
        assert _middle(pictures.encoded(made, "PNG")) == pytest.approx(level / 257, abs=1.5)

    async def test_the_colour_profile_is_kept(self, codec: PillowCodec) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = pictures.jpeg(icc_profile=profile)
        for to in (PNG, WEBP):
            assert pictures.decoded((await codec.kept(data, to)).data).info["icc_profile"] == profile

    async def test_a_profile_of_other_pixels_than_the_results_is_dropped(self, codec: PillowCodec) -> None:
        profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        profile[16:20] = b"CMYK"
        data = pictures.encoded(pictures.noise(mode="CMYK"), "JPEG", icc_profile=bytes(profile))
        assert "icc_profile" not in pictures.decoded((await codec.kept(data, PNG)).data).info

    async def test_inks_of_a_jpeg_become_colours(self, codec: PillowCodec) -> None:
        data = pictures.encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
        assert _middle((await codec.kept(data, PNG)).data) == pytest.approx((255, 0, 0), abs=6)

    async def test_a_turned_photograph_is_set_upright_and_loses_its_exif(self, codec: PillowCodec) -> None:
        made = pictures.decoded((await codec.kept(phones.photo(32, 16, turn=6), PNG)).data)
        assert made.size == (16, 32)
        assert not made.getexif()

    @pytest.mark.parametrize("make", [pictures.png, pictures.jpeg])
    async def test_a_picture_too_long_for_a_webp_is_kept_as_it_came(
        self, codec: PillowCodec, make: Callable[..., bytes]
    ) -> None:
        data = make(limits.MAX_EDGE_PIXELS, 1)
        assert (await codec.kept(data, WEBP)).data == data


class TestPrepared:
    """What a provider gets."""

    @pytest.mark.parametrize("name", ["png", "jpeg", "lossy webp", "webp with alpha", "palette png of one bit"])
    async def test_a_picture_that_tells_nothing_goes_as_it_is(self, codec: PillowCodec, name: str) -> None:
        assert await codec.prepared(GOOD[name][0]) is None

    @pytest.mark.parametrize(
        "data",
        [
            phones.photo(),
            phones.photo(progressive=True),
            phones.ultra_hdr()[1],
            phones.motion_photo()[1],
            pictures.encoded(pictures.painting(96, 64), "PNG", exif=phones.gps_exif()),
            pictures.webp(96, 64, exif=phones.gps_exif(), xmp=b"<x:xmpmeta>52.5 N</x:xmpmeta>"),
            pictures.webp(96, 64, lossless=True, exif=phones.gps_exif()),
        ],
        ids=["jpeg", "progressive", "ultra hdr", "motion photo", "png", "webp", "lossless webp"],
    )
    async def test_places_and_what_follows_are_taken_away_and_no_pixel_changes(
        self, codec: PillowCodec, data: bytes
    ) -> None:
        ready = await codec.prepared(data)
        assert ready is not None
        assert len(ready.data) < len(data)
        assert (await codec.received(ready.data)) == ready
        picture = pictures.decoded(ready.data)
        assert not picture.getexif() and "xmp" not in picture.info
        assert picture.tobytes() == pictures.decoded(data).tobytes()

    async def test_a_picture_on_its_side_is_set_upright(self, codec: PillowCodec) -> None:
        for data in (phones.photo(96, 64, turn=6), pictures.webp(96, 64, exif=phones.gps_exif(6))):
            ready = await codec.prepared(data)
            assert ready is not None
            picture = pictures.decoded(ready.data)
            assert (picture.size, ready.info.width, ready.info.height) == ((64, 96), 64, 96)
            assert not picture.getexif()
            assert difference(picture, pictures.painting(96, 64).transpose(Image.Transpose.ROTATE_270)) < 12

    async def test_a_large_picture_is_prepared_in_a_process_of_its_own(self, codec: PillowCodec) -> None:
        ready = await codec.prepared(phones.photo(1600, 1200, turn=3))
        assert ready is not None
        assert pictures.decoded(ready.data).size == (1600, 1200)


def _middle(data: bytes) -> object:
    picture = pictures.decoded(data)
    return picture.getpixel((picture.width // 2, picture.height // 2))


async def test_a_look_at_the_largest_png_takes_little_memory(codec: PillowCodec) -> None:
    data = pictures.png(8_000, 8_000, colour=pictures.RGBA)
    await codec.received(pictures.png())
    tracemalloc.start()
    await codec.received(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * limits.MIB


class TestEventLoop:
    """The loop goes on turning meanwhile. The bound is for a busy machine; on a quiet one it is milliseconds."""

    async def test_the_loop_turns_while_the_largest_png_is_verified(self, codec: PillowCodec) -> None:
        data = pictures.png(8_000, 8_000, colour=pictures.RGBA)
        async with heartbeat() as beats:
            await codec.received(data)
        assert max(beats) < 0.25
        assert len(beats) > 20


@asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Yield the times between turns of the loop, in seconds."""
    beats: list[float] = []

    async def beat() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            beats.append(time.perf_counter() - start)

    beating = asyncio.ensure_future(beat())
    try:
        yield beats
    finally:
        beating.cancel()


SEEDS = [data for data, *_ in GOOD.values()]
STARTS = [b"", pictures.PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8 "]
KINDS = [b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"gAMA", b"pHYs", b"sRGB", b"cHRM"]
MUTATION = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.sampled_from(SEEDS), mutations=st.lists(MUTATION, min_size=1, max_size=4), kept=st.floats(0, 1))
async def test_damaged_pictures_are_refused_or_of_the_size_that_a_decoder_sees(
    codec: PillowCodec, data: bytes, mutations: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(data)
    for place, value in mutations:
        damaged[int(place * len(data))] = value
    if kept < 0.3:
        del damaged[int(kept / 0.3 * len(damaged)) :]
    try:
        ready = await codec.received(bytes(damaged))
    except InvalidPictureError:
        return
    assert sorted(pictures.decoded(ready.data).size) == sorted((ready.info.width, ready.info.height))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.sampled_from(SEEDS), share=st.floats(0, 1, exclude_max=True))
async def test_a_picture_cut_short_is_never_taken(codec: PillowCodec, data: bytes, share: float) -> None:
    with pytest.raises(InvalidPictureError):
        await codec.received(pictures.truncated(data, share))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.sampled_from(SEEDS), more=st.binary(min_size=1, max_size=64))
async def test_of_a_picture_with_anything_behind_it_the_picture_is_taken(
    codec: PillowCodec, data: bytes, more: bytes
) -> None:
    assert (await codec.received(data + more)).data == data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from(STARTS), rest=st.binary())
async def test_random_bytes_raise_nothing_but_a_refusal(codec: PillowCodec, start: bytes, rest: bytes) -> None:
    with pytest.raises(InvalidPictureError):
        await codec.received(start + rest)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    content=st.binary(max_size=64),
    colour=st.sampled_from([0, 2, 3, 4, 6]),
)
async def test_a_png_with_a_random_chunk_is_refused_or_can_be_converted(
    codec: PillowCodec, kind: bytes, content: bytes, colour: int
) -> None:
    data = pictures.png(colour=colour, before=pictures.chunk(kind, content))
    try:
        await codec.received(data)
    except InvalidPictureError:
        return
    assert (await codec.kept(data, JPEG)).info.width == 8


async def test_one_row_too_many_of_an_upload_is_left_out(codec: PillowCodec) -> None:
    whole, spare = pictures.png(), pictures.png(pixels=bytes(25 * 9))

    ready = await codec.received(spare)

    assert (ready.info.width, ready.info.height) == (8, 8)
    assert ready.data != spare
    assert (await codec.received(ready.data)).data == ready.data
    assert (await codec.received(whole)).data == whole
