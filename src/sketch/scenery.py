"""What places are made of: grounds, waters, trees, peaks, buildings, furniture."""

import math
from typing import Final

from sketch.colours import mix
from sketch.stage import Curve, Stage


def rolling_ground(stage: Stage, green: str, bands: int) -> None:
    """Paint soft ground to the horizon in a number of bands, the nearer the darker."""
    for band in range(bands):
        share = band / max(1, bands - 1)
        level = stage.horizon + stage.height * (0.01 + 0.13 * share)
        crest = stage.rolling(level, stage.height * (0.022 - 0.008 * share), 1.0 + 0.4 * share)
        colour = mix(mix(green, "#9fd0a0", 0.3 * (1 - share)), "#3f7a38", 0.14 * share)
        bottom = mix(colour, "#2f6a30", 0.22 + 0.2 * share)
        depth = 0.34 * (1 - share)
        stage.land(
            crest,
            stage.linear((0, stage.tone(mix(colour, "#f4f5b0", 0.14), depth), 1), (0.6, stage.tone(bottom, depth), 1)),
        )


def far_range(stage: Stage) -> None:
    """Paint two ranges of blue mountains far away."""
    for depth, lift, colour in ((0.72, 0.13, "#5f7fa8"), (0.52, 0.075, "#54789a")):
        level = stage.horizon - stage.height * (lift - 0.04)
        stage.land(_jagged(stage, level), stage.tone(colour, depth))


def _jagged(stage: Stage, level: float) -> Curve:
    ridge, jag = stage.rolling(level, stage.height * 0.035, 1.7), stage.rolling(0, stage.height * 0.012, 7)
    return lambda x: ridge(x) + jag(x)


def far_hills(stage: Stage, colour: str) -> None:
    """Paint one low line of hills behind the horizon."""
    stage.land(stage.rolling(stage.horizon - stage.height * 0.03, stage.height * 0.02, 1.6), stage.tone(colour, 0.45))


def peaks(stage: Stage) -> None:
    """Paint a row of mountains with snow on them."""
    rng = stage.rng
    count = 4 if stage.width < stage.height else 5
    order = sorted(range(count), key=lambda place: (place % 2, rng.random()))
    base = stage.horizon + stage.height * 0.04
    for rank, place in enumerate(order):
        x = stage.width * (place + 0.5 + rng.uniform(-0.18, 0.18)) / count
        tall = stage.height * rng.uniform(0.3, 0.42) * (1 - 0.3 * (place % 2))
        _peak(stage, x, base, min(tall, base * 0.8), tall * rng.uniform(0.62, 0.8), 0.4 - 0.26 * rank / count)


_PEAK: Final = ((-1, 1), (-0.55, 0.52), (-0.3, 0.33), (0, 0), (0.34, 0.36), (0.6, 0.6), (1, 1))
_PEAK_SHADE: Final = ((0, 0), (0.06, 0.22), (-0.1, 0.45), (0.1, 1), (1, 1), (0.6, 0.6), (0.34, 0.36))
_SNOW_LIT: Final = ((0, 0), (-0.28, 0.31), (-0.17, 0.26), (-0.1, 0.36), (0, 0.28), (0.03, 0.33), (0.06, 0.22))
_SNOW_SHADE: Final = ((0, 0), (0.06, 0.22), (0.03, 0.33), (0.12, 0.27), (0.2, 0.35), (0.3, 0.315))
"""Outlines in halves of a peak's width, from its middle, and in its heights, from its top."""


def _peak(stage: Stage, x: float, base: float, tall: float, half: float, depth: float) -> None:
    rock, top = stage.rng.choice(("#7d8796", "#867f8c", "#768894")), base - tall
    for outline, colour, haze in (
        (_PEAK, rock, 1.0),
        (_PEAK_SHADE, mix(rock, "#2b3350", 0.4), 1.0),
        (_SNOW_LIT, "#ffffff", 0.7),
        (_SNOW_SHADE, "#c3d3ea", 0.7),
    ):
        points = [(x + across * half, top + down * tall) for across, down in outline]
        stage.polygon(points, stage.tone(colour, depth * haze))


