"""The places that a scene can play in: each function paints everything between the sky and the things."""

from collections.abc import Callable, Mapping
from typing import Final

from sketch import scenery
from sketch.colours import mix
from sketch.stage import Stage, flat

GREENS: Final = ("#7cb850", "#69ad4f", "#86bd4e", "#5fae62")
"""Grass, for the seed to choose from."""


def paint_setting(stage: Stage, setting: str) -> None:
    """Paint the place of this name."""
    PLACES.get(setting, hills)(stage)


def hills(stage: Stage) -> None:
    """Soft hills, one behind the other, in front of far mountains."""
    scenery.far_range(stage)
    scenery.rolling_ground(stage, stage.rng.choice(GREENS), bands=4)
    scenery.trees_along(
        stage, stage.rolling(stage.horizon + stage.height * 0.03, stage.height * 0.008), count=9, size=0.07, depth=0.3
    )
    scenery.grass(stage, 60)


def meadow(stage: Stage) -> None:
    """A wide green with tufts of grass and small flowers."""
    scenery.rolling_ground(stage, stage.rng.choice(GREENS), bands=3)
    scenery.tree_line(stage)
    scenery.grass(stage, 90)
    scenery.flowers(stage, 26)


def park(stage: Stage) -> None:
    """A lawn with round trees and a path."""
    scenery.rolling_ground(stage, "#7ab955", bands=2)
    scenery.trees_along(stage, flat(stage.horizon + stage.height * 0.045), count=6, size=0.17, depth=0.2)
    scenery.footpath(stage, "#e4cfa4")
    scenery.grass(stage, 50)
    scenery.flowers(stage, 10)


def garden(stage: Stage) -> None:
    """A meadow full of flowers before a hedge."""
    scenery.rolling_ground(stage, "#73b655", bands=2)
    hedge = stage.tone("#4b9448", 0.12)
    y, size = stage.horizon + stage.height * 0.02, stage.unit * 0.05
    stage.circles(
        [(x, y + stage.rng.uniform(-0.15, 0.2) * size, size * stage.rng.uniform(0.8, 1.25)) for x in stage.across(26)],
        hedge,
    )
    stage.rect(0, y, stage.width, size * 1.1, hedge)
    scenery.grass(stage, 60)
    scenery.flowers(stage, 120)


def farm(stage: Stage) -> None:
    """Fields with furrows."""
    scenery.far_hills(stage, "#86b867")
    stage.land(flat(stage.horizon), stage.linear((0, stage.tone("#c9b252", 0.2), 1), (1, stage.tone("#a8953c"), 1)))
    middle = stage.width * stage.rng.uniform(0.4, 0.6)
    for furrow in range(-14, 15):
        near, far = middle + furrow * stage.width * 0.11, middle + furrow * stage.width * 0.022
        stage.polygon(
            [
                (far - 1, stage.horizon),
                (far + 1, stage.horizon),
                (near + stage.width * 0.018, stage.height),
                (near - stage.width * 0.018, stage.height),
            ],
            stage.tone("#8f7d33"),
            0.35,
        )
    scenery.tree_line(stage)


def village(stage: Stage) -> None:
    """Small houses on a green, far away."""
    scenery.far_range(stage)
    scenery.rolling_ground(stage, "#82b95c", bands=3)
    rng, unit = stage.rng, stage.unit
    for x in stage.across(9):
        scenery.cottage(
            stage,
            x + rng.uniform(-0.03, 0.03) * stage.width,
            stage.horizon + stage.height * rng.uniform(0.02, 0.07),
            unit * rng.uniform(0.06, 0.085),
        )
    scenery.trees_along(stage, flat(stage.horizon + stage.height * 0.07), count=7, size=0.06, depth=0.18)
    scenery.footpath(stage, "#dcc9a0")
    scenery.grass(stage, 40)


def mountains(stage: Stage) -> None:
    """Peaks with snow behind dark firs and a meadow."""
    scenery.far_range(stage)
    scenery.peaks(stage)
    scenery.rolling_ground(stage, "#6ba556", bands=2)
    scenery.firs_along(stage, flat(stage.horizon + stage.height * 0.05), count=24, size=0.1, depth=0.22)
    scenery.grass(stage, 55)


