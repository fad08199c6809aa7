"""From a prompt to what is in it: things with counts, colours and relations; setting, time, weather, style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sketch import vocabulary
from sketch.colours import mix
from sketch.icons import Icon, IconLibrary, is_plural
from sketch.words import is_word, plain, words_in

MOST_WORDS: Final = 400
"""Words beyond these are not read: no picture holds so much."""

MOST_THINGS: Final = 8
LONGEST_PHRASE: Final = 4
_PLURAL: Final = 3
_PLURAL_OF_SMALL: Final = 5
_SMALL_KINDS: Final = frozenset({"plant-flower", "animal-bug"})
_SAME_IN_PLURAL: Final = frozenset({"fish", "sheep", "deer"})
_HANDY: Final = frozenset({"umbrella", "balloon", "dagger", "wrapped-gift", "shopping-bags", "bouquet", "magic-wand"})
"""What one who is "with" it holds."""

_CONTAINERS: Final = frozenset(
    {"bowl", "plate", "slice", "piece", "cup", "glass", "jar", "bag", "bottle", "basket", "field"}
)
"""What is drawn with what it contains: "a bowl of ramen" is one icon."""

_SURFACES: Final = frozenset({"table", "bench", "bed"})
_SHADES: Final = {
    "dark": ("#000000", 0.4), "deep": ("#000000", 0.3), "light": ("#ffffff", 0.4), "pale": ("#ffffff", 0.5),
    "bright": ("#ffffff", 0.0),
}  # fmt: skip
_BACKDROP_WORDS: Final = frozenset({"sky", "skies", "background", "backdrop", "wall"})
_NEGATIONS: Final = frozenset({"no", "without", "not"})


@dataclass(slots=True)
class Thing:
    """One noun of a prompt, and how it was asked for."""

    icon: Icon
    count: int = 1
    colour: str = ""
    """As ``#rrggbb``; empty for the icon's own."""
    size: float = 1.0
    place: str = ""
    """Where in the picture: ``left``, ``right``, ``centre``, ``front``, ``back``, ``sky``, ``water`` or empty."""
    relation: str = ""
    """How it lies to thing ``other``: a value of ``vocabulary.RELATIONS``, ``held`` or ``worn``."""
    other: int = -1


@dataclass(slots=True)
class Reading:
    """What was understood of a prompt."""

    things: list[Thing] = field(default_factory=list)
    setting: str = ""
    time: str = ""
    weather: str = ""
    style: str = ""
    sky: str = ""
    """A colour that the sky or the background was asked to have."""
    features: list[str] = field(default_factory=list)
    """What the sky shows: ``sun``, ``full-moon``, ``crescent-moon``, ``stars``, ``rainbow``, ``clouds``."""
    used: list[str] = field(default_factory=list)
    """Words and phrases that something was drawn for."""
    unread: list[str] = field(default_factory=list)
    """Words that were not understood."""
    crowded: list[str] = field(default_factory=list)
    """Words of things that were too many to be drawn."""
    is_foreign: bool = False
    """Whether it is no English, so that none of its words was read: some would mean something else."""

    def is_empty(self) -> bool:
        """Whether nothing at all was understood."""
        return not (self.things or self.setting or self.time or self.weather or self.features or self.sky)


def read(prompt: str, icons: IconLibrary) -> Reading:
    """Return what is understood of a prompt. Reads English nouns, and emojis."""
    words = words_in(prompt)[:MOST_WORDS]
    if not _is_foreign(words):
        return _Reader(words, icons).read()
    reading = _Reader([word for word in words if not word[0].isalnum()], icons).read()
    reading.unread += dict.fromkeys(word for word in words if word[0].isalnum())
    reading.is_foreign = True
    return reading


def _is_foreign(words: Sequence[str]) -> bool:
    foreign = sum(word in vocabulary.FOREIGN for word in words)
    return foreign > 1 and foreign > sum(word in vocabulary.ENGLISH for word in words)