def firs_along(stage: Stage, ground: Curve, *, count: int, size: float, depth: float) -> None:
    """Plant firs along a curve; ``size`` is a share of the shorter edge."""
    rng = stage.rng
    for place in range(count):
        x = stage.width * (place + rng.uniform(0.05, 0.95)) / count
        tall = stage.unit * size * rng.uniform(0.72, 1.2)
        _fir(stage, x, ground(x) + rng.uniform(0, 0.012) * stage.height, tall, depth)


def _fir(stage: Stage, x: float, base: float, tall: float, depth: float) -> None:
    green = stage.rng.choice(("#2f6b4a", "#37754c", "#2a5f48"))
    half = tall * 0.29
    stage.rect(x - tall * 0.025, base - tall * 0.14, tall * 0.05, tall * 0.14, stage.tone("#6a4a34", depth))
    data = shade = ""
    for tier, (top, bottom, share) in enumerate(((1.0, 0.55, 0.55), (0.78, 0.32, 0.8), (0.56, 0.1, 1.0))):
        y, low, reach = base - tall * top, base - tall * bottom, half * share
        data += f"M{x:.1f} {y:.1f}L{x + reach:.1f} {low:.1f}Q{x:.1f} {low + tall * 0.05:.1f} {x - reach:.1f} {low:.1f}z"
        shade += (
            f"M{x:.1f} {y + tall * 0.08 * tier:.1f}L{x + reach:.1f} {low:.1f}Q{x + reach * 0.5:.1f} "
            f"{low + tall * 0.03:.1f} {x + reach * 0.1:.1f} {low + tall * 0.025:.1f}z"
        )
    stage.path(data, stage.tone(green, depth))
    if depth < 0.6:
        stage.path(shade, stage.tone(mix(green, "#10301f", 0.4), depth), 0.75)


def trees_along(stage: Stage, ground: Curve, *, count: int, size: float, depth: float) -> None:
    """Plant round trees along a curve; ``size`` is a share of the shorter edge."""
    rng = stage.rng
    for place in range(count):
        x = stage.width * (place + rng.uniform(0.1, 0.9)) / count
        tall = stage.unit * size * rng.uniform(0.75, 1.2)
        _round_tree(stage, x, ground(x), tall, depth)


def _round_tree(stage: Stage, x: float, base: float, tall: float, depth: float) -> None:
    green = stage.rng.choice(("#5b9a4a", "#6aa84f", "#4d8c4b", "#78ac4c"))
    stage.polygon(
        [
            (x - tall * 0.045, base),
            (x - tall * 0.025, base - tall * 0.5),
            (x + tall * 0.025, base - tall * 0.5),
            (x + tall * 0.045, base),
        ],
        stage.tone("#7a5638", depth),
    )
    crown = ((0, -0.72, 0.27), (-0.19, -0.55, 0.2), (0.2, -0.53, 0.21), (0.02, -0.48, 0.22))
    stage.circles(
        [(x + dx * tall, base + dy * tall, r * tall) for dx, dy, r in crown],
        stage.tone(mix(green, "#1e4a2a", 0.28), depth),
    )
    stage.circles(
        [(x + (dx - 0.03) * tall, base + (dy - 0.04) * tall, r * tall * 0.8) for dx, dy, r in crown],
        stage.tone(green, depth),
    )
    stage.circles(
        [(x - tall * 0.09, base - tall * 0.82, tall * 0.1)], stage.tone(mix(green, "#f0f5a8", 0.3), depth), 0.7
    )


def acacia(stage: Stage, x: float, base: float, tall: float) -> None:
    """Draw a flat-topped tree."""
    trunk, crown = stage.tone("#6b4a2f", 0.12), stage.tone("#6f8a3c", 0.12)
    stage.stroke(
        f"M{x:.1f} {base:.1f}q{tall * 0.02:.1f} {-tall * 0.4:.1f} {-tall * 0.12:.1f} "
        f"{-tall * 0.85:.1f}M{x:.1f} {base - tall * 0.4:.1f}q{tall * 0.1:.1f} {-tall * 0.3:.1f} "
        f"{tall * 0.28:.1f} {-tall * 0.42:.1f}",
        trunk,
        tall * 0.06,
    )
    for dx, dy, rx in ((0, -0.92, 0.62), (-0.3, -0.84, 0.36), (0.34, -0.83, 0.4)):
        stage.ellipse(x + dx * tall, base + dy * tall, rx * tall, tall * 0.11, crown)


