"""A reading made into a scene, and a scene made into an SVG document."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sketch import sky
from sketch.chance import chance
from sketch.colours import mix, regrade, repaint
from sketch.icons import IconLibrary
from sketch.land import paint_setting
from sketch.layout import FLOATING, Placed, arrange
from sketch.light import LIGHTS, Light, light_for
from sketch.natures import element_of, home_of, usual_size
from sketch.raster import document
from sketch.reading import Reading
from sketch.scenery import paint_glint
from sketch.stage import Stage

_WITHOUT_SKY: Final = frozenset({"table", "room", "underwater", "abstract", "pattern", "clouds"})
_BLACK_SKIES: Final = frozenset({"space", "lunar"})
_FULL_LIGHT: Final = LIGHTS["day"][0]
"""In space nothing dims the sun."""

_WATERS: Final = frozenset({"sea", "lake", "beach"})
_HORIZONS: Final = {"table": 0.56, "room": 0.58, "sea": 0.52, "forest": 0.6, "street": 0.58, "city": 0.64}
_USUAL_HORIZON: Final = 0.57


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is decided before anything is painted. The same prompt, seed and size give the same scene."""

    width: int
    height: int
    horizon: float
    setting: str
    time: str
    weather: str
    style: str
    features: tuple[str, ...]
    light: Light
    sun_x: float
    """Where the sun or the moon stands."""
    placed: tuple[Placed, ...]
    seed: int


def compose(reading: Reading, size: tuple[int, int], seed: int) -> Scene:
    """Return the scene of a reading on a canvas of this size, in pixels."""
    rng = chance(seed)
    setting = _setting(reading, rng)
    horizon = size[1] * (_horizon(reading, setting, size) + rng.uniform(-0.025, 0.025))
    time = "night" if setting in _BLACK_SKIES else reading.time
    return Scene(
        *size,
        horizon,
        setting,
        time,
        reading.weather,
        reading.style,
        tuple(reading.features),
        light_for(time, reading.weather, reading.style, reading.sky, rng),
        size[0] * rng.choice((0.2, 0.28, 0.72, 0.8)),
        tuple(arrange(reading, setting, size, horizon, rng)),
        rng.getrandbits(32),
    )


def _horizon(reading: Reading, setting: str, size: tuple[int, int]) -> float:
    share = _HORIZONS.get(setting, _USUAL_HORIZON) + 0.07 * max(0.0, size[1] / size[0] - 1)
    aloft = all(thing.place == "sky" or element_of(thing.icon) == "sky" for thing in reading.things)
    # Nothing stands on the ground, so the sky takes more of the picture.
    return share + 0.12 if aloft and setting not in {"table", "room"} else share


def _setting(reading: Reading, rng: random.Random) -> str:
    if reading.setting:
        # Things of the sea in front of other places have no water to be in; all else fits anywhere.
        return reading.setting
    if reading.things:
        largest_first = sorted(reading.things, key=lambda thing: -usual_size(thing.icon))
        homes = [home_of(thing.icon) for thing in largest_first]
        outdoors = [home for home in homes if home not in {"abstract", "table"}]
        needs_sky = bool(reading.weather or reading.time)
        return (outdoors or (["hills"] if needs_sky else homes))[0]
    if reading.sky or reading.is_empty():
        return "abstract"
    return rng.choice(("hills", "mountains", "lake", "meadow"))


def to_svg(scene: Scene, icons: IconLibrary) -> str:
    """Return the scene as an SVG document."""
    stage = Stage(scene.width, scene.height, scene.horizon, scene.light, chance(scene.seed))
    _paint_air(stage, scene)
    paint_setting(stage, scene.setting)
    if scene.setting in _WATERS and not _covered(scene) and (scene.light.is_dark or scene.light.sun_height > 0.4):
        paint_glint(stage, scene.sun_x)
    if scene.weather == "snow" and scene.setting not in _WITHOUT_SKY | _WATERS | {"snowfield"}:
        _whiten(stage)
    for placed in scene.placed:
        _paint_placed(stage, scene, placed, icons)
    if scene.setting not in {"table", "room", "space", "underwater"}:
        sky.paint_weather(stage, scene.weather)
    _paint_vignette(stage)
    return document(scene.width, scene.height, stage.svg)


def _paint_air(stage: Stage, scene: Scene) -> None:
    if scene.setting in _BLACK_SKIES:
        stage.fill(stage.linear((0, "#05061c", 1), (0.6, "#10123c", 1), (1, "#1f1848", 1)))
        sky.paint_stars(stage, 1.75 if scene.setting == "space" else 1.0)
        return
    if scene.setting in _WITHOUT_SKY - {"clouds"}:
        return
    sky.paint_sky(stage)
    overcast = _covered(scene)
    if (scene.light.is_dark and not overcast) or "stars" in scene.features:
        sky.paint_stars(stage)
    _paint_heavens(stage, scene)
    if scene.weather == "rainbow" or "rainbow" in scene.features:
        sky.paint_rainbow(stage)
    heavy = overcast or scene.weather == "cloudy"
    if heavy or not scene.light.is_dark:
        sky.paint_clouds(stage, 6 if heavy else stage.rng.randint(2, 4), heavy)
    if not overcast and not scene.light.is_dark and scene.setting not in {"martian", "clouds"}:
        sky.paint_birds(stage)


