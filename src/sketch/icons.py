"""The vendored icons: finding one by a word, and its drawing.

They are Noto Emoji (Apache-2.0), found by the keywords of emojibase and emojilib (MIT); see ``LICENSE-icons.txt``.
``tools/build_icons.py`` makes the archive and says what lies in it.
"""

import io
import json
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from sketch.vocabulary import ALIASES, UNDRAWABLE

BOX: Final = 128
"""Every icon is drawn in a square of this many units."""


@dataclass(frozen=True, slots=True)
class Icon:
    """A small vector picture of one thing."""

    name: str
    kind: str
    """What sort of thing it is, such as ``animal-bird`` (a Unicode subgroup)."""
    left: int
    top: int
    right: int
    bottom: int
    """What of the box is painted, in units."""
    hue: int
    """The hue that covers most of it, 0 to 359; -1 for greys."""

    @property
    def width(self) -> int:
        """Painted width, in units."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Painted height, in units."""
        return self.bottom - self.top

    @property
    def label(self) -> str:
        """The name in plain words."""
        return self.name.replace("-", " ")


class IconLibrary:
    """All icons. It holds them packed (2.2 MB); a drawing is unpacked when it is asked for."""

    def __init__(self) -> None:
        archive = resources.files("sketch").joinpath("icons.zip").read_bytes()
        self._archive = zipfile.ZipFile(io.BytesIO(archive))
        self._lock = threading.Lock()
        index = json.loads(self._archive.read("index.json"))
        self._words: Mapping[str, Sequence[str]] = index["words"]
        self._icons = {name: Icon(name, *facts[1:]) for name, facts in index["icons"].items()}
        self._by_character = {facts[0]: name for name, facts in index["icons"].items() if facts[0]}
        self.drawing = lru_cache(maxsize=256)(self._drawing)

    @property
    def names(self) -> Sequence[str]:
        """Names of all icons."""
        return list(self._icons)

    def named(self, name: str) -> Icon:
        """Return the icon of this name, which must exist."""
        return self._icons[name]

    def find(self, phrase: str) -> Icon | None:
        """Return the icon that shows a word, a phrase or an emoji best, in the singular or plural."""
        if phrase in self._by_character:
            return self._icons[self._by_character[phrase]]
        words = singulars(phrase)
        name = next(filter(None, map(self._named_so, words)), None) or next(filter(None, map(self._best, words)), None)
        return self._icons[name] if name else None

    def _named_so(self, word: str) -> str | None:
        name = ALIASES.get(word, word.replace(" ", "-"))
        return name if name in self._icons and word not in UNDRAWABLE else None

    def _best(self, word: str) -> str | None:
        if word.endswith("ing") or word in UNDRAWABLE:
            # Keywords that are verbs or adjectives lead astray: "fishing" would be an otter.
            return None
        names = self._words.get(word)
        return names[0] if names else None

    def _drawing(self, name: str) -> str:
        # A zip file has one position that all threads would share.
        with self._lock:
            return self._archive.read(f"{name}.svg").decode()


_IRREGULAR: Final = {
    "children": "child", "feet": "foot", "geese": "goose", "men": "man", "mice": "mouse", "oxen": "ox",
    "people": "person", "teeth": "tooth", "women": "woman", "wolves": "wolf", "leaves": "leaf", "knives": "knife",
    "elves": "elf", "loaves": "loaf", "cacti": "cactus", "octopi": "octopus", "dwarves": "dwarf",
    "firemen": "fireman", "fishermen": "fisherman", "snowmen": "snowman",
}  # fmt: skip


def singulars(phrase: str) -> list[str]:
    """Return the phrase and what its singular could be, the likeliest first."""
    head, _, last = phrase.rpartition(" ")
    forms = [last]
    if last in _IRREGULAR:
        forms = [_IRREGULAR[last], last]
    elif last.endswith("ies") and len(last) > 4:
        forms += [last[:-3] + "y", last[:-1]]
    elif last.endswith(("ches", "shes", "sses", "xes", "oes")):
        forms += [last[:-2], last[:-1]]
    elif last.endswith("s") and not last.endswith("ss") and len(last) > 3:
        forms = [last[:-1], last]
    return [f"{head} {form}".strip() for form in forms]


def is_plural(word: str) -> bool:
    """Tell whether an English noun looks like more than one."""
    if word in _IRREGULAR:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3
