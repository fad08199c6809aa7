"""The upper half of a scene: sky, sun, moon, stars, clouds and weather."""

import math

from sketch.colours import mix
from sketch.stage import Stage


def paint_sky(stage: Stage) -> None:
    """Paint the air from the top of the picture to below the horizon."""
    top, middle, bottom = stage.light.sky
    paint = stage.linear((0, top, 1), (0.55, middle, 1), (1, bottom, 1))
    stage.rect(0, 0, stage.width, stage.horizon + stage.height * 0.12, paint)


def paint_stars(stage: Stage, share: float = 1.0) -> None:
    """Scatter stars over a share of the height above the horizon."""
    rng, unit = stage.rng, stage.unit
    bottom = stage.horizon * share
    for size, count, opacity in ((0.0012, 110, 0.75), (0.002, 45, 0.9), (0.003, 12, 1.0)):
        spots = [
            (rng.uniform(0, stage.width), bottom * rng.random() ** 1.15, unit * size * rng.uniform(0.7, 1.3))
            for _ in range(count)
        ]
        stage.circles(spots, "#fffbe8", opacity)
    for _ in range(3):
        x, y, reach = (
            rng.uniform(0.05, 0.95) * stage.width,
            rng.uniform(0.05, 0.6) * bottom,
            unit * rng.uniform(0.008, 0.014),
        )
        thin = reach * 0.16
        stage.polygon(
            [
                (x, y - reach),
                (x + thin, y - thin),
                (x + reach, y),
                (x + thin, y + thin),
                (x, y + reach),
                (x - thin, y + thin),
                (x - reach, y),
                (x - thin, y - thin),
            ],
            "#ffffff",
            0.95,
        )


def paint_sun(stage: Stage, x: float) -> None:
    """Draw the sun with its glow."""
    y, radius, colour = stage.height * stage.light.sun_height, stage.unit * 0.07, stage.light.sun
    if stage.light.sun_height > 0.4:
        y, radius = stage.horizon - stage.unit * 0.07, stage.unit * 0.1
    glow = stage.radial((0, colour, 0.85), (0.3, colour, 0.35), (1, colour, 0))
    stage.ellipse(x, y, radius * 4.2, radius * 4.2, glow)
    stage.ellipse(x, y, radius, radius, mix(colour, "#ffffff", 0.35))


def paint_neon_sun(stage: Stage) -> None:
    """Draw a large sun cut into bands, as on record sleeves of the eighties."""
    x, radius = stage.width / 2, stage.unit * 0.26
    y = stage.horizon - radius * 0.62
    stage.ellipse(x, y, radius * 2.2, radius * 2.2, stage.radial((0.3, "#ff5fb0", 0.45), (1, "#ff5fb0", 0)))
    top, shape = -1.0, ""
    for bottom in (0.08, 0.24, 0.4, 0.56, 0.72):
        shape += _slice(x, y, radius, top, bottom)
        top = bottom + 0.045 + bottom * 0.07
    stage.path(shape, stage.linear((0, "#ffe36e", 1), (1, "#ff3d9a", 1)))


def _slice(x: float, y: float, radius: float, top: float, bottom: float) -> str:
    """Return the part of a circle between two heights, given as shares of its radius."""
    start, end = math.asin(top), math.asin(bottom)
    turns = [start + (end - start) * step / 32 for step in range(33)]
    right = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    left = [(2 * x - px, py) for px, py in reversed(right)]
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in [*right, *left]) + "z"


def paint_moon(stage: Stage, x: float, *, crescent: bool) -> None:
    """Draw the moon, full or as a crescent, with its glow."""
    y, radius, colour = stage.height * stage.light.sun_height, stage.unit * 0.062, stage.light.sun
    stage.ellipse(x, y, radius * 4, radius * 4, stage.radial((0, colour, 0.4), (0.35, colour, 0.14), (1, colour, 0)))
    if crescent:
        stage.path(
            f"M{x + radius * 0.35:.1f} {y - radius:.1f}a{radius:.1f} {radius:.1f} 0 1 "
            f"0 {radius * 0.6:.1f} {radius * 1.45:.1f}"
            f"a{radius * 0.82:.1f} {radius * 0.82:.1f} 0 0 1 {-radius * 0.6:.1f} {-radius * 1.45:.1f}"
            f"z",
            colour,
        )
        return
    stage.ellipse(x, y, radius, radius, colour)
    for dx, dy, size in ((-0.35, -0.2, 0.24), (0.3, 0.3, 0.2), (0.25, -0.4, 0.14), (-0.25, 0.45, 0.13)):
        stage.ellipse(x + dx * radius, y + dy * radius, size * radius, size * radius, mix(colour, "#8f8a70", 0.3), 0.6)


