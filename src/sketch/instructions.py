"""From an instruction to steps. Patterns stand in one table; what they ask for is done in ``editing``."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sketch import vocabulary
from sketch.icons import IconLibrary
from sketch.reading import Reading, Thing, read
from sketch.words import is_word, words_in

_COLOUR: Final = "|".join(sorted(vocabulary.COLOURS, key=len, reverse=True))
_SKY: Final = (
    "sunset|sunrise|dawn|dusk|night|starry|stars?|cloudy|clouds|stormy|dramatic|blue|clear|sunny|aurora|"
    "northern lights|rainy"
)
_MAKE: Final = r"(?:make|turn|set|change|convert|give|render|transform)\b"
_PICTURE: Final = (
    r"(?:(?:it|this|the|that|my|these|picture|image|photo|scene|a|an|whole|colou?rs?|into|to|in|look|like)\s+){0,8}"
)
_VERBS: Final = (
    "add|put|make|turn|blur|remove|replace|rotate|flip|mirror|crop|change|apply|set|give|sharpen|invert|darken|"
    "brighten|tint|convert|place|insert|zoom"
)
_CLAUSE: Final = rf"(?P<rest>.{{1,300}}?)(?=\s*(?:$|[,;.!?]|\bthen\b|\band\s+(?:then\s+)?(?:{_VERBS})\b))"
"""The words up to the next thing to do."""

_MORE: Final = r"(?:more|higher|increase|raise|boost|stronger|add)\s+(?:the\s+)?"
_LESS: Final = r"(?:less|lower|reduce|decrease|soften|mute)\s+(?:the\s+)?"
_ITS: Final = r"(?:the\s+|its\s+)?"

_ALTERNATIVES: Final[tuple[tuple[str, ...], ...]] = (
    ("stack", r"stack\w*", r"one (?:above|below|under) the other", r"on top of each other", r"vertically joined"),
    ("side_by_side", r"side[- ]by[- ]side", r"(?:next to|beside) each other", r"in a row"),
    ("collage", r"collage", r"mosaic of", r"in a grid", r"(?:combine|merge|join|arrange)\w*"),
    ("remove_background", rf"(?:remove|delete|erase|cut out|drop|without)\s+{_ITS}background",
     r"transparent background", rf"(?:make|turn)\s+{_ITS}background transparent"),
    ("blur_background", rf"(?:blur\w*|defocus|soften)\s+(?:out\s+)?{_ITS}background",
     r"background\s+(?:blur\w*|out of focus)", r"(?:make the )?(?:blurry|blurred) background", r"bokeh",
     r"portrait mode", r"depth of field"),
    ("replace_background", rf"(?:replace|change|swap|set|make|put)\s+{_ITS}background\s*"
                           rf"(?:with|to|by|for|into|against|be|of|as)?\s*{_CLAUSE}"),
    ("replace_background", rf"(?:put|place|move)\s+(?:it|him|her|them|the subject)\s+"
                           rf"(?:on|in|into|at|onto)\s+{_CLAUSE}"),
    ("replace_background", rf"(?:on|with|against)\s+an?\s+(?P<rest>(?:{_COLOUR}))\s+background"),
    ("replace_sky", r"(?:replace|change|swap|make|turn|set|give)\b[^,;.]{0,40}?\b(?:sky|skies)\b\s*(?:a\b|an\b)?\s*"
                    rf"(?:with|to|into|by|for|look like)?\s*{_CLAUSE}"),
    ("replace_sky", rf"(?:(?:add|put|with|use|give it|make it)\s+)?(?:an?\s+)?(?P<rest>{_SKY})\s+sky"),
    ("rain", r"add\s+(?:some\s+|heavy\s+)?rain(?!bow)", rf"{_MAKE}\s+{_PICTURE}rain(?:y|ing)?", r"rainy",
     r"let it rain"),
    ("snow", r"add\s+(?:some\s+|heavy\s+|falling\s+)?snow(?:flakes|fall)?", rf"{_MAKE}\s+{_PICTURE}snow(?:y|ing)?",
     r"snowy", r"let it snow"),
    ("fog", r"add\s+(?:some\s+|thick\s+)?(?:fog|mist|haze)", rf"{_MAKE}\s+{_PICTURE}(?:foggy|misty|hazy)", r"foggy",
     r"misty"),
    ("vignette", r"(?:add\s+(?:a\s+)?)?vignette"),
    ("rounded", r"round(?:ed|s)?\s+(?:the\s+)?corners?", r"corners?\s+round(?:ed)?"),
    ("border", r"(?:(?:add|put|draw|give it|with)\s+)?(?:an?\s+|the\s+)?(?:(?:thin|thick|wide|simple)\s+)?"
               rf"(?:(?P<colour>{_COLOUR})\s+)?(?:picture\s+|photo\s+)?(?:border|frame)(?!\s+with)"),
    ("add", rf"(?:add|insert|draw|include|place|put|stick)\s+{_CLAUSE}"),
    ("mono", r"black[- ]and[- ]white", r"gr[ae]y[- ]?scale", r"monochrome", r"desaturate", r"b\s*&\s*w", r"b/w",
     r"noir", r"remove (?:the |all )?colou?rs?"),
    ("sepia", r"sepia"),
    ("vintage", r"vintage", r"retro", r"old[- ](?:photo|fashioned|looking)\w*", r"aged", r"antique"),
    ("night", rf"{_MAKE}\s+{_PICTURE}night(?:[- ]?time)?", r"at night", r"night[- ]?time", r"by night",
     r"night scene", r"midnight"),
    ("sunset", rf"{_MAKE}\s+{_PICTURE}(?:sunset|sunrise)", r"at (?:sunset|sunrise|dusk|dawn)", r"golden hour",
     r"sunset", r"sunrise"),
    ("warmer", r"warm(?:er|th)?(?:\s+(?:tones?|colou?rs?|light))?"),
    ("cooler", r"(?:cool|cold)(?:er)?(?:\s+(?:tones?|colou?rs?|light))?"),
    ("less_contrast", rf"{_LESS}contrast", r"flatter"),
    ("more_contrast", rf"(?:{_MORE})?contrast(?:y|ier)?", r"punchier"),
    ("less_saturation", rf"{_LESS}(?:saturat(?:ed|ion)|colou?rs?|colou?rful|vivid)", r"muted"),
    ("more_saturation", rf"(?:{_MORE})?(?:saturat(?:ed|ion|e)|vibran(?:t|ce)|vivid|colou?rful)",
     r"(?:boost|stronger)\s+(?:the\s+)?colou?rs?"),
    ("darker", r"dark(?:er|en)?", r"dim(?:mer)?", r"less bright", r"reduce (?:the )?(?:brightness|exposure)"),
    ("brighter", r"bright(?:er|en)?", r"light(?:er|en)", r"increase (?:the )?(?:brightness|exposure)", r"more light",
     r"less dark"),
    ("sharpen", r"sharp(?:en|er|ness)?", r"crisp(?:er)?", r"more detail(?:ed|s)?"),
    ("watercolour", r"watercolou?rs?(?:\s+painting)?", r"aquarelle"),
    ("oil", r"oil[- ]paint(?:ing)?", r"impressionis[tm]\w*", r"painterly", r"painting"),
    ("pencil", r"pencil(?:[- ](?:sketch|drawing))?", r"charcoal", r"line (?:art|drawing)", r"sketch"),
    ("posterize", r"posteri[sz]ed?", r"fewer colou?rs", r"comic", r"cartoon(?:ish|y)?"),
    ("pixelate", r"pixel(?:ate|ated|ize|ise|s)?(?:\s+art)?", r"8[- ]bit", r"mosaic"),
    ("pop", r"pop[- ]art"),
    ("pastel", r"pastels?", r"dreamy"),
    ("neon", r"neon", r"cyberpunk", r"synthwave"),
    ("autumn", r"autumn(?:al)?", r"fall colou?rs"),
    ("blueprint", r"blueprint"),
    ("invert", r"invert(?:ed)?(?:\s+(?:the\s+)?colou?rs?)?", r"negative"),
    ("flip_vertical", r"(?:flip|mirror)\w*\b[^,;.]{0,60}?\b(?:vertical(?:ly)?|upside[- ]down)", r"upside[- ]down"),
    ("flip", r"(?:flip|mirror)\w*(?:\b[^,;.]{0,60}?\bhorizontal(?:ly)?)?"),
    ("rotate", r"(?:rotate|turn|tilt)\w*\b[^,;.\d]{0,60}?(?P<degrees>-?\d{1,3})(?P<after>[^,;.]{0,60})"),
    ("rotate", r"rotate\w*(?P<after>[^,;.]{0,60})"),
    ("zoom", r"(?:zoom(?:\s+in)?|closer|enlarge|crop)\b[^,;.]{0,60}"),
    ("blur", r"blur(?:red|ry)?", r"out of focus", r"soften", r"softer"),
    ("tint", rf"(?:tint|colou?ri[sz]e|tone|dye|paint|colou?r)\w*\b[^,;.]{{0,60}}?\b(?P<colour>{_COLOUR})"),
    ("tint", rf"(?P<colour>{_COLOUR})\s+(?:tint|tone|hue|filter|colou?r cast)"),
    ("tint", rf"{_MAKE}\s+{_PICTURE}(?:more\s+)?(?P<colour>{_COLOUR})(?!\s+\w+\s+(?:sky|background))"),
)  # fmt: skip
"""A step, and the ways to ask for it. Tried in this order; what one has taken is gone for the next."""

_PATTERNS: Final = tuple((name, re.compile(rf"\b(?:{'|'.join(ways)})(?!\w)")) for name, *ways in _ALTERNATIVES)

_SLIGHTLY: Final = re.compile(r"\b(?:slight(?:ly)?|a bit|a little|somewhat|subtl[ey]\w*|gently|mildly|touch)\b")
_STRONGLY: Final = re.compile(r"\b(?:much|very|a lot|strong(?:ly)?|heavy|heavily|extremely|really|way)\b")
_NEARBY: Final = 24
_SENTENCE: Final = re.compile(r"[^.;!?\n]{1,240}")
_MOST_SENTENCES: Final = 12
_MOST_STEPS: Final = 8
"""More steps would take longer than a picture may."""

_TAKEN: Final = "\0"
"""Stands for a letter that a step was found in."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do with a picture."""

    name: str
    strength: float = 1.0
    """1 as usual; less for "slightly", more for "much"."""
    colour: str = ""
    degrees: int = 0
    reading: Reading = field(default_factory=Reading)
    """What is to be added, or what the new sky or background shows."""
    spot: tuple[float, float] | None = None
    """Where it is to be added, as shares of width and height; ``None`` when that was not said."""
    text: str = ""
    """The words that asked for it."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is understood of an instruction, in the order it was said."""

    steps: tuple[Step, ...]
    unread: tuple[str, ...]
    """Words that nothing is done for."""
    is_guess: bool = False
    """Whether nothing was understood, so that the step is only a mild change of colours."""


