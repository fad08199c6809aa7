"""Where things go: groups that belong together first, then the groups on the canvas."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sketch.icons import Icon
from sketch.natures import MOUNTS, SEATS, USUAL_SEAT, Element, element_of, is_bust, usual_size
from sketch.reading import Reading, Thing

FLOATING: Final = frozenset({"space", "underwater", "clouds", "abstract", "pattern"})
"""Settings without a ground: things hang anywhere."""

_WET: Final = frozenset({"sea", "lake", "beach"})
_MARGIN: Final = 0.06
_GAP: Final = 0.14
"""Between groups, in units."""
_OFF_THE_GROUND: Final = frozenset({"on", "in", "held", "held overhead", "worn", "above", "riding", "riding a bust"})
_LIMITS: Final = {
    "held": (0.42, 0.6), "held overhead": (0.95, 1.1), "worn": (0.3, 0.5), "in": (0.75, 0.9), "under": (0.48, 2.0),
    "on": (0.95, 1.15), "riding": (0.8, 1.0), "riding a bust": (0.62, 0.9),
}  # fmt: skip
"""How high and wide a thing may be in a relation, as shares of the thing it relates to."""

_OVERLAY: Final = 0.33
"""Height of a thing added to a picture, as a share of the picture's shorter edge."""

_SMALL: Final = 0.46
"""Share of the room's height below which a row of things is too low."""

_MOST_PLACED: Final = 24
_TWO_ROWS_FROM: Final = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """One icon on the canvas. Lengths are in pixels when placed, in units (a person is 1) within a group."""

    icon: Icon
    x: float
    """The middle of what is painted."""
    base: float
    """The lower edge of what is painted; y grows downwards."""
    height: float
    """Of what is painted."""
    element: Element
    colour: str = ""
    flipped: bool = False
    depth: float = 0.0
    """How far away, 0 to 1."""
    aloft: bool = False
    """Whether it stands on another thing, so that no shadow falls on the ground."""

    @property
    def width(self) -> float:
        """Of what is painted."""
        return self.height * self.icon.width / max(1, self.icon.height)

    @property
    def top(self) -> float:
        """The upper edge of what is painted."""
        return self.base - self.height

    def moved(self, x: float, base: float, scale: float = 1.0) -> "Placed":
        """Return it scaled around the origin, then moved."""
        return replace(self, x=self.x * scale + x, base=self.base * scale + base, height=self.height * scale)


@dataclass(frozen=True, slots=True)
class Group:
    """Things that hang together, around an origin on the ground, in the order they are painted."""

    members: tuple[Placed, ...]
    place: str
    element: Element

    @property
    def left(self) -> float:
        """The left edge, in units."""
        return min(each.x - each.width / 2 for each in self.members)

    @property
    def right(self) -> float:
        """The right edge, in units."""
        return max(each.x + each.width / 2 for each in self.members)

    @property
    def width(self) -> float:
        """In units."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Above the ground, in units."""
        return max(-each.top for each in self.members)

    def at(self, x: float, base: float, scale: float) -> list[Placed]:
        """Return the members with the group's middle at ``x`` and its ground at ``base``, in pixels."""
        middle = (self.left + self.right) / 2
        return [each.moved(x - middle * scale, base, scale) for each in self.members]


def arrange(reading: Reading, setting: str, size: tuple[int, int], horizon: float, rng: random.Random) -> list[Placed]:
    """Return every thing of the reading at its place, in the order they are painted."""
    groups = [group for group in _groups(reading.things, setting, rng) if group.members]
    if not groups:
        return []
    if setting in FLOATING:
        return _floating(groups, size, rng)
    high = [group for group in groups if group.element == "sky"]
    low = [group for group in groups if group.element != "sky"]
    placed = _in_the_sky(high, size, horizon, rng, alone=not low) if high else []
    return [*placed, *_on_the_ground(low, setting, size, horizon, rng)] if low else placed