def paint_clouds(stage: Stage, count: int, heavy: bool = False) -> None:
    """Draw soft clouds; heavy ones are larger and hang low."""
    rng = stage.rng
    white = mix(stage.light.tone("#ffffff"), stage.light.sky[2], 0.15 if not stage.light.is_dark else 0.45)
    for place in range(count):
        x = stage.width * (place + rng.uniform(0.15, 0.85)) / count
        y = stage.horizon * rng.uniform(0.1, 0.5 if heavy else 0.58)
        size = stage.unit * rng.uniform(0.075, 0.13) * (1.5 if heavy else 1.0)
        _cloud(stage, x, y, size, white, 0.75 if heavy else 0.85)


def _cloud(stage: Stage, x: float, y: float, size: float, colour: str, opacity: float) -> None:
    rng = stage.rng
    puffs = [(-1.15, 0.05, 0.42), (-0.55, -0.22, 0.58), (0.15, -0.36, 0.7), (0.8, -0.08, 0.52), (1.3, 0.1, 0.34)]
    below = mix(colour, stage.light.sky[1], 0.35)
    for tone, dy, share in ((below, 0.1, opacity * 0.9), (colour, 0.0, opacity)):
        shape = [(x + dx * size, y + (py + dy) * size, r * size * rng.uniform(0.92, 1.06)) for dx, py, r in puffs]
        base = (
            f"M{x - 1.5 * size:.1f} {y + (0.34 + dy) * size:.1f}h{3.1 * size:.1f}v{0.05 * size:.1f}h{-3.1 * size:.1f}z"
        )
        _puffs(stage, shape, y + (0.4 + dy) * size, tone, share, base)


def _puffs(
    stage: Stage, shape: list[tuple[float, float, float]], floor: float, paint: str, opacity: float, base: str
) -> None:
    # One path with all arcs the same way round, so that overlaps do not show; the floor is cut flat by chords.
    data = ""
    for x, y, radius in shape:
        drop = min(radius * 0.98, max(-radius * 0.98, floor - y))
        half = math.sqrt(radius * radius - drop * drop)
        large = 1 if drop > 0 else 0
        data += f"M{x - half:.1f} {y + drop:.1f}A{radius:.1f} {radius:.1f} 0 {large} 1 {x + half:.1f} {y + drop:.1f}z"
    stage.path(data, paint, opacity)


def paint_aurora(stage: Stage) -> None:
    """Draw curtains of northern light."""
    rng, strips = stage.rng, 90
    wide = stage.width / strips
    for colour, level in (("#b06bff", 0.34), ("#48d8ff", 0.48), ("#4dffb0", 0.62)):
        paint = stage.linear(
            (0, colour, 0), (0.72, colour, 0.34), (0.92, mix(colour, "#ffffff", 0.3), 0.4), (1, colour, 0)
        )
        fold, lift = stage.rolling(stage.horizon * level, stage.horizon * 0.12, 1.3), stage.rolling(0.34, 0.1, 2.6)
        for strip in range(strips):
            x = strip * wide
            high = stage.horizon * max(0.12, lift(x) + rng.uniform(-0.03, 0.03))
            stage.rect(x, fold(x) - high, wide * 1.06, high, paint)


def paint_rainbow(stage: Stage) -> None:
    """Draw a rainbow over the horizon."""
    x, y, radius, band = stage.width * 0.5, stage.horizon + stage.height * 0.06, stage.unit * 0.62, stage.unit * 0.017
    for place, colour in enumerate(("#f2545b", "#f79d4a", "#f9e25a", "#6fcf70", "#4aa8ee", "#7a6be0", "#b26bd6")):
        r = radius - place * band
        stage.stroke(f"M{x - r:.1f} {y:.1f}A{r:.1f} {r:.1f} 0 0 1 {x + r:.1f} {y:.1f}", colour, band * 1.05, 0.55)