def sky_svg(scene: Scene) -> str:
    """Return the scene's sky alone, over the whole canvas."""
    stage = Stage(scene.width, scene.height, scene.horizon, scene.light, chance(scene.seed))
    stage.fill(scene.light.sky[2])
    _paint_air(stage, scene)
    return document(scene.width, scene.height, stage.svg)


def overlay_svg(placed: Iterable[Placed], size: tuple[int, int], icons: IconLibrary) -> str:
    """Return things with their shadows and nothing behind them."""
    stage = Stage(*size, size[1] * 0.5, _FULL_LIGHT, chance(0))
    for each in placed:
        if not each.aloft:
            _paint_shadow(stage, each)
        stage.add(_drawn(each, _FULL_LIGHT, icons))
    return document(*size, stage.svg)


def _covered(scene: Scene) -> bool:
    """Whether clouds hide the sun, the moon and the stars."""
    return scene.weather in {"rain", "storm", "fog", "snow"}


def _paint_heavens(stage: Stage, scene: Scene) -> None:
    if scene.time == "aurora":
        sky.paint_aurora(stage)
    moon = next((each for each in scene.features if each.endswith("moon")), "")
    if moon or (scene.style != "neon" and scene.light.is_dark and not _covered(scene)):
        sky.paint_moon(stage, scene.sun_x, crescent=moon == "crescent-moon")
    elif scene.style == "neon":
        sky.paint_neon_sun(stage)
    elif not _covered(scene) or "sun" in scene.features:
        sky.paint_sun(stage, scene.sun_x)


def _whiten(stage: Stage) -> None:
    """Lay snow on the ground."""
    stage.land(
        lambda x: stage.horizon + stage.height * 0.1,
        stage.linear((0, "#ffffff", 0.0), (0.2, stage.tone("#ffffff"), 0.72), (1, stage.tone("#e8f2fb"), 0.9)),
    )


def _paint_placed(stage: Stage, scene: Scene, placed: Placed, icons: IconLibrary) -> None:
    grounded = not placed.aloft and scene.setting not in FLOATING
    if grounded and placed.element == "ground":
        _paint_shadow(stage, placed)
    stage.add(_drawn(placed, scene.light if scene.setting not in _BLACK_SKIES else _FULL_LIGHT, icons))
    if grounded and placed.element == "water" and scene.setting in _WATERS:
        _paint_ripples(stage, placed)


def _drawn(placed: Placed, light: Light, icons: IconLibrary) -> str:
    icon, drawing = placed.icon, icons.drawing(placed.icon.name)
    if placed.colour:
        drawing = repaint(drawing, icon.hue, placed.colour)
    drawing = regrade(drawing, light.on_things.falls_on)
    scale = placed.height / max(1, icon.height)
    across = -scale if placed.flipped else scale
    x = placed.x - across * (icon.left + icon.right) / 2
    return (
        f'<g transform="translate({x:.1f} {placed.base - scale * icon.bottom:.1f})'
        f' scale({across:.4f} {scale:.4f})">{drawing}</g>'
    )


def _paint_shadow(stage: Stage, placed: Placed) -> None:
    shade = mix(stage.light.tint, "#101828", 0.9)
    paint = stage.radial((0, shade, 0.5), (0.55, shade, 0.28), (1, shade, 0))
    stage.ellipse(
        placed.x,
        placed.base - placed.height * 0.012,
        placed.width * 0.56,
        max(placed.height * 0.07, placed.width * 0.085),
        paint,
    )


def _paint_ripples(stage: Stage, placed: Placed) -> None:
    """Draw the water that closes over what floats in it."""
    near = mix(stage.tone("#1f74b0"), stage.light.sky[1], 0.3)
    half, y = placed.width * 0.56, placed.base - placed.height * 0.05
    for share, opacity in ((1.0, 0.85), (0.72, 0.55)):
        wide = half * share
        stage.path(
            f"M{placed.x - wide:.1f} {y:.1f}q{wide * 0.25:.1f} {-wide * 0.07:.1f} {wide * 0.5:.1f} "
            f"0t{wide * 0.5:.1f} 0t{wide * 0.5:.1f} 0t{wide * 0.5:.1f} 0"
            f"q{-wide * 0.2:.1f} {wide * 0.2:.1f} {-wide:.1f} {wide * 0.2:.1f}t{-wide:.1f} "
            f"{-wide * 0.2:.1f}z",
            near,
            opacity,
        )
    stage.stroke(
        f"M{placed.x - half:.1f} {y:.1f}q{half * 0.25:.1f} {-half * 0.07:.1f} {half * 0.5:.1f} "
        f"0t{half * 0.5:.1f} 0t{half * 0.5:.1f} 0t{half * 0.5:.1f} 0",
        "#ffffff",
        stage.unit * 0.003,
        0.6,
    )


def _paint_vignette(stage: Stage) -> None:
    paint = stage.radial((0.6, "#0a1020", 0), (1, "#0a1020", 0.13))
    stage.ellipse(stage.width / 2, stage.height / 2, stage.width * 0.8, stage.height * 0.8, paint)