def tree_line(stage: Stage) -> None:
    """Draw the far edge of a wood."""
    colour = stage.tone("#55894f", 0.42)
    y, size = stage.horizon + stage.height * 0.012, stage.unit * 0.022
    stage.circles(
        [(x, y - stage.rng.uniform(0, 0.6) * size, size * stage.rng.uniform(0.6, 1.3)) for x in stage.across(40)],
        colour,
    )


def footpath(stage: Stage, colour: str) -> None:
    """Draw a path that winds to the horizon."""
    x, y, bottom = stage.width * stage.rng.uniform(0.42, 0.58), stage.horizon + stage.height * 0.05, stage.height
    bend, wide = stage.width * stage.rng.choice((-0.16, 0.16)), stage.width * 0.13
    reach = bottom - y
    stage.path(
        f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y + reach * 0.3:.1f} {x - bend:.1f} {y + reach * 0.6:.1f} "
        f"{x - wide:.1f} {bottom:.1f}H{x + wide * 1.2:.1f}"
        f"C{x - bend * 0.3:.1f} {y + reach * 0.6:.1f} {x + bend * 1.25:.1f} {y + reach * 0.3:.1f} "
        f"{x + 6:.1f} {y:.1f}z",
        stage.tone(colour, 0.05),
    )


def grass(stage: Stage, count: int, colour: str = "#4f8f3c") -> None:
    """Scatter tufts of grass, the nearer the larger."""
    rng = stage.rng
    data = ""
    top = stage.horizon + stage.height * 0.16
    for _ in range(count):
        y = top + (stage.height - top) * rng.random()
        x, size = rng.uniform(0, stage.width), stage.unit * 0.022 * (0.5 + (y - top) / (stage.height - top))
        data += (
            f"M{x - size * 0.3:.1f} {y:.1f}l{-size * 0.25:.1f} {-size:.1f}l{size * 0.3:.1f} "
            f"{size * 0.8:.1f}l{size * 0.15:.1f} {-size * 1.1:.1f}l{size * 0.25:.1f} "
            f"{size * 1.05:.1f}l{size * 0.3:.1f} {-size * 0.75:.1f}l{-size * 0.15:.1f} "
            f"{size * 0.8:.1f}z"
        )
    stage.path(data, stage.tone(colour), 0.6)


def flowers(stage: Stage, count: int) -> None:
    """Scatter flowers of five petals, the nearer the larger."""
    rng = stage.rng
    top = stage.horizon + stage.height * 0.13
    spots: dict[str, list[tuple[float, float, float]]] = {
        colour: [] for colour in ("#ffffff", "#f9d648", "#ee6f8e", "#a887e0")
    }
    hearts = []
    for _ in range(count):
        y = top + (stage.height - top) * rng.random()
        x, size = rng.uniform(0, stage.width), stage.unit * 0.0045 * (0.5 + 1.3 * (y - top) / (stage.height - top))
        petals = spots[rng.choice(list(spots))]
        petals += [
            (x + math.cos(turn) * size, y + math.sin(turn) * size, size * 0.78)
            for turn in (0.3, 1.56, 2.81, 4.07, 5.33)
        ]
        hearts.append((x, y, size * 0.62))
    for colour, petals in spots.items():
        stage.circles(petals, stage.tone(colour))
    stage.circles(hearts, stage.tone("#f2a93b"))


def specks(stage: Stage, top: float, colour: str, count: int) -> None:
    """Scatter grains of sand."""
    rng = stage.rng
    stage.circles(
        [
            (rng.uniform(0, stage.width), rng.uniform(top, stage.height), stage.unit * rng.uniform(0.0008, 0.0022))
            for _ in range(count)
        ],
        stage.tone(colour),
        0.6,
    )