def overlay(
    reading: Reading, size: tuple[int, int], spot: tuple[float, float] | None, rng: random.Random
) -> list[Placed]:
    """Return the things of the reading placed on an existing picture, around ``spot`` (shares of width and height)."""
    width, height = size
    groups = list(_groups(reading.things, "hills", rng))
    aloft = all(group.element == "sky" for group in groups)
    across, down = spot or (rng.choice((0.27, 0.73)) + rng.uniform(-0.06, 0.06), 0.2 if aloft else 0.74)
    total = sum(group.width + _GAP for group in groups) - _GAP
    tallest = max(group.height for group in groups)
    wished = max(thing.size for thing in reading.things)
    unit = min(_OVERLAY * rng.uniform(0.9, 1.1) * min(size) * min(1.6, wished) / tallest, width * 0.86 / total)
    x = min(max(across * width - total * unit / 2, width * 0.03), width * 0.97 - total * unit)
    base = min(max(down * height + tallest * unit / 2, tallest * unit + height * 0.03), height * 0.97)
    placed: list[Placed] = []
    for group in groups:
        members = group.at(x + group.width * unit / 2, base, unit)
        placed += [replace(each, aloft=each.aloft or aloft or down < 0.45) for each in members]
        x += (group.width + _GAP) * unit
    return placed


# Groups.


def _groups(things: Sequence[Thing], setting: str, rng: random.Random) -> Iterable[Group]:
    """Yield a group per thing that nothing else carries, with all that hangs on it."""
    left = _MOST_PLACED
    for index, thing in enumerate(things):
        if thing.relation and thing.other != index and _root(things, index) != index:
            continue
        members = _with_dependants(things, index, setting, rng, set())
        members = members[: max(1, left)]
        left -= len(members)
        split = len(members) > 1 and all(member.icon is thing.icon for member in members)
        element = _element(thing, setting)
        if split and (element == "sky" or setting in FLOATING):
            for member in members:
                yield Group((replace(member, x=0.0, base=0.0),), thing.place, element)
        else:
            yield Group(tuple(members), thing.place, element)


def _root(things: Sequence[Thing], index: int) -> int:
    """Return the thing that carries all others of its group; a circle of relations has none but its start."""
    seen = {index}
    while things[index].relation and things[index].other not in seen:
        index = things[index].other
        seen.add(index)
    return index


def _element(thing: Thing, setting: str) -> Element:
    if thing.place == "sky":
        return "sky"
    element = element_of(thing.icon)
    if element == "sky" and setting in {"table", "room"}:
        return "ground"
    if thing.place == "water" or (setting == "sea" and element == "ground") or (element == "water" and setting in _WET):
        return "water"
    return "sky" if element == "sky" and thing.place not in {"front", "centre"} else "ground"


def _with_dependants(
    things: Sequence[Thing], index: int, setting: str, rng: random.Random, seen: set[int]
) -> list[Placed]:
    seen.add(index)
    members = _row(things[index], setting, rng)
    carried: dict[str, list[Placed]] = {}
    for other, thing in enumerate(things):
        if thing.relation and thing.other == index and other not in seen:
            dependants = _with_dependants(things, other, setting, rng, seen)
            carried[thing.relation] = _side_by_side(carried.get(thing.relation, []), dependants)
    for relation, dependants in carried.items():
        members = _related(members, dependants, relation)
    return members


def _side_by_side(left: list[Placed], right: list[Placed]) -> list[Placed]:
    if not left:
        return right
    start = Group(tuple(left), "", "ground").right - Group(tuple(right), "", "ground").left + _GAP / 3
    return [*left, *(each.moved(start, 0) for each in right)]


def _row(thing: Thing, setting: str, rng: random.Random) -> list[Placed]:
    """Return a thing as often as it is asked for, side by side and a little uneven."""
    height = usual_size(thing.icon) * thing.size
    element = _element(thing, setting)
    first = Placed(thing.icon, 0.0, 0.0, height, element, thing.colour)
    rows = 1 if thing.count < _TWO_ROWS_FROM else 2
    per_row = math.ceil(thing.count / rows)
    members = []
    for place in range(thing.count):
        row, column = divmod(place, per_row)
        back = rows - 1 - row
        in_row = min(per_row, thing.count - row * per_row)
        x = (column - (in_row - 1) / 2 + 0.25 * back) * first.width * 1.06
        uneven = 0.0 if thing.count == 1 else rng.uniform(-0.04, 0.04) * height
        size = 1.0 if thing.count == 1 else rng.uniform(0.9, 1.06)
        flipped = rng.random() < (0.5 if thing.count == 1 else 0.3)
        members.append(
            replace(
                first,
                x=x,
                base=uneven - back * height * 0.42,
                height=height * size * (0.86 if back else 1.0),
                flipped=flipped,
            )
        )
    return sorted(members, key=lambda member: member.base)


