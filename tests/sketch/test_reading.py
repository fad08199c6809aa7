"""What ``sketch`` understands of prompts and instructions."""

import pytest

from sketch import instructions, natures, vocabulary
from sketch.editing import COLOURINGS, JOINTS, SHAPES
from sketch.icons import IconLibrary, singulars
from sketch.instructions import understand
from sketch.land import PLACES
from sketch.light import LIGHTS
from sketch.reading import read
from sketch.scene import compose
from sketch.telling import tell_edit, tell_reading
from tools.demo import EXAMPLE_PROMPT, INSTRUCTION, PROMPT


@pytest.fixture(scope="module")
def icons() -> IconLibrary:
    return IconLibrary()


@pytest.mark.parametrize(
    ("prompt", "things"),
    [
        ("a red apple", [("red-apple", 1)]),
        ("three cats", [("cat", 3)]),
        ("12 sheep and 2 wolves", [("ewe", 12), ("wolf", 2)]),
        ("a couple of mice", [("mouse", 2)]),
        ("children with balloons", [("child", 3), ("balloon", 3)]),
        ("a bowl of ramen", [("steaming-bowl", 1)]),
        ("🐱 and 🍕", [("cat-face", 1), ("pizza", 1)]),
        ("hot air balloon", [("hot-air-balloon", 1)]),
        ("a dog, no cats", [("dog", 1)]),
        ("fishing", []),
    ],
)
def test_nouns_become_icons_with_counts(icons: IconLibrary, prompt: str, things: list[tuple[str, int]]) -> None:
    assert [(thing.icon.name, thing.count) for thing in read(prompt, icons).things] == things


@pytest.mark.parametrize(
    ("prompt", "relation"),
    [
        ("a cat on a chair", ("on", "chair")),
        ("a cat under an umbrella", ("under", "umbrella")),
        ("a cat to the left of a house", ("left", "house")),
        ("a cat in front of a castle", ("before", "castle")),
    ],
)
def test_prepositions_become_relations(icons: IconLibrary, prompt: str, relation: tuple[str, str]) -> None:
    cat, other = read(prompt, icons).things
    assert (cat.relation, other.icon.name) == relation
    assert cat.other == 1


def test_adjectives_belong_to_the_next_noun(icons: IconLibrary) -> None:
    car, house = read("a big dark blue car and a tiny yellow house", icons).things
    assert car.colour < "#2f78e0"
    assert car.size > 1 > house.size
    assert house.colour == vocabulary.COLOURS["yellow"]


@pytest.mark.parametrize(
    ("prompt", "setting", "time", "weather", "style"),
    [
        ("a boat on the sea at sunset", "sea", "sunset", "", ""),
        ("snowy forest at night, watercolor", "forest", "night", "snow", "watercolour"),
        ("black and white photo of a foggy city", "city", "", "fog", "mono"),
        ("an astronaut on the moon", "lunar", "", "", ""),
    ],
)
def test_moods_are_read(icons: IconLibrary, prompt: str, setting: str, time: str, weather: str, style: str) -> None:
    reading = read(prompt, icons)
    assert (reading.setting, reading.time, reading.weather, reading.style) == (setting, time, weather, style)


def test_unknown_words_are_told_and_the_picture_is_abstract(icons: IconLibrary) -> None:
    reading = read("majestic qwertz", icons)
    assert reading.unread == ["majestic", "qwertz"]
    assert compose(reading, (800, 600), 1).setting == "abstract"
    assert "Not understood: majestic, qwertz." in tell_reading(reading)


@pytest.mark.parametrize(
    "prompt",
    [
        "Ein Hund und eine Katze in einem gemütlichen Zimmer",
        "Ein Boot auf dem See, im Hintergrund die Alpen",
        "un renard roux dans la neige à l'aube",
        "un gato durmiendo en un sillón",
        "кот спит на диване",
        "雪の中の赤い狐",
    ],
)
def test_a_prompt_in_another_language_gives_an_abstract_picture_and_says_so(icons: IconLibrary, prompt: str) -> None:
    reading = read(prompt, icons)
    assert reading.things == []
    assert compose(reading, (800, 600), 1).setting == "abstract"
    assert "abstract composition" in tell_reading(reading)
    assert f"Not understood: {reading.unread[0]}" in tell_reading(reading)
    assert "Words used" not in tell_reading(reading)


def test_emojis_are_drawn_whatever_the_language(icons: IconLibrary) -> None:
    reading = read("Ein 🐱 auf einem Stuhl", icons)
    assert [thing.icon.name for thing in reading.things] == ["cat-face"]
    assert reading.unread == ["ein", "auf", "einem", "stuhl"]


def test_english_with_words_from_elsewhere_is_english(icons: IconLibrary) -> None:
    reading = read("a café de la plage with a red piñata and a cat", icons)
    assert reading.setting == "room"
    assert [thing.icon.name for thing in reading.things] == ["pinata", "cat"]


def test_the_words_that_were_used_are_told(icons: IconLibrary) -> None:
    told = tell_reading(read("three majestic cats in front of a blue house at dawn", icons))
    assert "Words used: three, cats, in front of, blue, house, dawn. Not understood: majestic." in told