def water(stage: Stage, top: float, bottom: float) -> None:
    """Paint water with ripples."""
    rng = stage.rng
    far, near = mix(stage.tone("#3fa0cf"), stage.light.sky[2], 0.4), mix(stage.tone("#1c6aa8"), stage.light.sky[0], 0.2)
    stage.rect(
        0, top, stage.width, bottom - top, stage.linear((0, far, 1), (0.35, mix(far, near, 0.55), 1), (1, near, 1))
    )
    for bright, opacity, count in (("#ffffff", 0.3, 46), (near, 0.45, 30)):
        data = ""
        for _ in range(count):
            share = rng.random() ** 1.4
            y, length = (
                top + (bottom - top) * (0.03 + 0.95 * share),
                stage.unit * (0.02 + 0.09 * share) * rng.uniform(0.6, 1.2),
            )
            x, lift = rng.uniform(-0.05, 1) * stage.width, length * 0.09
            data += f"M{x:.1f} {y:.1f}q{length * 0.25:.1f} {-lift:.1f} {length * 0.5:.1f} 0t{length * 0.5:.1f} 0"
        stage.stroke(data, mix(bright, stage.light.sky[2], 0.25), stage.unit * 0.0028, opacity)


def paint_glint(stage: Stage, x: float) -> None:
    """Draw the path of light that a low sun or the moon lays on water."""
    rng, colour = stage.rng, stage.light.sun
    for step in range(16):
        share = step / 16
        y = stage.horizon + (stage.height - stage.horizon) * (0.02 + 0.8 * share)
        half = stage.unit * (0.03 + 0.1 * share) * rng.uniform(0.5, 1)
        stage.ellipse(
            x + rng.uniform(-0.3, 0.3) * half, y, half, stage.unit * (0.0022 + 0.003 * share), colour, 0.5 - 0.4 * share
        )


def reeds(stage: Stage) -> None:
    """Draw reeds at both lower corners."""
    rng = stage.rng
    for side in (0.0, 0.86):
        for _ in range(9):
            x, base, tall = (
                (side + rng.uniform(0, 0.14)) * stage.width,
                stage.height,
                stage.unit * rng.uniform(0.09, 0.17),
            )
            lean = rng.uniform(-0.15, 0.15) * tall
            stage.stroke(
                f"M{x:.1f} {base:.1f}q0 {-tall * 0.6:.1f} {lean:.1f} {-tall:.1f}",
                stage.tone("#4f7f3f"),
                stage.unit * 0.004,
            )
            stage.ellipse(x + lean, base - tall, stage.unit * 0.006, stage.unit * 0.02, stage.tone("#7a5230"))