def understand(text: str, icons: IconLibrary, seed: int) -> Instruction:
    """Return the steps of an instruction; for one that says nothing, a mild change that the seed takes."""
    steps: list[Step] = []
    unread: list[str] = []
    # Patterns meet short texts only: what some of them need grows with the square of the length.
    for sentence in _SENTENCE.findall(re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFC", text.lower())))[
        :_MOST_SENTENCES
    ]:
        found, left = _understood(sentence, icons)
        steps += found
        unread += left
    if steps:
        return Instruction(tuple(steps[:_MOST_STEPS]), tuple(dict.fromkeys(unread)))
    return _guess(text, icons, seed, tuple(dict.fromkeys(unread)))


def _understood(sentence: str, icons: IconLibrary) -> tuple[list[Step], list[str]]:
    """Return the steps of a sentence in their order, and the words left over."""
    found: list[tuple[int, Step]] = []
    for name, pattern in _PATTERNS:
        for match in list(pattern.finditer(sentence)):
            step = _step(name, match, icons) if _TAKEN not in match[0] else None
            if step is not None:
                found.append((match.start(), step))
                sentence = sentence[: match.start()] + _TAKEN * len(match[0]) + sentence[match.end() :]
    found.sort(key=lambda each: each[0])
    return [step for _, step in found], _left(sentence.replace(_TAKEN, " "))


