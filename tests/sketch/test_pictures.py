"""What pictures of ``sketch`` show, and what its edits do to pixels."""

from functools import cache

import pytest
from PIL import Image as Pillow
from PIL import ImageChops, ImageFilter, ImageStat

import sketch
from sketch.colours import parse, repaint


@cache
def drawn(prompt: str, seed: int = 3) -> Pillow.Image:
    return sketch.paint(prompt, (1024, 1024), seed).picture


def edited(instruction: str, *pictures: Pillow.Image, ratio: tuple[int, int] | None = None) -> Pillow.Image:
    return sketch.edit(instruction, pictures, ratio, 1).picture


def means(picture: Pillow.Image) -> list[float]:
    return ImageStat.Stat(picture.convert("RGB")).mean


def light(picture: Pillow.Image) -> float:
    return ImageStat.Stat(picture.convert("L")).mean[0]


def warmth(picture: Pillow.Image) -> float:
    return means(picture)[0] - means(picture)[2]


def spread(picture: Pillow.Image) -> float:
    return ImageStat.Stat(picture.convert("L")).stddev[0]


def saturation(picture: Pillow.Image) -> float:
    return ImageStat.Stat(picture.convert("HSV")).mean[1]


def share(picture: Pillow.Image, strong: int, weak: int) -> float:
    """How much of the picture has clearly more of one channel than of another."""
    bands = picture.convert("RGB").split()
    more = ImageChops.subtract(bands[strong], bands[weak]).point(lambda value: 255 if value > 60 else 0)
    return ImageStat.Stat(more).mean[0] / 255


def sharpness(picture: Pillow.Image, box: tuple[int, int, int, int]) -> float:
    return ImageStat.Stat(picture.convert("L").crop(box).filter(ImageFilter.FIND_EDGES)).stddev[0]


@pytest.fixture(scope="module")
def photo() -> Pillow.Image:
    return drawn("a cat in a meadow")


def test_a_red_apple_is_red_and_a_green_one_green() -> None:
    red, green = drawn("a red apple"), drawn("a green apple")
    assert share(red, 0, 1) > 0.06 > share(green, 0, 1)
    assert share(green, 1, 0) > share(red, 1, 0)


@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_colours_are_painted_on_things(colour: str, channel: int) -> None:
    other_colour = "blue" if colour == "red" else "red"
    painted, different = drawn(f"a {colour} car in the snow"), drawn(f"a {other_colour} car in the snow")
    others = [each for each in range(3) if each != channel]
    assert all(share(painted, channel, other) > share(different, channel, other) + 0.01 for other in others)


def test_repainting_leaves_other_hues() -> None:
    assert repaint('fill="#ff0000" fill="#00ff00"', 0, "#0000ff").endswith('"#00ff00"')
    _, _, blue = parse(repaint('"#ff0000"', 0, "#0000ff")[1:-1])
    assert blue > 200


def test_night_is_darker_than_noon() -> None:
    assert light(drawn("a house at night")) < 0.6 * light(drawn("a house at noon"))


@pytest.mark.parametrize("weather", ["in the rain", "in the snow", "in the fog", "in a storm"])
def test_weather_shows(weather: str) -> None:
    assert means(ImageChops.difference(drawn("a house"), drawn(f"a house {weather}"))) > [4, 4, 4]


def test_black_and_white_has_no_colours() -> None:
    red, green, blue = drawn("a parrot in the jungle, black and white").convert("RGB").split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


@pytest.mark.parametrize(
    "prompt",
    [
        "xyzzy",
        "",
        "red",
        "🦄" * 50,
        "cat " * 200,
        '<svg onload=alert(1)> & "quotes"',
        "a cat on a cat on a cat",
        "100 dogs",
    ],
)
def test_odd_prompts_make_pictures(prompt: str) -> None:
    assert drawn(prompt).size == (1024, 1024)