def forest(stage: Stage) -> None:
    """Rows of trees that fade into the haze."""
    ground = stage.horizon
    stage.land(flat(ground), stage.linear((0, stage.tone("#6f9f57", 0.3), 1), (1, stage.tone("#3f7040"), 1)))
    for row, (depth, size) in enumerate(((0.7, 0.34), (0.52, 0.42), (0.32, 0.5), (0.14, 0.6))):
        level = ground + stage.height * (0.01 + 0.028 * row)
        draw = scenery.trees_along if row in {1, 3} else scenery.firs_along
        draw(stage, flat(level), count=(16, 11, 9, 5)[row], size=size, depth=depth)
        stage.rect(
            0,
            level - stage.height * 0.14,
            stage.width,
            stage.height * 0.19,
            stage.linear((0, stage.light.haze, 0), (0.75, stage.light.haze, 0.28), (1, stage.light.haze, 0)),
        )
    stage.land(
        stage.rolling(ground + stage.height * 0.12, stage.height * 0.008),
        stage.linear((0, stage.tone("#5d9650", 0.08), 1), (1, stage.tone("#3c6d3c"), 1)),
    )
    scenery.grass(stage, 90, "#3f7a40")


def jungle(stage: Stage) -> None:
    """Thick green with large leaves at the edges."""
    forest(stage)
    rng, unit = stage.rng, stage.unit
    for side in (0, 1):
        for leaf in range(7):
            x, y = side * stage.width, stage.height * (0.05 + leaf * 0.15)
            reach, lift = unit * rng.uniform(0.16, 0.3) * (1 if side == 0 else -1), unit * rng.uniform(-0.1, 0.08)
            stage.path(
                f"M{x:.1f} {y:.1f}q{reach * 0.5:.1f} {lift - unit * 0.06:.1f} {reach:.1f} "
                f"{lift:.1f}q{-reach * 0.5:.1f} {unit * 0.07:.1f} {-reach:.1f} {-lift:.1f}"
                f"z",
                stage.tone(rng.choice(("#2f7d45", "#3b9150", "#256b3d"))),
            )


def sea(stage: Stage) -> None:
    """Open water to the horizon."""
    scenery.water(stage, stage.horizon, stage.height)


def beach(stage: Stage) -> None:
    """Sand before the sea."""
    shore = stage.horizon + stage.height * 0.14
    scenery.water(stage, stage.horizon, shore + stage.height * 0.05)
    edge = stage.rolling(shore, stage.height * 0.012, 1.1)
    stage.land(lambda x: edge(x) - stage.height * 0.012, "#ffffff", 0.75)
    stage.land(edge, stage.tone("#d3b47c"))
    stage.land(
        lambda x: edge(x) + stage.height * 0.022,
        stage.linear((0, stage.tone("#efd9a3"), 1), (1, stage.tone("#e6c583"), 1)),
    )
    scenery.specks(stage, shore + stage.height * 0.05, "#c9a766", 160)


def lake(stage: Stage) -> None:
    """A lake before hills, with the near shore."""
    scenery.far_range(stage)
    scenery.far_hills(stage, "#6fa860")
    scenery.trees_along(stage, flat(stage.horizon + stage.height * 0.01), count=14, size=0.08, depth=0.32)
    scenery.water(stage, stage.horizon, stage.height)
    stage.land(
        stage.rolling(stage.height * 0.845, stage.height * 0.012, 1.3),
        stage.linear((0, stage.tone("#7fb458"), 1), (1, stage.tone("#4f8a42"), 1)),
    )
    scenery.reeds(stage)


def desert(stage: Stage) -> None:
    """Dunes."""
    sand = stage.rng.choice(("#e8b867", "#e3aa5c", "#edc27a"))
    for band in range(4):
        crest = stage.rolling(
            stage.horizon + stage.height * (0.02 + band * 0.075), stage.height * 0.035, 0.9 + band * 0.25
        )
        depth = 0.42 - band * 0.14
        stage.land(
            crest,
            stage.linear(
                (0, stage.tone(mix(sand, "#fff0c8", 0.25), max(0.0, depth)), 1),
                (0.7, stage.tone(mix(sand, "#a5662e", 0.28), max(0.0, depth)), 1),
            ),
        )
    scenery.specks(stage, stage.horizon + stage.height * 0.28, "#b98543", 90)


