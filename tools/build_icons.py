"""Rebuilds ``src/sketch/icons.zip`` from npm packages. Needs npm and the project's environment.

    npm install --prefix build/npm @iconify-json/noto@1.2.9 emojibase-data@17.0.0 emojilib@4.0.3
    .venv/bin/python -m tools.build_icons build/npm/node_modules

The archive holds one SVG fragment per icon (a 128 by 128 box, without the ``svg`` element) and ``index.json``:

- ``icons``: name → ``[character, kind, left, top, right, bottom, hue]``; the box is what is really painted, in
  0..128, and ``hue`` (0..359, -1 for greys) is the hue that covers most of it
- ``words``: English word or phrase → names of icons, the best first
"""

import colorsys
import json
import re
import sys
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from sketch.raster import Raster, document
from sketch.words import plain
from tools.icon_colours import UnknownColourError, plain_colours

TARGET = Path(__file__).parent.parent / "src/sketch/icons.zip"
BOX = 128
UNWANTED_SUBGROUPS = re.compile(
    r"family|person-gesture|person-symbol|hand|body-parts|face-(neutral|unwell|concerned|negative|affection)|mail|office"
)
WANTED_ANYWAY = {"footprints", "skull", "waving-hand", "thumbs-up", "eye", "envelope", "mailbox", "calendar", "pushpin",
                 "closed-mailbox-with-raised-flag", "scissors", "briefcase", "brain", "angry-face", "crying-face",
                 "loudly-crying-face", "smiling-face-with-heart-eyes", "thinking-face", "smiling-face-with-horns",
                 "couple-with-heart", "star-struck", "woman-and-man-holding-hands", "clown-face", "disguised-face",
                 "chart-increasing", "package", "people-holding-hands"}  # fmt: skip
UNWANTED_GROUPS = {None, 2, 8}
UNWANTED = re.compile(r"o-clock|-thirty|-flag|button|banknote|^(wo)?man-(?!.*(walking|running|standing|dancing|cook|"
                      r"farmer|singer|artist|pilot|astronaut|firefighter|police|detective|guard|mage|fairy|vampire|"
                      r"elf|superhero|scientist|teacher|health|biking|surfing|swimming|rowing|climbing))")  # fmt: skip
WITHOUT_CHARACTER = {"lighthouse": "place-building", "meteor": "sky-weather", "monarch-butterfly": "animal-bug",
                     "pickle": "food-vegetable"}  # fmt: skip
"""Icons for characters that are newer than the keywords, with their kind."""

OWN_DRAWINGS = Path(__file__).parent / "icons"
"""Things that no emoji shows; the comment at the start of each file names its kind."""

MOST_ICONS_PER_KEYWORD = 10


def main(packages: Path) -> None:
    """Write the archive."""
    emojis = _wanted(packages)
    for name, emoji in emojis.items():
        try:
            emoji["body"] = plain_colours(emoji["body"])
        except UnknownColourError as error:
            sys.exit(f"{name}: {error}")
    raster = Raster()
    icons = {name: [emoji["emoji"], emoji["kind"], *_measured(raster, emoji["body"])] for name, emoji in emojis.items()}
    index = {"icons": icons, "words": _words(emojis)}
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _write(archive, "index.json", json.dumps(index, ensure_ascii=False, separators=(",", ":")))
        for name, emoji in emojis.items():
            _write(archive, f"{name}.svg", emoji["body"])
    print(f"{len(icons)} icons, {len(index['words'])} words, {TARGET.stat().st_size} bytes")


def _wanted(packages: Path) -> dict[str, dict[str, Any]]:
    def read(name: str) -> Any:
        return json.loads((packages / name).read_text())

    names, bodies = read("@iconify-json/noto/chars.json"), read("@iconify-json/noto/icons.json")["icons"]
    subgroups = {each["order"]: each["key"] for each in read("emojibase-data/en/messages.json")["subgroups"]}
    keywords = read("emojilib/dist/emoji-en-US.json")
    emojis = {}
    for emoji in read("emojibase-data/en/data.json"):
        name = names.get(emoji["hexcode"].lower().replace("-fe0f", ""))
        kind = subgroups.get(emoji.get("subgroup"), "")
        if name not in bodies or not _is_wanted(name, emoji.get("group"), kind):
            continue
        character = emoji["emoji"].replace("\ufe0f", "")
        more = keywords.get(emoji["emoji"]) or keywords.get(character) or keywords.get(character + "\ufe0f") or []
        emojis[name] = {
            "emoji": character,
            "kind": kind,
            "label": emoji["label"].lower(),
            "tags": [*emoji.get("tags", ()), *(word.replace("_", " ") for word in more)],
            "body": bodies[name]["body"],
        }
    for name, kind in WITHOUT_CHARACTER.items():
        emojis[name] = _unlisted(name, kind, bodies[name]["body"])
    for path in sorted(OWN_DRAWINGS.glob("*.svg")):
        comment, body = path.read_text().strip().split("\n", 1)
        emojis[path.stem] = _unlisted(path.stem, comment.strip("<!- >"), body)
    return emojis


def _unlisted(name: str, kind: str, body: str) -> dict[str, Any]:
    return {"emoji": "", "kind": kind, "label": name.replace("-", " "), "tags": [], "body": body}


def _is_wanted(name: str, group: int | None, kind: str) -> bool:
    if name in WANTED_ANYWAY or kind == "heart":
        return True
    return group not in UNWANTED_GROUPS and not UNWANTED_SUBGROUPS.search(kind) and not UNWANTED.search(name)


def _measured(raster: Raster, body: str) -> tuple[int, ...]:
    """Return the painted box and the dominant hue."""
    picture = raster.draw(document(BOX, BOX, body), BOX, BOX)
    box = picture.getchannel("A").point(lambda alpha: 255 if alpha > 60 else 0).getbbox() or (0, 0, BOX, BOX)
    areas: Counter[int] = Counter()
    pixels = picture.tobytes()
    for start in range(0, len(pixels), 4):
        red, green, blue, alpha = pixels[start : start + 4]
        if alpha > 200:
            hue, _, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
            areas[-1 if saturation < 0.2 else int(hue * 24)] += 1
    bin_ = areas.most_common(1)[0][0] if areas else -1
    return (*box, -1 if bin_ < 0 else int(bin_ * 15 + 7))


def _words(emojis: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return the icons of each word: whole labels first, then last words of labels, then rare keywords."""
    scores: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def score(word: str, name: str, points: int) -> None:
        if len(word) > 2:
            scores[word][name] = max(points, scores[word].get(name, 0))

    for name, emoji in emojis.items():
        label = re.sub(r"[^a-z0-9 '-]", "", plain(emoji["label"]))
        score(label, name, 1000)
        score(label.removeprefix("person ").removesuffix(" face"), name, 500 if label.endswith(" face") else 600)
        score(label.split()[-1], name, 300 - len(label))
        for position, tag in enumerate(emoji["tags"]):
            score(tag.lower(), name, 100 - position)
    common = {word for word, names in scores.items()
              if len(names) > MOST_ICONS_PER_KEYWORD and max(names.values()) < 250}  # fmt: skip
    return {word: sorted(names, key=lambda name: (-names[name], name))[:4]
            for word, names in sorted(scores.items()) if word not in common}  # fmt: skip


def _write(archive: zipfile.ZipFile, name: str, text: str) -> None:
    # A fixed date keeps the archive the same, byte for byte, when its content is.
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