@pytest.mark.parametrize(
    "place",
    [
        "sea",
        "city",
        "space",
        "room",
        "forest",
        "desert",
        "underwater",
        "clouds",
        "street",
        "savanna",
        "village",
        "farm",
        "jungle",
        "garden",
        "mars",
        "lake",
        "arctic",
    ],
)
def test_places_differ(place: str) -> None:
    assert means(ImageChops.difference(drawn("a dog"), drawn(f"a dog, {place}"))) > [8, 8, 8]


def test_greyscale_makes_all_channels_equal(photo: Pillow.Image) -> None:
    red, green, blue = edited("make it black and white", photo).convert("RGB").split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_warmer_and_cooler_shift_red_against_blue(photo: Pillow.Image) -> None:
    assert warmth(edited("warmer", photo)) > warmth(photo) + 10
    assert warmth(edited("cooler", photo)) < warmth(photo) - 10
    assert warmth(edited("much warmer", photo)) > warmth(edited("slightly warmer", photo)) + 5


def test_darker_and_brighter_change_the_light(photo: Pillow.Image) -> None:
    assert light(edited("darker", photo)) < light(photo) - 15
    assert light(edited("brighter", photo)) > light(photo) + 10


def test_contrast_and_saturation_spread_tones(photo: Pillow.Image) -> None:
    assert spread(edited("more contrast", photo)) > spread(photo) > spread(edited("less contrast", photo))
    assert saturation(edited("more saturated", photo)) > saturation(photo) > saturation(edited("less saturated", photo))


