"""Where a scene is drawn: a canvas in pixels with a horizon and a light, which collects SVG elements."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sketch.light import Light

Point: TypeAlias = tuple[float, float]
Curve: TypeAlias = Callable[[float], float]
"""A height in pixels for each x."""


@dataclass(slots=True)
class Stage:
    """A canvas, its light and its source of chance. Lengths are in pixels, y grows downwards."""

    width: int
    height: int
    horizon: float
    light: Light
    rng: random.Random
    elements: list[str] = field(default_factory=list)
    _gradients: int = 0

    @property
    def unit(self) -> float:
        """The shorter edge: what sizes of things go by."""
        return min(self.width, self.height)

    @property
    def svg(self) -> str:
        """Everything drawn so far."""
        return "".join(self.elements)

    def add(self, element: str) -> None:
        """Draw an SVG element over what is there."""
        self.elements.append(element)

    def tone(self, colour: str, depth: float = 0.0) -> str:
        """Return how a colour looks in the light of this scene."""
        return self.light.tone(colour, depth)

    def linear(self, *stops: tuple[float, str, float], across: bool = False) -> str:
        """Return a paint that runs down (or across) a shape through ``(offset, colour, opacity)`` stops."""
        name = self._next()
        direction = 'x2="1" y2="0"' if across else 'x2="0" y2="1"'
        self.add(f'<linearGradient id="{name}" x1="0" y1="0" {direction}>{_stops(stops)}</linearGradient>')
        return f"url(#{name})"

    def radial(self, *stops: tuple[float, str, float]) -> str:
        """Return a paint that runs from the middle of a shape to its edge."""
        name = self._next()
        self.add(f'<radialGradient id="{name}">{_stops(stops)}</radialGradient>')
        return f"url(#{name})"

    def fill(self, paint: str, opacity: float = 1.0) -> None:
        """Paint the whole canvas."""
        self.rect(0, 0, self.width, self.height, paint, opacity)

    def rect(
        self, x: float, y: float, width: float, height: float, paint: str, opacity: float = 1.0, round_: float = 0
    ) -> None:
        """Draw a rectangle with corners of radius ``round_``."""
        corner = f' rx="{round_:.1f}"' if round_ else ""
        self.add(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{corner}{_paint(paint, opacity)}/>'
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float, paint: str, opacity: float = 1.0) -> None:
        """Draw an ellipse around a middle."""
        self.add(f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}"{_paint(paint, opacity)}/>')

    def circles(self, circles: Iterable[tuple[float, float, float]], paint: str, opacity: float = 1.0) -> None:
        """Draw circles ``(x, y, radius)`` as one shape."""
        arcs = "".join(
            f"M{x - r:.1f} {y:.1f}a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0z"
            for x, y, r in circles
        )
        self.path(arcs, paint, opacity)

    def polygon(self, points: Sequence[Point], paint: str, opacity: float = 1.0) -> None:
        """Draw a closed shape with straight edges."""
        self.path("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "z", paint, opacity)

    def path(self, data: str, paint: str, opacity: float = 1.0) -> None:
        """Draw a filled path."""
        if data:
            self.add(f'<path d="{data}"{_paint(paint, opacity)}/>')

    def stroke(self, data: str, colour: str, width: float, opacity: float = 1.0) -> None:
        """Draw a path as a line."""
        if data:
            self.add(
                f'<path d="{data}" fill="none" stroke="{colour}" stroke-width="{width:.1f}" '
                f'stroke-linecap="round" stroke-linejoin="round" stroke-opacity="{opacity:.2f}"/>'
            )

    def land(self, top: Curve, paint: str, opacity: float = 1.0) -> None:
        """Fill everything below a curve."""
        edge = [(x, top(x)) for x in self.across(64)]
        self.polygon([(0, self.height), *edge, (self.width, self.height)], paint, opacity)

    def across(self, steps: int) -> list[float]:
        """Return places from the left edge to the right edge."""
        return [self.width * step / steps for step in range(steps + 1)]

    def rolling(self, level: float, swing: float, waves: float = 1.5) -> Curve:
        """Return a soft, random up and down around a level."""
        parts = [
            (swing / (n + 1), waves * (n + 1) * self.rng.uniform(0.8, 1.25), self.rng.uniform(0, math.tau))
            for n in range(3)
        ]
        span = math.tau / self.width

        def height(x: float) -> float:
            return level + sum(size * math.sin(x * span * count + phase) for size, count, phase in parts)

        return height

    def _next(self) -> str:
        self._gradients += 1
        return f"g{self._gradients}"


def flat(level: float) -> Curve:
    """Return the curve that stays at a level."""
    return lambda x: level


def _paint(paint: str, opacity: float) -> str:
    return f' fill="{paint}"' + (f' fill-opacity="{opacity:.2f}"' if opacity < 1 else "")


def _stops(stops: Iterable[tuple[float, str, float]]) -> str:
    return "".join(
        f'<stop offset="{offset}" stop-color="{colour}" stop-opacity="{opacity}"/>' for offset, colour, opacity in stops
    )
