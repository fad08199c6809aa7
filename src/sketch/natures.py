"""What the drawing must know of things: how large they are beside each other, and where they belong."""

from typing import Final, Literal, TypeAlias

from sketch.icons import Icon

Element: TypeAlias = Literal["ground", "water", "sky"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SIZES_BY_KIND: Final = {
    "place-building": 1.75, "place-religious": 1.75, "place-geographic": 1.9, "place-other": 1.45, "plant-other": 0.7,
    "plant-flower": 0.55, "transport-ground": 1.05, "transport-water": 1.15, "transport-air": 1.0,
    "animal-mammal": 0.8, "animal-bird": 0.55, "animal-bug": 0.36, "animal-marine": 0.75, "animal-reptile": 0.7,
    "animal-amphibian": 0.45, "person-role": 0.95, "person": 0.9, "person-activity": 1.1, "person-fantasy": 1.05,
    "person-sport": 1.05, "person-resting": 0.9, "food-fruit": 0.42, "food-vegetable": 0.42, "food-prepared": 0.5,
    "food-asian": 0.5, "food-sweet": 0.48, "food-marine": 0.45, "drink": 0.5, "dishware": 0.5, "household": 0.8,
    "heart": 0.6, "sky-weather": 0.6, "event": 0.6, "musical-instrument": 0.65, "sport": 0.42,
}  # fmt: skip
_SIZES: Final = {
    # Faces without bodies.
    "fox": 0.58, "bear": 0.64, "polar-bear": 0.64, "lion": 0.66, "wolf": 0.6, "panda": 0.62, "koala": 0.58,
    "raccoon": 0.55, "hamster": 0.42, "unicorn": 0.8, "boy": 0.7, "girl": 0.7, "child": 0.7,
    "elephant": 1.25, "mammoth": 1.3, "giraffe": 1.5, "rhinoceros": 1.05, "hippopotamus": 1.0, "horse": 1.0,
    "camel": 1.1, "two-hump-camel": 1.1, "cow": 0.95, "ox": 0.95, "bison": 1.0, "moose": 1.05, "deer": 0.9,
    "cat": 0.6, "black-cat": 0.6, "dog": 0.68, "poodle": 0.65, "rabbit": 0.5, "mouse": 0.36,
    "rat": 0.38, "chipmunk": 0.42, "hedgehog": 0.42, "bat": 0.45, "beaver": 0.5, "otter": 0.5,
    "eagle": 0.65, "swan": 0.7, "flamingo": 0.85, "peacock": 0.8, "turkey": 0.65, "baby-chick": 0.32,
    "spouting-whale": 1.5, "whale": 1.5, "orca": 1.25, "dolphin": 0.9, "shark": 1.1, "crab": 0.5,
    "spiral-shell": 0.35,
    "sauropod": 1.7, "t-rex": 1.6, "dragon": 1.5, "dragon-face": 1.2, "crocodile": 0.9, "snake": 0.6,
    "deciduous-tree": 1.6, "evergreen-tree": 1.7, "palm-tree": 1.7, "leafless-tree": 1.6, "christmas-tree": 1.4,
    "cactus": 0.9, "potted-plant": 0.6, "mushroom": 0.42, "automobile": 0.85, "racing-car": 0.75, "bus": 1.2,
    "bicycle": 0.85, "motorcycle": 0.9, "locomotive": 1.3, "ship": 1.7, "passenger-ship": 1.7, "rocket": 1.35,
    "hot-air-balloon": 1.5, "flying-saucer": 0.8, "robot": 0.95, "ghost": 0.85, "snowman-without-snow": 0.95,
    "snowman": 1.0, "table": 0.85, "bench": 0.6, "chair": 0.75, "couch-and-lamp": 1.25, "bed": 0.9, "tent": 1.1,
    "windmill": 1.9, "barn": 1.6, "pyramid": 2.0, "castle": 2.0, "lighthouse": 2.1, "house": 1.6,
    "house-with-garden": 1.6, "hut": 1.4, "statue-of-liberty": 1.9, "tokyo-tower": 2.1, "office-building": 2.0,
    "submarine": 1.2, "fence": 0.6, "soccer-ball": 0.36, "balloon": 0.7, "umbrella": 0.9, "teddy-bear": 0.6,
    "person-standing": 1.15, "man-standing": 1.15, "woman-standing": 1.15, "baby": 0.55, "fire": 0.6,
    "birthday-cake": 0.6, "top-hat": 0.4, "tractor": 1.05, "delivery-truck": 1.15, "lady-beetle": 0.3, "ant": 0.28,
    "ringed-planet": 1.1, "alien-monster": 0.8, "moai": 1.2, "jack-o-lantern": 0.6, "wrapped-gift": 0.5,
}  # fmt: skip
_USUAL_SIZE: Final = 0.55
_COMPRESSION: Final = 0.8
"""Sizes differ less than in life, so that small things stay readable beside large ones."""

_FLYING_KINDS: Final = frozenset({"transport-air", "sky-weather"})
_FLYING: Final = _words(
    """
    butterfly monarch-butterfly honeybee mosquito fly eagle dove bat kite balloon hot-air-balloon flying-saucer
    fireworks sparkler fairy baby-angel dragon-face rocket comet meteor wing bird black-bird
    """
)
_GROUNDED: Final = frozenset(
    {
        "seat",
        "umbrella-on-ground",
        "umbrella",
        "closed-umbrella",
        "snowman",
        "fire",
        "snowman-without-snow",
        "thermometer",
    }
)
_SWIMMING_KINDS: Final = frozenset({"animal-marine", "transport-water"})
_SWIMMING: Final = frozenset(
    {"swan", "duck", "person-swimming", "person-surfing", "person-rowing-boat", "mermaid", "merperson", "merman"}
)
_ASHORE: Final = frozenset({"crab", "spiral-shell", "anchor", "ring-buoy", "lobster", "seal"})

SEATS: Final = {
    "table": 0.1, "bench": 0.46, "chair": 0.52, "horse": 0.38, "elephant": 0.2, "unicorn": 0.5,
    "couch-and-lamp": 0.62,
    "bed": 0.5, "camel": 0.35, "two-hump-camel": 0.38, "sauropod": 0.55, "dragon": 0.4, "bicycle": 0.4,
    "motorcycle": 0.38, "skateboard": 0.25, "rocket": 0.4, "sailboat": 0.75, "canoe": 0.4, "automobile": 0.08,
    "house": 0.18, "turtle": 0.2, "rock": 0.12, "mountain": 0.1, "full-moon": 0.06, "spouting-whale": 0.35,
}  # fmt: skip
"""How far below its top, as a share of its height, one sits on a thing."""
USUAL_SEAT: Final = 0.12

MOUNTS: Final = _words(
    """
    horse unicorn elephant camel two-hump-camel donkey cow ox deer giraffe zebra sauropod t-rex dragon bicycle
    motorcycle motor-scooter rocket turtle spouting-whale whale dolphin llama goat bison tractor
    """
)
"""What is ridden."""

_WHOLE_PEOPLE: Final = frozenset({"person-activity", "person-sport", "person-resting"})
_WHOLE: Final = frozenset(
    {"fairy", "mermaid", "merperson", "merman", "baby-angel", "superhero", "man-superhero", "woman-superhero"}
)


def is_bust(icon: Icon) -> bool:
    """Tell whether an icon shows a person from the chest up only."""
    return icon.kind.startswith("person") and icon.kind not in _WHOLE_PEOPLE and icon.name not in _WHOLE


def usual_size(icon: Icon) -> float:
    """Return the height of a thing; a grown person is about 1."""
    size = (
        _SIZES.get(icon.name)
        or _SIZES_BY_KIND.get(icon.kind)
        or (1.05 if icon.kind.startswith("person") else _USUAL_SIZE)
    )
    return float(size**_COMPRESSION)


def element_of(icon: Icon) -> Element:
    """Return where a thing is found when nobody says otherwise."""
    if icon.name in _FLYING or (icon.kind in _FLYING_KINDS and icon.name not in _GROUNDED):
        return "sky"
    if icon.name in _SWIMMING or (icon.kind in _SWIMMING_KINDS and icon.name not in _ASHORE):
        return "water"
    return "ground"


_SETTING_BY_NAME: Final = {
    "astronaut": "lunar", "rocket": "space", "flying-saucer": "space", "ringed-planet": "space", "satellite": "space",
    "comet": "space", "meteor": "space", "alien": "space", "alien-monster": "space",
    "globe-showing-europe-africa": "space",
    "camel": "desert", "two-hump-camel": "desert", "cactus": "desert", "scorpion": "desert", "pyramid": "desert",
    "penguin": "snowfield", "polar-bear": "snowfield", "snowman-without-snow": "snowfield", "snowman": "snowfield",
    "skier": "snowfield", "snowboarder": "snowfield", "sled": "snowfield", "santa-claus": "snowfield",
    "palm-tree": "beach", "crab": "beach", "umbrella-on-ground": "beach", "coconut": "beach", "spiral-shell": "beach",
    "lion": "savanna", "elephant": "savanna", "giraffe": "savanna", "zebra": "savanna", "rhinoceros": "savanna",
    "hippopotamus": "savanna", "leopard": "savanna", "tiger": "jungle", "monkey": "jungle", "gorilla": "jungle",
    "orangutan": "jungle", "parrot": "jungle", "toucan": "jungle", "wolf": "forest", "fox": "forest",
    "bear": "forest",
    "deer": "forest", "owl": "forest", "hedgehog": "forest", "mushroom": "forest", "raccoon": "forest",
    "tent": "forest",
    "butterfly": "garden", "honeybee": "garden", "tractor": "farm", "barn": "farm", "cow": "meadow", "ewe": "meadow",
    "locomotive": "hills", "hot-air-balloon": "hills", "windmill": "hills", "lighthouse": "sea", "castle": "hills",
    "couch-and-lamp": "room", "bed": "room", "television": "room", "office-building": "city", "eagle": "mountains",
    "goat": "mountains", "swan": "lake", "duck": "lake", "canoe": "lake", "frog": "lake", "submarine": "underwater",
    "mermaid": "underwater", "airplane": "clouds", "dove": "clouds", "helicopter": "city", "table": "room",
    "dolphin": "sea", "spouting-whale": "sea", "orca": "sea", "person-surfing": "sea", "volcano": "desert",
}  # fmt: skip
_SETTING_BY_KIND: Final = {
    "transport-ground": "street", "transport-water": "sea", "transport-air": "clouds", "animal-marine": "underwater",
    "animal-mammal": "meadow", "animal-bird": "meadow", "animal-bug": "garden", "animal-reptile": "meadow",
    "animal-amphibian": "lake", "plant-flower": "garden", "plant-other": "meadow", "place-building": "hills",
    "place-religious": "village", "place-other": "park", "place-geographic": "hills", "sport": "park",
}  # fmt: skip
_STILL_LIFE: Final = ("food", "drink", "dishware", "household", "book", "music", "science", "computer", "phone",
                      "light-video", "tool", "writing", "clothing", "arts-crafts", "game", "money", "office", "lock",
                      "award", "mail", "medical", "time", "other-object", "event", "hotel", "sound")  # fmt: skip


def home_of(icon: Icon) -> str:
    """Return the setting that a thing is drawn in when the prompt names none."""
    setting = _SETTING_BY_NAME.get(icon.name) or _SETTING_BY_KIND.get(icon.kind)
    if setting:
        return setting
    if icon.kind.startswith("person"):
        return "park"
    return "table" if icon.kind.startswith(_STILL_LIFE) else "abstract"