class _Reader:
    """Walks over the words once, always taking the longest phrase it knows."""

    def __init__(self, words: Sequence[str], icons: IconLibrary) -> None:
        self._words, self._icons = words, icons
        self._plain = [plain(word) for word in words]
        self._reading = Reading()
        self._group: list[int] = []
        self._new_clause()

    def read(self) -> Reading:
        position = 0
        while position < len(self._words):
            position += self._take(position)
        return self._reading

    def _new_clause(self) -> None:
        self._count, self._colour, self._size, self._place = 0, "", 1.0, ""
        self._relation, self._negated, self._shade = "", False, ""

    def _take(self, position: int) -> int:
        """Understand what starts here, and return how many words that was."""
        for length in range(min(LONGEST_PHRASE, len(self._words) - position), 0, -1):
            phrase = " ".join(self._plain[position : position + length])
            following = self._plain[position + length] if position + length < len(self._plain) else ""
            if self._takes_phrase(phrase, following):
                self._use(" ".join(self._words[position : position + length]))
                return length
        self._miss(self._words[position])
        return 1

    def _takes_phrase(self, phrase: str, following: str) -> bool:
        return (
            self._takes_mark(phrase)
            or self._takes_adjective(phrase, following)
            or self._takes_backdrop(phrase)
            or self._takes_mood(phrase, following)
            or self._takes_position(phrase)
            or self._takes_container(phrase, following)
            or self._takes_thing(phrase)
            or phrase in vocabulary.FILLERS
        )

    def _takes_container(self, phrase: str, following: str) -> bool:
        return following == "of" and (phrase in _CONTAINERS or phrase.removesuffix("s") in _CONTAINERS)

    def _takes_mark(self, phrase: str) -> bool:
        if phrase in _NEGATIONS:
            self._negated = True
            return True
        if phrase in {",", ";"}:
            self._new_clause()
            return True
        if phrase in {".", "!", "?", ":", "\n"}:
            self._new_clause()
            self._group = []
            return True
        return len(phrase) == 1 and phrase.isascii() and not phrase.isalnum()

    def _takes_adjective(self, phrase: str, following: str) -> bool:
        if phrase.isdigit():
            self._count = min(int(phrase[:4]), vocabulary.MOST_OF_A_THING)
        elif phrase in vocabulary.NUMBERS and not (phrase in vocabulary.COUNTERS and following != "of"):
            self._count = max(self._count, vocabulary.NUMBERS[phrase])
        elif phrase in _SHADES and following in vocabulary.COLOURS:
            self._shade = phrase
        elif phrase in vocabulary.COLOURS and (self._describes(following) or not self._icons.find(phrase)):
            self._colour = self._shaded(vocabulary.COLOURS[phrase])
        elif phrase in vocabulary.SIZES and (self._describes(following) or not self._icons.find(phrase)):
            self._size = vocabulary.SIZES[phrase]
        else:
            return False
        return True

    def _describes(self, following: str) -> bool:
        """Whether an adjective can stand before this word, so that it is none itself."""
        return bool(following) and (
            following in vocabulary.COLOURS
            or following in vocabulary.SIZES
            or following in _BACKDROP_WORDS
            or (following not in vocabulary.RELATIONS and self._icons.find(following) is not None)
        )

    def _shaded(self, colour: str) -> str:
        other, share = _SHADES.get(self._shade, ("#000000", 0.0))
        self._shade = ""
        return mix(colour, other, share)

    def _takes_backdrop(self, phrase: str) -> bool:
        if phrase not in _BACKDROP_WORDS:
            return False
        if self._colour:
            self._reading.sky, self._colour = self._colour, ""
            if phrase not in {"sky", "skies"}:
                self._reading.setting = self._reading.setting or "abstract"
        return True

    def _takes_mood(self, phrase: str, following: str) -> bool:
        """Understand words for the whole picture."""
        if phrase == "black and white" and self._icons.find(following) and following not in vocabulary.FILLERS:
            return True
        tables = _moods(phrase)
        if not tables:
            return False
        if not self._negated:
            feature = vocabulary.FEATURES.get(phrase)
            if feature and feature not in self._reading.features:
                self._reading.features.append(feature)
            if not (self._set_mood(tables) or feature):
                self._reading.crowded.append(phrase)
            if self._relation == "above":
                for index in self._group:
                    self._reading.things[index].place = "sky"
        self._new_clause()
        return True

    def _set_mood(self, tables: Mapping[str, str]) -> bool:
        """Take what was not said before, and tell whether the picture has any of it: there is one place, one time."""
        for name, value in tables.items():
            if not getattr(self._reading, name):
                setattr(self._reading, name, value)
        return any(getattr(self._reading, name) == value for name, value in tables.items())

    def _takes_position(self, phrase: str) -> bool:
        if phrase in vocabulary.PLACES:
            # After its noun when there is one in this clause, else before it: "flying dragon", "a dragon flying".
            if self._group and not (
                self._count or self._colour or (phrase in {"flying", "swimming"} and self._relation)
            ):
                for index in self._group:
                    self._reading.things[index].place = vocabulary.PLACES[phrase]
            else:
                self._place = vocabulary.PLACES[phrase]
            return True
        if phrase in vocabulary.RELATIONS:
            self._relation = vocabulary.RELATIONS[phrase]
            return True
        return False

    def _takes_thing(self, phrase: str) -> bool:
        if phrase in vocabulary.FILLERS or phrase in vocabulary.NUMBERS:
            return False
        icon = self._icons.find(phrase)
        if icon is None:
            return False
        if not self._negated:
            if len(self._reading.things) < MOST_THINGS:
                self._add(icon, phrase)
            else:
                self._reading.crowded.append(phrase)
        self._new_clause()
        return True

    def _add(self, icon: Icon, phrase: str) -> None:
        things = self._reading.things
        thing = Thing(icon, self._count or _usual_count(icon, phrase), self._colour, self._size, self._place)
        things.append(thing)
        self._relate(thing, len(things) - 1)

    def _relate(self, thing: Thing, index: int) -> None:
        relation, subjects = self._relation, self._group
        if not subjects or relation in {"", "and"}:
            self._group = [*subjects, index] if relation == "and" or not subjects else [index]
            return
        subject = subjects[-1]
        if relation == "with" and self._reading.things[subject].icon.name in _SURFACES:
            thing.relation, thing.other = "on", subject
        elif relation in {"holding", "wearing"}:
            thing.relation, thing.other = {"holding": "held", "wearing": "worn"}[relation], subject
        elif relation == "with" and thing.icon.name in _HANDY and _has_hands(self._reading.things[subject].icon):
            thing.relation, thing.other = "held", subject
        elif relation == "with":
            self._group = [*subjects, index]
        else:
            for each in subjects:
                if not self._reading.things[each].relation:
                    self._reading.things[each].relation, self._reading.things[each].other = relation, index
            self._group = [index]

    def _use(self, phrase: str) -> None:
        silent = phrase in vocabulary.FILLERS or phrase in vocabulary.ARTICLES or phrase in self._reading.crowded
        if not silent and (is_word(phrase) or phrase[0].isdigit()) and phrase not in self._reading.used:
            self._reading.used.append(phrase)

    def _miss(self, word: str) -> None:
        if is_word(word) and word not in self._reading.unread:
            self._reading.unread.append(word)


def _has_hands(icon: Icon) -> bool:
    return icon.kind.startswith(("person", "animal")) or icon.name in {"robot", "teddy-bear", "alien"}


def _moods(phrase: str) -> Mapping[str, str]:
    tables = {
        "setting": vocabulary.SETTINGS,
        "time": vocabulary.TIMES,
        "weather": vocabulary.WEATHERS,
        "style": vocabulary.STYLES,
    }
    return {name: table[phrase] for name, table in tables.items() if phrase in table}


def _usual_count(icon: Icon, phrase: str) -> int:
    last = phrase.rpartition(" ")[2]
    if last in _SAME_IN_PLURAL:
        return _PLURAL
    # "scissors" and "glasses" are one thing each.
    if not is_plural(last) or icon.label.endswith(last):
        return 1
    return _PLURAL_OF_SMALL if icon.kind in _SMALL_KINDS else _PLURAL
