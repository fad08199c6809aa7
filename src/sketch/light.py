"""The light of a scene: the colours of its sky by time of day and weather, and what it does to all else."""

import random
from dataclasses import dataclass, replace
from typing import Final

from sketch.colours import Rgb, blend, luminance, mix, parse, to_hex


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of one moment."""

    sky: tuple[str, str, str]
    """From the top of the picture to the horizon."""
    haze: str
    """What far things fade into."""
    tint: str
    """What the light adds to every thing."""
    strength: float
    """How much of ``tint``, 0 to 1."""
    gain: float
    """How bright things are, 1 for full day."""
    sun: str = "#fff3b0"
    sun_height: float = 0.25
    """Of the sun or moon, as a share of the picture's height from its top."""

    @property
    def is_dark(self) -> bool:
        """Whether stars would be seen."""
        return self.gain < 0.75

    @property
    def on_things(self) -> "Light":
        """This light, a little brighter: what a picture is about must be seen in the dark, too."""
        return replace(self, gain=self.gain + (1 - self.gain) * 0.45, strength=self.strength * 0.75)

    def falls_on(self, colour: Rgb) -> Rgb:
        """Return how a colour looks in this light."""
        dimmed = (colour[0] * self.gain, colour[1] * self.gain, colour[2] * self.gain)
        return blend(dimmed, parse(self.tint), self.strength)

    def tone(self, colour: str, depth: float = 0.0) -> str:
        """Return how a colour looks in this light at a depth of 0 (near) to 1 (lost in the haze)."""
        return mix(to_hex(self.falls_on(parse(colour))), self.haze, depth)


_DAYS: Final = (
    Light(("#3f9fe8", "#86c9f4", "#dff3fb"), "#d8eef7", "#fff6d8", 0.04, 1.0),
    Light(("#4bb3e6", "#9adcf0", "#f3f7e0"), "#e3f3ea", "#fff3c4", 0.06, 1.0),
    Light(("#5a8fe6", "#a3c4f5", "#fbe9da"), "#e9e6f0", "#ffe9cf", 0.07, 1.0),
    Light(("#36aed0", "#8fd9e2", "#fdf4d4"), "#e2f1e4", "#fff2c0", 0.06, 1.0),
)
LIGHTS: Final = {
    "day": _DAYS,
    "noon": (
        replace(_DAYS[0], sky=("#2f8fe6", "#73c2f5", "#d4effc"), sun_height=0.16),
        replace(_DAYS[1], sky=("#2c9be0", "#7fd0f2", "#e4f6f4"), sun_height=0.16),
    ),
    "dawn": (
        Light(("#7fa7e0", "#f5c3c4", "#ffe6b8"), "#fbdcc8", "#ffc9a0", 0.12, 0.96, "#fff0c4", 0.5),
        Light(("#8c9be0", "#f3b8cf", "#ffdfc2"), "#f6d3d0", "#ffbfae", 0.12, 0.95, "#ffe9c0", 0.5),
    ),
    "sunset": (
        Light(("#4a3f8c", "#e0638a", "#ffb45e"), "#f29a76", "#ff7a45", 0.17, 0.88, "#ffe08a", 0.5),
        Light(("#6a3d86", "#f2704f", "#ffcf66"), "#f5a36a", "#ff8038", 0.18, 0.88, "#ffeaa0", 0.5),
        Light(("#2f4d8f", "#d9748f", "#ffc488"), "#e8a08c", "#ff8a60", 0.16, 0.88, "#fff0b0", 0.5),
    ),
    "dusk": (
        Light(("#1f2a5c", "#5b4b93", "#d987a3"), "#7d6aa2", "#4b3f8f", 0.2, 0.72, "#ffe8c0", 0.2),
        Light(("#1c3461", "#44659e", "#e0a58f"), "#7483a8", "#3f4c8f", 0.2, 0.72, "#fff0d0", 0.2),
    ),
    "night": (
        Light(("#070f2b", "#132a5c", "#2f4f8c"), "#243f73", "#14285e", 0.24, 0.66, "#fff6d6", 0.2),
        Light(("#0b0d2a", "#251f5c", "#4b3f8c"), "#332e6b", "#221f5e", 0.24, 0.66, "#fff6d6", 0.2),
        Light(("#04141f", "#0c3547", "#22657a"), "#1b4a5c", "#0f3448", 0.24, 0.66, "#f4f8e0", 0.2),
    ),
    "aurora": (Light(("#050c24", "#0d2748", "#1f5566"), "#1c4358", "#12325a", 0.24, 0.66, "#f4f8e0", 0.16),),
}  # fmt: skip
"""The lights of each time of day; the seed takes one."""


def light_for(time: str, weather: str, style: str, sky: str, rng: random.Random) -> Light:
    """Return a light for a time of day, a weather and a style; ``sky`` is a colour that the sky must have."""
    light = rng.choice(LIGHTS[time or "day"])
    if style == "neon":
        light = _NEON
    if sky:
        light = replace(
            light, sky=(mix(sky, "#000000", 0.12), sky, mix(sky, "#ffffff", 0.55)), haze=mix(sky, "#ffffff", 0.5)
        )
    return _clouded(light, _GREYNESS.get(weather, 0.0))


_NEON: Final = Light(("#12052e", "#5a1080", "#ff3d9a"), "#7a1f9a", "#8020ff", 0.22, 0.74, "#ffd166", 0.5)
_GREYNESS: Final = {"rain": 0.55, "storm": 0.8, "fog": 0.5, "cloudy": 0.35, "snow": 0.4, "wind": 0.15}


def _clouded(light: Light, greyness: float) -> Light:
    if not greyness:
        return light
    dim = 1 - 0.28 * greyness if greyness > 0.5 else 1 - 0.12 * greyness
    sky = tuple(_greyed(colour, greyness, dim) for colour in light.sky)
    return replace(
        light,
        sky=(sky[0], sky[1], sky[2]),
        haze=_greyed(light.haze, greyness, dim),
        tint=_greyed(light.tint, greyness, dim),
        gain=light.gain * (1 - 0.15 * greyness),
        strength=light.strength + 0.08 * greyness,
    )


def _greyed(colour: str, share: float, dim: float) -> str:
    rgb = parse(colour)
    grey = luminance(rgb)
    mixed = blend(rgb, (grey * 0.97, grey, grey * 1.06), share)
    return to_hex((mixed[0] * dim, mixed[1] * dim, mixed[2] * dim))