def _left(text: str) -> list[str]:
    return [word for word in words_in(text) if word not in vocabulary.POLITE and is_word(word)]


def _guess(text: str, icons: IconLibrary, seed: int, unread: tuple[str, ...]) -> Instruction:
    reading = read(text, icons)
    mood = _mood_steps(reading, text)
    if mood:
        return Instruction(mood, tuple(reading.unread))
    if _shown(reading, icons).things:
        return Instruction((Step("add", reading=reading, text=text),), tuple(reading.unread))
    mild = ("warmer", "cooler", "more_saturation", "more_contrast", "vintage")[seed % 5]
    return Instruction((Step(mild, strength=0.6),), unread, is_guess=True)


def _mood_steps(reading: Reading, text: str) -> tuple[Step, ...]:
    """Return what turns a picture into another place, time, weather or style."""
    steps = [Step("replace_background", reading=reading, text=text)] if reading.setting else []
    if reading.time and not reading.setting:
        steps.append(Step("replace_sky", reading=reading, text=text))
    steps += [Step(name, text=text) for name in (reading.weather, reading.style) if name in _MOOD_STEPS]
    return tuple(steps)


_MOOD_STEPS: Final = frozenset(
    {
        "rain",
        "snow",
        "fog",
        "watercolour",
        "pastel",
        "neon",
        "vintage",
        "mono",
        "pop",
        "autumn",
        "blueprint",
        "pencil",
        "oil",
    }
)