def _related(hosts: list[Placed], carried: list[Placed], relation: str) -> list[Placed]:
    """Return both, with what is carried brought into its relation to the (last) host."""
    host = max(hosts, key=lambda each: each.base)
    group = Group(tuple(carried), "", "ground")
    if relation == "on" and host.icon.name in MOUNTS:
        relation = "riding a bust" if all(is_bust(each.icon) for each in carried) else "riding"
    if relation == "held" and carried[0].icon.name == "umbrella":
        relation = "held overhead"
    tall, wide = _LIMITS.get(relation, (math.inf, math.inf))
    scale = min(1.0, tall * host.height / group.height, wide * host.width / group.width)
    if relation == "under" and scale < 0.8:
        # A tree grows sooner than what stands below it shrinks.
        grown = min(1.7, 0.8 / scale)
        hosts = [each.moved(0, 0, grown) for each in hosts]
        host, scale = host.moved(0, 0, grown), scale * grown
    x, base, behind = _spot(host, group, scale, relation)
    moved = [replace(each, aloft=relation in _OFF_THE_GROUND) for each in group.at(x, base, scale)]
    return [*moved, *hosts] if behind else [*hosts, *moved]


def _spot(host: Placed, group: Group, scale: float, relation: str) -> tuple[float, float, bool]:
    """Return where a carried group's middle and ground go, and whether it is painted before its host."""
    beside = host.width / 2 + group.width * scale / 2 + _GAP * 0.6
    seat = host.top + host.height * SEATS.get(host.icon.name, USUAL_SEAT)
    spots = {
        "on": (host.x, seat, False),
        "riding": (host.x, seat, False),
        # Nothing below the chest is drawn: the mount hides that there is none.
        "riding a bust": (host.x, seat + host.height * 0.12, True),
        "in": (host.x, host.top + host.height * 0.55, True),
        "under": (host.x + host.width * 0.12, host.base + 0.04, False),
        "above": (host.x, host.top - 0.22, False),
        "behind": (host.x + host.width * 0.42, host.base - 0.12, True),
        "before": (host.x - host.width * 0.38, host.base + 0.14, False),
        "left": (host.x - beside, host.base, False),
        "held": (host.x + host.width * 0.46, host.base - host.height * 0.22, False),
        "held overhead": (host.x + host.width * 0.3, host.base - host.height * 0.3, True),
        "worn": (host.x, host.top + host.height * 0.1, False),
    }
    return spots.get(relation, (host.x + beside, host.base, False))


# The canvas.


def _in_order(groups: Sequence[Group]) -> list[Group]:
    """Return the groups from left to right, as asked for."""
    rank = {"left": 0, "right": 2}
    return sorted(groups, key=lambda group: rank.get(group.place, 1))


def _on_the_ground(
    groups: Sequence[Group], setting: str, size: tuple[int, int], horizon: float, rng: random.Random
) -> list[Placed]:
    width, height = size
    far = [group for group in groups if group.place == "back"]
    near = _in_order([group for group in groups if group.place != "back"])
    placed = _one_row(far, width, horizon + height * 0.07, height * 0.24, rng, depth=0.3) if far else []
    room = height * (0.68 if height > width else 0.66)
    rows = _rows(near, width, room)
    floor = height * (0.93 if setting == "table" else 0.9)
    for place, row in enumerate(rows):
        back = len(rows) - 1 - place
        base = floor - back * height * 0.15 - (height * 0.04 if len(near) == 1 else 0)
        placed += _one_row(row, width, base, room * 0.8**back, rng, depth=0.06 * back)
    return placed