def paint_birds(stage: Stage) -> None:
    """Draw a few far birds."""
    rng, size = stage.rng, stage.unit * 0.012
    x, y = stage.width * rng.uniform(0.15, 0.8), stage.horizon * rng.uniform(0.25, 0.55)
    for _ in range(rng.randint(3, 5)):
        bx, by, s = x + rng.uniform(-6, 6) * size, y + rng.uniform(-3, 3) * size, size * rng.uniform(0.7, 1.1)
        stage.stroke(
            f"M{bx - s:.1f} {by - s * 0.5:.1f}q{s * 0.6:.1f} {-s * 0.3:.1f} {s:.1f} {s * 0.5:.1f}"
            f"q{s * 0.4:.1f} {-s * 0.8:.1f} {s:.1f} {-s * 0.5:.1f}",
            stage.tone("#2c3440", 0.35),
            size * 0.22,
            0.8,
        )


def paint_weather(stage: Stage, weather: str) -> None:
    """Draw what falls, drifts or flashes before everything else."""
    painter = {"rain": _rain, "storm": _storm, "snow": _snow, "fog": _fog, "wind": _wind}.get(weather)
    if painter:
        painter(stage)


def _rain(stage: Stage) -> None:
    stage.fill("#6f86a0", 0.1)
    for count, size, width, opacity in ((150, 0.024, 0.0017, 0.5), (85, 0.042, 0.0026, 0.65)):
        data = ""
        for _ in range(count):
            x, y = stage.rng.uniform(-0.02, 1.05) * stage.width, stage.rng.uniform(-0.03, 1) * stage.height
            length = stage.unit * size * stage.rng.uniform(0.7, 1.3)
            data += f"M{x:.1f} {y:.1f}l{-length * 0.22:.1f} {length:.1f}"
        stage.stroke(data, "#e6f0fa", stage.unit * width, opacity)


def _storm(stage: Stage) -> None:
    x, y, step = stage.width * stage.rng.uniform(0.2, 0.8), stage.horizon * 0.12, stage.horizon * 0.16
    stage.ellipse(
        x, y + step * 2, stage.unit * 0.42, stage.unit * 0.42, stage.radial((0, "#fff7c8", 0.45), (1, "#fff7c8", 0))
    )
    bolt = [(0, 0), (0.55, 0), (0.2, 1.25), (0.6, 1.2), (-0.15, 3.2), (0.05, 1.75), (-0.35, 1.8)]
    stage.polygon([(x + dx * step, y + dy * step) for dx, dy in bolt], "#fff6b8")
    _rain(stage)


def _snow(stage: Stage) -> None:
    rng = stage.rng
    for count, size, opacity in ((150, 0.0022, 0.75), (70, 0.0042, 0.85), (22, 0.0075, 0.9)):
        stage.circles(
            [
                (rng.uniform(0, stage.width), rng.uniform(0, stage.height), stage.unit * size * rng.uniform(0.7, 1.3))
                for _ in range(count)
            ],
            "#ffffff",
            opacity,
        )


def _fog(stage: Stage) -> None:
    haze = mix(stage.light.haze, "#ffffff", 0.25)
    stage.fill(haze, 0.18)
    for level in (0.42, 0.58, 0.74, 0.92):
        y, thick = stage.height * (level + stage.rng.uniform(-0.04, 0.04)), stage.height * stage.rng.uniform(0.09, 0.15)
        stage.rect(0, y - thick, stage.width, thick * 2, stage.linear((0, haze, 0), (0.5, haze, 0.62), (1, haze, 0)))


def _wind(stage: Stage) -> None:
    for _ in range(7):
        x, y = stage.rng.uniform(-0.1, 0.8) * stage.width, stage.rng.uniform(0.08, 0.85) * stage.height
        s = stage.unit * stage.rng.uniform(0.08, 0.16)
        curl = (
            f"c{s * 0.5:.1f} {-s * 0.25:.1f} {s:.1f} {s * 0.2:.1f} {s * 1.5:.1f} 0c{s * 0.4:.1f} "
            f"{-s * 0.2:.1f} {s * 0.1:.1f} {-s * 0.5:.1f} {-s * 0.1:.1f} {-s * 0.2:.1f}"
        )
        stage.stroke(f"M{x:.1f} {y:.1f}{curl}", "#ffffff", stage.unit * 0.005, 0.55)