def cottage(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a small house, far away."""
    rng, depth = stage.rng, 0.2
    wall, roof = rng.choice(("#f4e6cf", "#efd9c0", "#e8e2da")), rng.choice(("#b5533e", "#9c4a3a", "#c26a48", "#7d5a54"))
    stage.rect(x - size * 0.5, base - size * 0.6, size, size * 0.6, stage.tone(wall, depth))
    stage.polygon(
        [(x - size * 0.62, base - size * 0.58), (x, base - size * 1.1), (x + size * 0.62, base - size * 0.58)],
        stage.tone(roof, depth),
    )
    glass = "#ffd979" if stage.light.is_dark else stage.tone("#7fa8c4", depth)
    for dx in (-0.3, 0.1):
        stage.rect(x + dx * size, base - size * 0.45, size * 0.2, size * 0.2, glass)


def skyline(stage: Stage, depth: float, count: int, tall: float) -> None:
    """Draw a row of towers; ``tall`` is a share of the height."""
    rng = stage.rng
    x = -stage.width * 0.03
    while x < stage.width:
        wide = stage.width / count * rng.uniform(0.65, 1.25)
        high = min(stage.height * tall, stage.horizon * 0.9) * (0.42 + 0.62 * rng.random() ** 1.5)
        _tower(stage, x, wide, high, depth)
        x += wide * rng.uniform(0.95, 1.12)


def _tower(stage: Stage, x: float, wide: float, high: float, depth: float) -> None:
    rng, base = stage.rng, stage.horizon + 2
    colour = rng.choice(("#7c8ba0", "#94867f", "#6f7f96", "#a08f86", "#5f7590", "#8a7f94"))
    stage.rect(
        x,
        base - high,
        wide,
        high,
        stage.linear(
            (0, stage.tone(mix(colour, "#ffffff", 0.12), depth), 1),
            (1, stage.tone(colour, depth * 0.85), 1),
            across=True,
        ),
    )
    if rng.random() < 0.3:
        stage.rect(x + wide * 0.3, base - high - wide * 0.18, wide * 0.4, wide * 0.2, stage.tone(colour, depth))
        stage.rect(x + wide * 0.48, base - high - wide * 0.5, wide * 0.04, wide * 0.4, stage.tone(colour, depth))
    if depth > 0.6:
        return
    columns, step = max(2, int(wide / (stage.unit * 0.024))), stage.unit * 0.03
    cell = wide / (columns + 0.6)
    panes = {True: "", False: ""}
    for row in range(1, int(high / step)):
        for column in range(columns):
            lit = rng.random() < 0.55
            panes[lit] += (
                f"M{x + cell * (column + 0.5):.1f} {base - high + row * step - step * 0.35:.1f}"
                f"h{cell * 0.6:.1f}v{step * 0.5:.1f}h{-cell * 0.6:.1f}z"
            )
    if stage.light.is_dark:
        stage.path(panes[True], mix("#ffd873", stage.light.haze, depth * 0.7), 0.95)
        stage.path(panes[False], stage.tone("#2c3850", depth), 0.6)
    else:
        stage.path(panes[True], stage.tone("#dcebf5", depth), 0.7)
        stage.path(panes[False], stage.tone("#536a86", depth), 0.6)


def terrace(stage: Stage) -> None:
    """Draw a row of town houses."""
    rng, base = stage.rng, stage.horizon + stage.height * 0.005
    x = -stage.width * 0.02
    while x < stage.width:
        wide, high = stage.unit * rng.uniform(0.17, 0.24), stage.height * rng.uniform(0.2, 0.3)
        colour = rng.choice(("#d98f6a", "#e3c28a", "#8fb0b8", "#c97a72", "#b9c49a", "#dcd2c2"))
        stage.rect(x, base - high, wide, high, stage.tone(colour, 0.1))
        stage.rect(x - 2, base - high, wide + 4, stage.height * 0.014, stage.tone(mix(colour, "#3d2a20", 0.45), 0.1))
        glass = "#ffdf8a" if stage.light.is_dark else stage.tone("#9fc3d8", 0.1)
        for row in (0.2, 0.48):
            for column in (0.16, 0.6):
                stage.rect(
                    x + wide * column, base - high * (1 - row), wide * 0.24, high * 0.18, stage.tone("#f4efe6", 0.1)
                )
                stage.rect(x + wide * (column + 0.02), base - high * (1 - row - 0.01), wide * 0.2, high * 0.15, glass)
        stage.rect(
            x + wide * 0.4, base - high * 0.25, wide * 0.2, high * 0.25, stage.tone(mix(colour, "#2d1d16", 0.6), 0.05)
        )
        x += wide


def paving(stage: Stage) -> None:
    """Draw the joints of a square."""
    top = stage.horizon + stage.height * 0.03
    data = "".join(f"M0 {top + (stage.height - top) * share:.1f}H{stage.width}" for share in (0.1, 0.26, 0.48, 0.76))
    middle = stage.width / 2
    data += "".join(
        f"M{middle + place * stage.width * 0.07:.1f} {top:.1f}L{middle + place * stage.width * 0.2:.1f} {stage.height}"
        for place in range(-8, 9)
    )
    stage.stroke(data, stage.tone("#6a7078"), 1.6, 0.4)


def cratered(stage: Stage, colour: str) -> None:
    """Paint ground with craters."""
    rng = stage.rng
    stage.land(
        stage.rolling(stage.horizon + stage.height * 0.02, stage.height * 0.02, 1.3),
        stage.linear(
            (0, stage.tone(mix(colour, "#ffffff", 0.15)), 1), (1, stage.tone(mix(colour, "#000000", 0.35)), 1)
        ),
    )
    for _ in range(18):
        y = stage.horizon + (stage.height - stage.horizon) * rng.uniform(0.16, 1)
        size = stage.unit * 0.075 * (y - stage.horizon) / (stage.height - stage.horizon) * rng.uniform(0.5, 1.3)
        x = rng.uniform(0, stage.width)
        stage.ellipse(x, y, size, size * 0.36, stage.tone(mix(colour, "#000000", 0.32)))
        stage.ellipse(x, y + size * 0.09, size * 0.92, size * 0.28, stage.tone(mix(colour, "#000000", 0.16)))


def weed(stage: Stage, x: float, base: float, tall: float) -> None:
    """Draw a seaweed."""
    colour = stage.rng.choice(("#2f9a6a", "#3faf78", "#4a8f3f", "#1f7f6a"))
    for lean in (-0.25, 0.05, 0.3):
        reach = tall * (1 - abs(lean))
        stage.stroke(
            f"M{x:.1f} {base:.1f}q{reach * (lean + 0.25):.1f} {-reach * 0.35:.1f} {reach * lean:.1f} "
            f"{-reach * 0.6:.1f}t{reach * lean * 0.6:.1f} {-reach * 0.45:.1f}",
            stage.tone(colour, 0.08),
            stage.unit * 0.011,
            0.9,
        )


def coral(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a coral."""
    colour = stage.tone(stage.rng.choice(("#ff6f7d", "#ff9a5a", "#d66bd0", "#f7c04a")), 0.1)
    data = "".join(
        f"M{x:.1f} {base:.1f}q{dx * size * 0.4:.1f} {-size * 0.7:.1f} {dx * size:.1f} {-size * high:.1f}"
        for dx, high in ((-0.7, 1.1), (-0.25, 1.6), (0.2, 1.35), (0.65, 1.0))
    )
    stage.stroke(data, colour, size * 0.24)


def window(stage: Stage, x: float, y: float, size: float) -> None:
    """Draw a window with curtains and the sky behind it."""
    left, top, wide, high = x - size * 0.42, y - size * 0.5, size * 0.84, size
    border = size * 0.045
    sky = stage.light.sky
    stage.rect(left - border, top - border, wide + 2 * border, high + 2 * border, stage.tone("#fdfaf3"))
    stage.rect(left, top, wide, high, stage.linear((0, sky[0], 1), (0.6, sky[1], 1), (1, sky[2], 1)))
    stage.rect(x - border * 0.4, top, border * 0.8, high, stage.tone("#fdfaf3"))
    stage.rect(left, y - border * 0.4, wide, border * 0.8, stage.tone("#fdfaf3"))
    stage.rect(left - border * 2, top + high + border, wide + border * 4, border * 1.3, stage.tone("#efe6d6"))
    curtain = stage.tone(stage.rng.choice(("#d9776a", "#7aa3b8", "#b9a3d0", "#e0b060")))
    for side in (-1, 1):
        edge = x + side * (wide / 2 + border * 2)
        stage.path(
            f"M{edge:.1f} {top - border * 2:.1f}h{-side * wide * 0.3:.1f}q{side * wide * 0.04:.1f} "
            f"{high * 0.7:.1f} {side * wide * 0.16:.1f} {high + border * 3:.1f}H{edge:.1f}"
            f"z",
            curtain,
            0.92,
        )
    stage.rect(
        left - border * 3,
        top - border * 2.6,
        wide + border * 6,
        border * 0.8,
        stage.tone("#8a6a4a"),
        round_=border * 0.4,
    )


def framed_picture(stage: Stage, x: float, y: float, size: float) -> None:
    """Draw a framed landscape."""
    stage.rect(x - size * 0.5, y - size * 0.4, size, size * 0.8, stage.tone("#a9804f"))
    stage.rect(x - size * 0.43, y - size * 0.33, size * 0.86, size * 0.66, stage.tone("#f7f1e4"))
    stage.rect(x - size * 0.34, y - size * 0.25, size * 0.68, size * 0.5, stage.tone("#bcd9e8"))
    stage.polygon(
        [
            (x - size * 0.34, y + size * 0.25),
            (x - size * 0.08, y - size * 0.08),
            (x + size * 0.08, y + size * 0.1),
            (x + size * 0.2, y),
            (x + size * 0.34, y + size * 0.25),
        ],
        stage.tone("#6f9f78"),
    )
