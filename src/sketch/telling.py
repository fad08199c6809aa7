"""What was understood, in plain words for the caller."""

from collections.abc import Iterable
from typing import Final

from sketch.instructions import Instruction, Step
from sketch.reading import Reading, Thing

_MOST_WORDS: Final = 12
_STEPS: Final = {
    "mono": "greys",
    "more_contrast": "more contrast",
    "less_contrast": "less contrast",
    "more_saturation": "stronger colours",
    "less_saturation": "weaker colours",
    "blur": "blur",
    "blur_background": "blurred background (its place is estimated)",
    "sharpen": "sharper",
    "invert": "inverted colours",
    "flip": "mirrored left to right",
    "flip_vertical": "mirrored top to bottom",
    "zoom": "closer to the middle",
    "remove_background": "background removed (its place is estimated)",
    "border": "border",
    "rounded": "rounded corners",
    "night": "night, with a new sky (its place is estimated)",
    "sunset": "sunset, with a new sky (its place is estimated)",
    "side_by_side": "side by side",
    "stack": "one above the other",
    "collage": "collage",
    "posterize": "few colours",
    "pixelate": "large pixels",
}


def tell_reading(reading: Reading) -> str:
    """Return what of a prompt is drawn and what is not."""
    parts = [_things(reading.things)] if reading.things else []
    if reading.setting:
        parts.append(f"place: {reading.setting}")
    moods = [mood for mood in (reading.time, reading.weather) if mood]
    if moods:
        parts.append(f"light and weather: {', '.join(moods)}")
    features = [feature.replace("-", " ") for feature in reading.features]
    if features:
        parts.append(f"in the sky: {', '.join(features)}")
    if reading.sky:
        parts.append("the colour of the backdrop")
    if reading.style:
        parts.append(f"style: {reading.style}")
    if parts:
        drawn = "; ".join(parts)
    elif reading.is_foreign:
        drawn = "only English is read, and emojis, so the picture is an abstract composition"
    else:
        drawn = "none of these words is known, so the picture is an abstract composition"
    # Without a part nothing came of "in" and its like.
    listed = _listed("Words used", reading.used if parts else ()) + _listed("Not understood", reading.unread)
    return f"Drawn from icons, without a neural network: {drawn}.{listed}{_listed('No room for', reading.crowded)}"


def tell_edit(instruction: Instruction, inputs: int) -> str:
    """Return what of an instruction is done to so many pictures, and what is not."""
    names = [
        _step(step) for step in instruction.steps if inputs > 1 or step.name not in {"side_by_side", "stack", "collage"}
    ]
    if inputs > 1 and not any(step.name in {"side_by_side", "stack", "collage"} for step in instruction.steps):
        names.insert(0, "side by side, as nothing else was said about several pictures")
    done = "; ".join(names) if names else "nothing"
    if instruction.is_guess:
        done = f"nothing was understood, so only a mild change of colours ({done})"
    listed = _listed("Words used", dict.fromkeys(step.text for step in instruction.steps if step.text))
    return f"Edited by rules, without a neural network: {done}.{listed}{_listed('Not understood', instruction.unread)}"


def _step(step: Step) -> str:
    if step.name == "add":
        return f"added {_things(step.reading.things)}"
    if step.name == "rotate":
        return f"rotated by {step.degrees} degrees clockwise"
    if step.name in {"replace_sky", "replace_background"}:
        what = step.name.removeprefix("replace_")
        to = ", ".join(part for part in (step.reading.setting, step.reading.time, step.reading.weather) if part)
        return f"new {what}{': ' + to if to else ''} (its place is estimated)"
    return _STEPS.get(step.name, step.name.replace("_", " "))


def _things(things: Iterable[Thing]) -> str:
    return ", ".join(f"{thing.count} × {thing.icon.label}" if thing.count > 1 else thing.icon.label for thing in things)


def _listed(title: str, words: Iterable[str]) -> str:
    words = list(words)
    if not words:
        return ""
    more = ", ..." if len(words) > _MOST_WORDS else ""
    return f" {title}: {', '.join(words[:_MOST_WORDS])}{more}."