@pytest.mark.parametrize(
    ("prompt", "crowded"),
    [
        ("a boat on the sea, mountains behind", "mountains"),
        ("a cat in the rain and snow", "snow"),
        (", ".join(["cat", "dog", "cow", "fox", "pig", "owl", "bat", "ant", "wolf"]), "wolf"),
    ],
)
def test_what_there_is_no_room_for_is_told(icons: IconLibrary, prompt: str, crowded: str) -> None:
    told = tell_reading(read(prompt, icons))
    assert f"No room for: {crowded}." in told
    assert crowded not in told.partition("No room for")[0]


@pytest.mark.parametrize("prompt", [PROMPT, EXAMPLE_PROMPT])
def test_prompts_of_the_demo_are_drawn_whole(icons: IconLibrary, prompt: str) -> None:
    reading = read(prompt, icons)
    assert (reading.unread, reading.crowded) == ([], [])


def test_the_instruction_of_the_demo_is_done_whole(icons: IconLibrary) -> None:
    assert understand(INSTRUCTION, icons, 1).unread == ()


def test_a_long_prompt_is_read_in_bounded_time(icons: IconLibrary) -> None:
    reading = read("cat " * 8000, icons)
    assert len(reading.things) <= 8


@pytest.mark.parametrize("size", [(1024, 1024), (1596, 684), (756, 1344)])
@pytest.mark.parametrize("prompt", ["three cats", "seven cats and a dog on a beach", "a cat on a table under a tree"])
def test_things_are_placed_within_the_canvas_as_often_as_asked(
    icons: IconLibrary, prompt: str, size: tuple[int, int]
) -> None:
    reading = read(prompt, icons)
    for seed in range(5):
        placed = compose(reading, size, seed).placed
        for thing in reading.things:
            assert sum(each.icon is thing.icon for each in placed) == thing.count
        assert all(
            -0.02 * size[0] <= each.x - each.width / 2 <= each.x + each.width / 2 <= 1.02 * size[0] for each in placed
        )
        assert all(-0.02 * size[1] <= each.top < each.base <= size[1] for each in placed)


def test_relations_show_in_the_scene(icons: IconLibrary) -> None:
    cat, table = compose(read("a cat on a bench", icons), (1024, 1024), 1).placed[::-1]
    assert cat.icon.name == "cat"
    assert table.top < cat.base < table.base
    left, right = sorted(
        compose(read("a cat to the left of a dog", icons), (1024, 768), 1).placed, key=lambda each: each.x
    )
    assert (left.icon.name, right.icon.name) == ("cat", "dog")


def test_circles_of_relations_end(icons: IconLibrary) -> None:
    reading = read("a cat on a dog", icons)
    reading.things[1].relation, reading.things[1].other = "on", 0
    assert compose(reading, (800, 600), 1) is not None


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("make it black and white", ["mono"]),
        ("a bit warmer, and add a border", ["warmer", "border"]),
        ("blur the background", ["blur_background"]),
        ("blur it", ["blur"]),
        ("add three birds in the sky and make it warmer", ["add", "warmer"]),
        ("replace the sky with a sunset", ["replace_sky"]),
        ("change the background to yellow", ["replace_background"]),
        ("put these two side by side and add rain", ["side_by_side", "rain"]),
        ("add a snowman", ["add"]),
        ("add a rainbow", ["add"]),
        ("make it snow", ["snow"]),
        ("rotate it 90 degrees", ["rotate"]),
        ("Turn this into a winter wonderland", ["replace_background"]),
        ("a dog", ["add"]),
    ],
)
def test_instructions_become_steps_in_their_order(icons: IconLibrary, text: str, steps: list[str]) -> None:
    assert [step.name for step in understand(text, icons, 1).steps] == steps


def test_an_unknown_instruction_is_a_mild_change_and_says_so(icons: IconLibrary) -> None:
    instruction = understand("qwertz blah", icons, 1)
    assert instruction.is_guess
    assert "nothing was understood" in tell_edit(instruction, 1)
    assert "Not understood: qwertz, blah" in tell_edit(instruction, 1)


def test_words_of_an_instruction_are_whole_in_every_script(icons: IconLibrary) -> None:
    assert understand("färbe gemütlich हिन्दी", icons, 1).unread == ("färbe", "gemütlich", "हिन्दी")


@pytest.mark.parametrize("text", ["turn the sky " * 2000, "make a " * 4000, "a" * 32000, "add a cat. " * 2900])
def test_hostile_instructions_are_read_in_bounded_time(icons: IconLibrary, text: str) -> None:
    assert len(understand(text, icons, 1).steps) <= 8


def test_every_word_leads_to_something_that_can_be_drawn(icons: IconLibrary) -> None:
    assert set(vocabulary.SETTINGS.values()) <= set(PLACES)
    assert set(vocabulary.TIMES.values()) <= set(LIGHTS)
    for name in {*vocabulary.ALIASES.values(), *natures.SEATS, *natures.MOUNTS}:
        assert icons.named(name).name == name
        assert "<" in icons.drawing(name)
    steps = {name for name, _ in instructions._PATTERNS}
    assert steps == {*COLOURINGS, *JOINTS, *SHAPES}


def test_plurals_have_singulars() -> None:
    assert singulars("black cats")[0] == "black cat"
    assert singulars("wolves")[0] == "wolf"
    assert "box" in singulars("boxes")