def savanna(stage: Stage) -> None:
    """Dry grass and flat-topped trees."""
    scenery.far_hills(stage, "#c9a75e")
    stage.land(flat(stage.horizon), stage.linear((0, stage.tone("#d9b65f", 0.2), 1), (1, stage.tone("#b98d3e"), 1)))
    rng, unit = stage.rng, stage.unit
    for x in (rng.uniform(0.04, 0.3), rng.uniform(0.62, 0.96)):
        scenery.acacia(stage, x * stage.width, stage.horizon + stage.height * 0.03, unit * rng.uniform(0.18, 0.26))
    scenery.grass(stage, 120, "#a5803a")


def snowfield(stage: Stage) -> None:
    """White hills with firs."""
    scenery.far_range(stage)
    for band in range(3):
        crest = stage.rolling(stage.horizon + stage.height * (0.01 + band * 0.08), stage.height * 0.02, 1.1)
        stage.land(
            crest, stage.linear((0, stage.tone("#ffffff", 0.25 - band * 0.1), 1), (1, stage.tone("#cfe2f2", 0.1), 1))
        )
        if band < 2:
            scenery.firs_along(stage, crest, count=9, size=0.09 + band * 0.06, depth=0.42 - band * 0.2)


def city(stage: Stage) -> None:
    """A skyline, lit when it is dark, before a square."""
    for depth, count, tall in ((0.64, 15, 0.62), (0.4, 12, 0.5), (0.18, 9, 0.34)):
        scenery.skyline(stage, depth, count, tall)
    stage.rect(
        0,
        stage.horizon,
        stage.width,
        stage.height,
        stage.linear((0, stage.tone("#a9b0b8", 0.1), 1), (1, stage.tone("#80878f"), 1)),
    )
    stage.rect(0, stage.horizon, stage.width, stage.height * 0.03, stage.tone("#c3c9ce"))
    scenery.paving(stage)


def street(stage: Stage) -> None:
    """A road in front of houses."""
    scenery.skyline(stage, 0.5, 12, 0.3)
    scenery.terrace(stage)
    stage.rect(0, stage.horizon, stage.width, stage.height, stage.tone("#b9b4ac"))
    top, bottom = stage.horizon + stage.height * 0.08, stage.height * 0.97
    stage.rect(
        0, top, stage.width, bottom - top, stage.linear((0, stage.tone("#5a5f68"), 1), (1, stage.tone("#474b53"), 1))
    )
    dash, middle = stage.width / 9, top + (bottom - top) * 0.42
    for place in range(9):
        stage.rect(place * dash + dash * 0.2, middle, dash * 0.55, stage.height * 0.012, stage.tone("#f4e9c4"), 0.9)


def space(stage: Stage) -> None:
    """Stars, nebulae and a far planet."""
    rng, unit = stage.rng, stage.unit
    for _ in range(6):
        colour = rng.choice(("#7b4dff", "#ff4da6", "#3dc8ff", "#5a6bff", "#ff9a5a"))
        stage.ellipse(
            rng.uniform(0, stage.width),
            rng.uniform(0, stage.height),
            unit * rng.uniform(0.3, 0.6),
            unit * rng.uniform(0.18, 0.4),
            stage.radial((0, colour, 0.3), (1, colour, 0)),
        )
    x, y, radius = (
        stage.width * rng.choice((0.1, 0.9)),
        stage.height * rng.uniform(0.8, 0.95),
        unit * rng.uniform(0.2, 0.3),
    )
    colour = rng.choice(("#d98a5a", "#5aa0d9", "#a57bd6", "#5fc1a0"))
    stage.ellipse(x, y, radius * 1.35, radius * 1.35, stage.radial((0.6, colour, 0.35), (1, colour, 0)))
    stage.ellipse(
        x,
        y,
        radius,
        radius,
        stage.linear((0, mix(colour, "#ffffff", 0.25), 1), (1, mix(colour, "#05061c", 0.65), 1), across=True),
    )


def lunar(stage: Stage) -> None:
    """Grey, cratered ground under a black sky with the Earth in it."""
    scenery.cratered(stage, "#a9abb3")
    x, y, radius = stage.width * stage.rng.choice((0.18, 0.82)), stage.horizon * 0.3, stage.unit * 0.08
    stage.ellipse(x, y, radius * 1.3, radius * 1.3, stage.radial((0.6, "#7fc4ff", 0.4), (1, "#7fc4ff", 0)))
    stage.ellipse(x, y, radius, radius, stage.linear((0, "#4fa3f0", 1), (1, "#1d4f9c", 1)))
    stage.circles(
        [(x - radius * 0.3, y - radius * 0.2, radius * 0.36), (x + radius * 0.35, y + radius * 0.3, radius * 0.28)],
        "#62b566",
        0.9,
    )