def test_blurring_the_background_keeps_the_middle_sharper(photo: Pillow.Image) -> None:
    detailed = ImageChops.add(
        photo.convert("RGB"), Pillow.merge("RGB", [Pillow.effect_noise(photo.size, 60)] * 3), 1, -128
    )
    result = edited("blur the background", detailed)
    wide, high = result.size
    middle = (wide // 2 - 60, high * 2 // 3 - 60, wide // 2 + 60, high * 2 // 3 + 60)
    corner = (0, 0, 120, 120)
    assert sharpness(result, corner) < 0.4 * sharpness(detailed, corner)
    assert sharpness(result, middle) > 2 * sharpness(result, corner)


def test_adding_a_thing_at_the_top_left_changes_that_part_only(photo: Pillow.Image) -> None:
    result = edited("add a red balloon in the top left corner", photo)
    box = ImageChops.difference(result.convert("RGB"), photo.convert("RGB")).getbbox()
    assert box is not None
    assert box[2] < photo.width * 0.5
    assert box[3] < photo.height * 0.5
    assert share(result.crop(box), 0, 1) > 0.3


def test_side_by_side_is_as_wide_as_both(photo: Pillow.Image) -> None:
    other = drawn("a dog").resize((512, 1024))
    result = edited("put these two side by side", photo, other)
    assert result.height == 1024
    assert 1024 + 512 < result.width < (1024 + 512) * 1.03


def test_a_stack_is_as_high_as_both_and_a_collage_has_two_rows(photo: Pillow.Image) -> None:
    assert edited("stack them", photo, photo).height > 2 * 1024
    collage = edited("make a collage", photo, photo, photo, photo)
    assert collage.width > 2 * 1024
    assert collage.height > 2 * 1024


def test_flips_and_quarter_turns_lose_nothing(photo: Pillow.Image) -> None:
    assert edited("mirror it", edited("flip horizontally", photo)).tobytes() == photo.convert("RGB").tobytes()
    wide = photo.resize((300, 200))
    turned = edited("rotate 90 degrees", wide)
    assert turned.size == (200, 300)
    assert edited("rotate 90 degrees counterclockwise", turned).tobytes() == wide.convert("RGB").tobytes()


def test_a_free_turn_agrees_with_pillow(photo: Pillow.Image) -> None:
    turned = edited("rotate 20 degrees", photo)
    expected = photo.convert("RGB").rotate(-20, Pillow.Resampling.BICUBIC, expand=True, fillcolor="white")
    assert abs(turned.width - expected.width) <= 2
    assert max(means(ImageChops.difference(turned.convert("RGB"), expected.resize(turned.size)))) < 6


def test_a_new_sky_changes_the_top_and_not_the_ground(photo: Pillow.Image) -> None:
    result = edited("replace the sky with a starry night sky", photo)
    high = photo.height
    assert light(result.crop((0, 0, 1024, high // 5))) < 0.5 * light(photo.crop((0, 0, 1024, high // 5)))
    assert light(edited("make it night", photo)) < 0.6 * light(photo)


def test_removing_the_background_leaves_the_subject() -> None:
    alpha = edited("remove the background", drawn("a tomato")).getchannel("A")
    wide, high = alpha.size
    assert ImageStat.Stat(alpha.crop((0, 0, wide, high // 10))).mean[0] < 20
    assert alpha.getextrema()[1] == 255


def test_a_new_background_has_the_colour_asked_for() -> None:
    result = edited("change the background to yellow", drawn("a tomato"))
    red, green, blue = means(result.crop((0, 0, 200, 60)))
    assert min(red, green) > blue + 80


def test_rain_snow_and_fog_are_laid_over(photo: Pillow.Image) -> None:
    for weather in ("add rain", "make it snow", "add fog"):
        assert max(means(ImageChops.difference(edited(weather, photo).convert("RGB"), photo.convert("RGB")))) > 2


def test_frames_tints_and_corners(photo: Pillow.Image) -> None:
    assert edited("add a red border", photo).getpixel((3, 500)) == (224, 49, 49)
    assert edited("rounded corners", photo).getpixel((0, 0))[3] == 0  # type: ignore[index]
    blue = means(edited("tint it blue", photo))
    assert blue[2] > blue[0] + 20


def test_pixelating_inverting_and_posterizing(photo: Pillow.Image) -> None:
    assert len(edited("pixelate", photo).convert("RGB").getcolors(2**20) or []) < 5000
    assert len(edited("posterize", photo).convert("RGB").getcolors(2**20) or []) <= 64
    twice = edited("invert the colours", edited("invert the colours", photo))
    assert twice.convert("RGB").tobytes() == photo.convert("RGB").tobytes()


@pytest.mark.parametrize(
    "instruction", ["warmer", "add a cat", "blur the background", "sepia", "make it night", "vignette"]
)
def test_transparency_is_kept(instruction: str) -> None:
    picture = Pillow.new("RGBA", (200, 160), (40, 90, 200, 0))
    picture.paste((200, 60, 40, 255), (60, 100, 140, 150))
    result = edited(instruction, picture)
    assert result.mode == "RGBA"
    assert result.getpixel((2, 2))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("ratio", "size"), [((16, 9), (1024, 576)), ((9, 16), (576, 1024)), ((1, 1), (1024, 1024))])
def test_another_ratio_cuts_around_the_middle(
    photo: Pillow.Image, ratio: tuple[int, int], size: tuple[int, int]
) -> None:
    assert edited("warmer", photo, ratio=ratio).size == size


def test_pictures_put_together_are_not_cut(photo: Pillow.Image) -> None:
    result = edited("side by side", photo, photo, ratio=(1, 1))
    assert result.width == result.height > 2 * 1024
    assert result.getpixel((5, 5)) == (255, 255, 255)


def test_pictures_of_one_pixel_can_be_edited() -> None:
    dot = Pillow.new("RGB", (1, 1), "red")
    for instruction in (
        "warmer",
        "blur the background",
        "add a cat",
        "make it night",
        "rotate 30",
        "watercolour",
        "oil painting",
        "pencil sketch",
        "pixelate",
        "vintage",
        "zoom in",
        "rounded corners",
        "border",
        "add fog",
    ):
        assert edited(instruction, dot).width >= 1