def _step(name: str, match: re.Match[str], icons: IconLibrary) -> Step | None:
    parts = match.groupdict()
    colour = vocabulary.COLOURS.get(parts.get("colour") or "", "")
    step = Step(name, _strength(match), colour, _degrees(parts, match[0]), text=match[0].strip())
    if name not in {"add", "replace_background", "replace_sky"}:
        return step
    rest = parts.get("rest") or ""
    words, spot = _spot(rest)
    if name == "add" and (there := _EXISTING.search(words)):
        words, spot = words[: there.start()], spot or ((0.5, 0.3) if there["how"].startswith("on") else (0.7, 0.7))
    reading = read(words, icons)
    if name == "add":
        reading = _shown(reading, icons)
        return Step(name, reading=reading, spot=spot, text=step.text) if reading.things else None
    return Step(name, colour=_only_colour(rest), reading=reading, text=step.text)


def _strength(match: re.Match[str]) -> float:
    nearby = match.string[max(0, match.start() - _NEARBY) : match.end() + _NEARBY // 2]
    if _SLIGHTLY.search(nearby):
        return 0.5
    return 1.6 if _STRONGLY.search(nearby) else 1.0


def _degrees(parts: Mapping[str, str | None], text: str) -> int:
    """Return clockwise degrees."""
    degrees = int(parts.get("degrees") or 90)
    around = (parts.get("after") or "") + text
    if "counter" in around or "anti" in around or re.search(r"\bleft\b", around):
        return -degrees
    return degrees


_SPOTS: Final = (
    (re.compile(r"\b(?:top|upper)[- ]left\b(?:[- ]?(?:hand )?corner| side)?"), (0.2, 0.2)),
    (re.compile(r"\b(?:top|upper)[- ]right\b(?:[- ]?(?:hand )?corner| side)?"), (0.8, 0.2)),
    (re.compile(r"\b(?:bottom|lower)[- ]left\b(?:[- ]?(?:hand )?corner| side)?"), (0.2, 0.8)),
    (re.compile(r"\b(?:bottom|lower)[- ]right\b(?:[- ]?(?:hand )?corner| side)?"), (0.8, 0.8)),
    (re.compile(r"\b(?:in|at|to|on|near) the (?:very )?(?:top|upper part)\b|\bat the top\b"), (0.5, 0.2)),
    (re.compile(r"\b(?:in|at|to|on|near) the (?:very )?bottom\b"), (0.5, 0.8)),
    (re.compile(r"\b(?:in|at|to|on) the (?:cent(?:er|re)|middle)\b"), (0.5, 0.55)),
    (re.compile(r"\b(?:on|at|to|in) the left\b(?: side| corner)?"), (0.2, 0.68)),
    (re.compile(r"\b(?:on|at|to|in) the right\b(?: side| corner)?"), (0.8, 0.68)),
    (re.compile(r"\bin the (?:sky|air|background)\b"), (0.68, 0.2)),
    (re.compile(r"\bin the foreground\b"), (0.5, 0.8)),
)
_EXISTING: Final = re.compile(
    r"\b(?P<how>on top of|onto|on|to|next to|behind|beside|near|in front of|abo"
    r"ve|over|under)\s+(?:the|his|her|its|their|my)\s+\w+(?:\s+\w+)?$"
)
"""What is in the picture already, which only says where something is to be added."""

_LEAD: Final = re.compile(r"\b(?:in|at|to|on|into|near)\s+the\s*$")


def _spot(rest: str) -> tuple[str, tuple[float, float] | None]:
    """Return the words without those that say where, and where."""
    for pattern, spot in _SPOTS:
        match = pattern.search(rest)
        if match:
            return _LEAD.sub("", rest[: match.start()]) + rest[match.end() :], spot
    return rest, None


def _only_colour(rest: str) -> str:
    words = [
        word
        for word in words_in(rest)
        if is_word(word) and word not in vocabulary.FILLERS and word not in {"solid", "plain", "pure"}
    ]
    return vocabulary.COLOURS.get(words[0], "") if len(words) == 1 else ""


_FEATURE_ICONS: Final = {
    "sun": "sun", "full-moon": "full-moon", "crescent-moon": "crescent-moon", "stars": "glowing-star",
    "rainbow": "rainbow", "clouds": "cloud",
}  # fmt: skip
_SETTING_ICONS: Final = {"mountains": "snow-capped-mountain", "forest": "evergreen-tree", "city": "office-building"}


def _shown(reading: Reading, icons: IconLibrary) -> Reading:
    """Return the reading with what a sky or a place would show made into things: pictures to edit have their own."""
    for feature in reading.features:
        reading.things.append(Thing(icons.named(_FEATURE_ICONS[feature]), 3 if feature in {"stars", "clouds"} else 1))
    if not reading.things and reading.setting in _SETTING_ICONS:
        reading.things.append(Thing(icons.named(_SETTING_ICONS[reading.setting])))
    return reading