def martian(stage: Stage) -> None:
    """Rust-red, cratered ground."""
    scenery.far_hills(stage, "#a8553a")
    scenery.cratered(stage, "#c2683f")


def underwater(stage: Stage) -> None:
    """Blue depths with rays of light, weed and coral."""
    rng, unit = stage.rng, stage.unit
    top, deep = stage.tone("#4fc6e8"), stage.tone("#0b4a8c")
    stage.fill(stage.linear((0, top, 1), (0.55, stage.tone("#1f83c4"), 1), (1, deep, 1)))
    for _ in range(6):
        x, spread = rng.uniform(-0.1, 1) * stage.width, unit * rng.uniform(0.04, 0.1)
        stage.polygon(
            [(x, 0), (x + spread, 0), (x + spread * 4, stage.height), (x + spread * 1.6, stage.height)],
            stage.linear((0, "#ffffff", 0.22), (0.85, "#ffffff", 0)),
        )
    stage.land(stage.rolling(stage.height * 0.86, stage.height * 0.02, 1.4), stage.tone("#3f7fa0", 0.1))
    stage.land(
        stage.rolling(stage.height * 0.91, stage.height * 0.015, 1.2),
        stage.linear((0, stage.tone("#e5cf9c"), 1), (1, stage.tone("#b99a67"), 1)),
    )
    for x in stage.across(13):
        scenery.weed(
            stage,
            x + rng.uniform(-0.03, 0.03) * stage.width,
            stage.height * rng.uniform(0.92, 1),
            unit * rng.uniform(0.1, 0.24),
        )
    for _ in range(8):
        scenery.coral(
            stage, rng.uniform(0, stage.width), stage.height * rng.uniform(0.93, 0.99), unit * rng.uniform(0.04, 0.075)
        )
    stage.circles(
        [
            (rng.uniform(0, stage.width), rng.uniform(0.05, 0.9) * stage.height, unit * rng.uniform(0.003, 0.011))
            for _ in range(46)
        ],
        "#ffffff",
        0.35,
    )


def room(stage: Stage) -> None:
    """A wall with a window and a picture, a wooden floor and a rug."""
    rng, unit, floor = stage.rng, stage.unit, stage.horizon + stage.height * 0.06
    wall = rng.choice(("#f0dfc4", "#cfe0da", "#e6d3dc", "#d3dcea", "#e9d9b0"))
    stage.rect(
        0, 0, stage.width, floor, stage.linear((0, stage.tone(wall), 1), (1, stage.tone(mix(wall, "#8a7358", 0.16)), 1))
    )
    left = rng.random() < 0.5
    scenery.window(stage, stage.width * (0.2 if left else 0.8), floor * 0.42, unit * 0.34)
    scenery.framed_picture(stage, stage.width * (0.78 if left else 0.22), floor * 0.36, unit * 0.2)
    stage.rect(
        0,
        floor,
        stage.width,
        stage.height - floor,
        stage.linear((0, stage.tone("#b98555"), 1), (1, stage.tone("#9a683e"), 1)),
    )
    for board in range(1, 7):
        y = floor + (stage.height - floor) * (board / 7) ** 1.5
        stage.rect(0, y, stage.width, 2, stage.tone("#7d5231"), 0.45)
    stage.rect(0, floor - unit * 0.018, stage.width, unit * 0.026, stage.tone(mix(wall, "#ffffff", 0.55)))
    rug = rng.choice(("#c4574f", "#4f7cae", "#6a8f5c", "#b98a3e"))
    y = floor + (stage.height - floor) * 0.58
    for share, colour in ((1, rug), (0.86, mix(rug, "#ffffff", 0.35)), (0.78, rug)):
        stage.ellipse(
            stage.width / 2, y, stage.width * 0.36 * share, (stage.height - floor) * 0.32 * share, stage.tone(colour)
        )