def _rows(groups: list[Group], width: float, room: float) -> list[list[Group]]:
    """Return the groups in one row, or in two with the taller behind when one row would make them small."""
    total = sum(group.width + _GAP for group in groups)
    if len(groups) < 2 or width / total * max(group.height for group in groups) > room * _SMALL:
        return [groups] if groups else []
    by_height = sorted(groups, key=lambda group: -group.height)
    tall = {id(group) for group in by_height[: len(groups) // 2]}
    return [[group for group in groups if id(group) in tall], [group for group in groups if id(group) not in tall]]


def _one_row(
    groups: list[Group], width: float, base: float, room: float, rng: random.Random, depth: float
) -> list[Placed]:
    total = sum(group.width for group in groups) + _GAP * (len(groups) - 1)
    tallest = max(group.height for group in groups)
    usable = width * (1 - 2 * _MARGIN)
    # One small thing alone is still the subject; many keep their measure.
    unit = min(usable / total, room / tallest, max(room / 1.55, room * 0.76 / tallest))
    slack = usable - total * unit
    x = _start(groups, width * _MARGIN, slack, rng)
    spread = 0.0 if len(groups) == 1 else min(slack / len(groups), width * 0.08)
    x -= spread * (len(groups) - 1) / 2
    placed: list[Placed] = []
    for group in groups:
        middle = x + group.width * unit / 2
        nudge = rng.uniform(-0.014, 0.014) * room * (len(groups) > 1)
        placed += [replace(each, depth=max(each.depth, depth)) for each in group.at(middle, base + nudge, unit)]
        x += (group.width + _GAP) * unit + spread
    return placed


def _start(groups: Sequence[Group], margin: float, slack: float, rng: random.Random) -> float:
    places = {group.place for group in groups}
    if places == {"left"}:
        return margin
    if places == {"right"}:
        return margin + slack
    # Near the middle, and not quite in it.
    return margin + slack * (0.5 if len(groups) > 1 else rng.choice((0.38, 0.45, 0.55, 0.62)))


def _in_the_sky(
    groups: Sequence[Group], size: tuple[int, int], horizon: float, rng: random.Random, alone: bool
) -> list[Placed]:
    width, _ = size
    room = horizon * (0.86 if alone else 0.5)
    cells = _cells(groups, (width * (1 - 2 * _MARGIN), room), rng)
    biggest = max(max(group.width, group.height) for group in groups)
    placed: list[Placed] = []
    for group, (x, y, wide, high) in zip(_in_order(groups), cells, strict=True):
        size_px = min(wide, high) * (0.86 if alone or len(groups) == 1 else 0.78)
        unit = min(size_px / max(group.width, group.height), size_px / biggest * 1.5)
        middle = width * _MARGIN + x + wide / 2
        base = horizon * 0.05 + y + high / 2 + group.height * unit / 2
        placed += [replace(each, element="sky", depth=0.04) for each in group.at(middle, base, unit)]
    return placed


def _floating(groups: Sequence[Group], size: tuple[int, int], rng: random.Random) -> list[Placed]:
    width, height = size
    area = (width * (1 - 2 * _MARGIN), height * (1 - 2.4 * _MARGIN))
    cells = _cells(groups, area, rng)
    biggest = max(max(group.width, group.height) for group in groups)
    placed: list[Placed] = []
    for group, (x, y, wide, high) in zip(_in_order(groups), cells, strict=True):
        share = 0.62 if len(groups) == 1 else 0.8
        fit = min(wide / group.width, high / group.height) * share
        unit = min(fit, min(wide, high) * share / biggest * 1.7)
        middle = width * _MARGIN + x + wide / 2
        base = height * 1.1 * _MARGIN + y + high / 2 + group.height * unit / 2
        placed += [replace(each, element="sky") for each in group.at(middle, base, unit)]
    return placed


def _cells(
    groups: Sequence[Group], area: tuple[float, float], rng: random.Random
) -> list[tuple[float, float, float, float]]:
    """Return a place ``(x, y, width, height)`` for each group in a loose grid, none over another."""
    count, (width, height) = len(groups), area
    columns = min(count, max(1, math.ceil(math.sqrt(count * width / height) - 0.2)))
    rows = math.ceil(count / columns)
    cells = []
    for place in range(count):
        row, column = divmod(place, columns)
        in_row = min(columns, count - row * columns)
        wide, high = width / in_row, height / rows
        loose = 0.0 if count == 1 else 0.1
        cells.append(
            (
                column * wide + rng.uniform(-loose, loose) * wide,
                row * high + rng.uniform(-loose, loose) * high,
                wide,
                high,
            )
        )
    return cells