def table(stage: Stage) -> None:
    """A table top before a plain wall: a still life."""
    rng, top = stage.rng, stage.horizon
    wall = rng.choice(("#e9d5c0", "#c9dcd6", "#d8cfe6", "#f0dcb4", "#bcd3e4", "#e7c6c0"))
    stage.rect(
        0,
        0,
        stage.width,
        top,
        stage.linear((0, stage.tone(mix(wall, "#ffffff", 0.2)), 1), (1, stage.tone(mix(wall, "#7d6650", 0.14)), 1)),
    )
    stage.ellipse(
        stage.width * rng.uniform(0.25, 0.75),
        stage.height * 0.2,
        stage.unit * 0.7,
        stage.unit * 0.6,
        stage.radial((0, "#ffffff", 0.4), (1, "#ffffff", 0)),
    )
    wood = rng.choice(("#b57d4c", "#a56e43", "#c99663", "#8f5f3d"))
    stage.rect(
        0,
        top,
        stage.width,
        stage.height - top,
        stage.linear((0, stage.tone(mix(wood, "#ffffff", 0.12)), 1), (1, stage.tone(mix(wood, "#3d2413", 0.22)), 1)),
    )
    for board in (0.2, 0.46, 0.76):
        y = top + (stage.height - top) * board
        stage.rect(0, y, stage.width, stage.height * 0.003, stage.tone(mix(wood, "#2d1a0d", 0.5)), 0.5)
    for _ in range(16):
        x, y, length = (
            rng.uniform(-0.1, 0.9) * stage.width,
            top + rng.uniform(0.04, 0.98) * (stage.height - top),
            stage.width * rng.uniform(0.08, 0.3),
        )
        stage.stroke(
            f"M{x:.1f} {y:.1f}q{length / 2:.1f} {rng.uniform(-6, 6):.1f} {length:.1f} 0",
            stage.tone(mix(wood, "#2d1a0d", 0.4)),
            1.6,
            0.28,
        )
    stage.rect(0, top, stage.width, stage.height * 0.006, stage.tone(mix(wood, "#ffffff", 0.35)), 0.8)


def clouds(stage: Stage) -> None:
    """High air with banks of cloud below."""
    stage.fill(
        stage.linear(*((offset, colour, 1) for offset, colour in zip((0, 0.55, 1), stage.light.sky, strict=True)))
    )
    rng, unit = stage.rng, stage.unit
    for band, level in enumerate((0.72, 0.82, 0.92)):
        colour = mix(stage.tone("#ffffff"), stage.light.sky[1], 0.4 - band * 0.18)
        stage.circles(
            [
                (x, stage.height * level + rng.uniform(-0.02, 0.05) * stage.height, unit * rng.uniform(0.06, 0.11))
                for x in stage.across(16)
            ],
            colour,
            0.9,
        )
        stage.rect(0, stage.height * (level + 0.03), stage.width, stage.height, colour, 0.95)


def abstract(stage: Stage) -> None:
    """Soft waves of the palette."""
    rng = stage.rng
    top, middle, bottom = stage.light.sky
    stage.fill(stage.linear((0, mix(bottom, "#ffffff", 0.35), 1), (1, mix(middle, "#ffffff", 0.1), 1)))
    x, y = stage.width * rng.uniform(0.3, 0.7), stage.height * rng.uniform(0.3, 0.42)
    stage.ellipse(x, y, stage.unit * 0.6, stage.unit * 0.6, stage.radial((0, "#ffffff", 0.75), (1, "#ffffff", 0)))
    for band in range(4):
        share = band / 3
        colour = mix(mix(bottom, middle, min(1, share * 1.4)), top, max(0.0, share - 0.45))
        stage.land(
            stage.rolling(stage.height * (0.6 + 0.1 * band), stage.height * 0.05, 0.9 + 0.2 * band), colour, 0.75
        )
    stage.circles(
        [
            (rng.uniform(0, stage.width), rng.uniform(0, stage.height), stage.unit * rng.uniform(0.006, 0.03))
            for _ in range(16)
        ],
        "#ffffff",
        0.28,
    )


PLACES: Final[Mapping[str, Callable[[Stage], None]]] = {
    place.__name__: place
    for place in (
        hills,
        meadow,
        park,
        garden,
        farm,
        village,
        mountains,
        forest,
        jungle,
        sea,
        beach,
        lake,
        desert,
        savanna,
        snowfield,
        city,
        street,
        space,
        lunar,
        martian,
        underwater,
        room,
        table,
        clouds,
        abstract,
    )
} | {"pattern": abstract}
"""All places by the names that ``vocabulary.SETTINGS`` uses."""
