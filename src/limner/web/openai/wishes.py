"""What a request asks for, read from JSON or from a form, and everything in it that can't be done."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import Finish, Operation
from limner.service.drafts import TaskDraft
from limner.web.openai.errors import NO_PARAMETER, NOT_HERE
from limner.web.openai.sizes import aspect_ratio

Fields = Mapping[str, Any]

MAX_PARTIAL_IMAGES: Final = 3
MAX_USER_CHARS: Final = 512
_HARMLESS: Final[Mapping[str, tuple[str, ...]]] = {"moderation": ("auto",)}
"""Fields that may say what happens anyway."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,12}")
B64_JSON, URL = "b64_json", "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """One request for pictures. The ids of an edit's inputs are still to be found."""

    draft: TaskDraft
    stream: bool
    partial_images: int
    response_format: str
    safety_identifier: str | None


def wishes(operation: Operation, fields: Fields) -> Wishes:
    """Read the fields of a request; ``None`` counts as absent. Raises ``InvalidFieldError`` for all that is wrong."""
    reader = _Reader({name: value for name, value in fields.items() if value is not None})
    size, ratio = reader.text("size"), reader.text("aspect_ratio")
    read = Wishes(
        draft=TaskDraft(
            operation=operation,
            model_id=reader.text("model") or None,
            prompt=reader.text("prompt"),
            num_images=reader.number("n"),
            aspect_ratio=reader.found(lambda: aspect_ratio(size, ratio)) or None,
            output_format=reader.text("output_format") or None,
            seed=reader.number("seed"),
            finish=Finish(
                quality=_unless_auto(reader.text("quality")),
                background=_unless_auto(reader.text("background")),
                compression=reader.number("output_compression"),
            ),
        ),
        stream=reader.truth("stream"),
        partial_images=reader.number("partial_images") or 0,
        response_format=reader.text("response_format") or B64_JSON,
        safety_identifier=reader.text("safety_identifier") or reader.text("user") or None,
    )
    reader.note_others()
    reader.check(read)
    return read


def _unless_auto(value: str) -> str:
    """Return what is asked of the model: nothing, when the choice is left to it."""
    return "" if value == "auto" else value


class _Reader:
    """Takes fields by name and type, and remembers which were wrong and which nobody asked for."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._known: set[str] = set()
        self._violations: list[FieldViolation] = []

    def text(self, name: str) -> str:
        value = self._take(name)
        if value is None or isinstance(value, str):
            return value or ""
        self._wrong(name, "must be a string")
        return ""

    def number(self, name: str) -> int | None:
        value = self._take(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        self._wrong(name, "must be an integer")
        return None

    def truth(self, name: str) -> bool:
        value = self._take(name)
        said = {"true": True, "false": False}.get(str(value).lower())
        if value is None or said is not None:
            return bool(said)
        self._wrong(name, "must be true or false")
        return False

    def found(self, read: Callable[[], str]) -> str:
        try:
            return read()
        except InvalidFieldError as error:
            self._violations += error.violations
            return ""

    def note_others(self) -> None:
        """Note all fields that nobody asked for, ahead of the rest."""
        self._violations[:0] = [FieldViolation(name, why) for name, why in self._unknown()]

    def check(self, read: Wishes) -> None:
        """Raise when something is wrong that concerns no model."""
        if not 0 <= read.partial_images <= MAX_PARTIAL_IMAGES:
            self._wrong("partial_images", f"must be 0 to {MAX_PARTIAL_IMAGES}")
        if read.partial_images and not read.stream:
            self._wrong("partial_images", "needs stream")
        if read.response_format not in (B64_JSON, URL):
            self._wrong("response_format", f"must be {B64_JSON} or {URL}")
        if len(read.safety_identifier or "") > MAX_USER_CHARS:
            self._wrong("safety_identifier", f"must have at most {MAX_USER_CHARS} characters")
        if read.draft.seed is not None and not 0 <= read.draft.seed < 2**32:
            self._wrong("seed", "must be 0 to 4294967295")
        if self._violations:
            raise InvalidFieldError(self._violations)

    def _unknown(self) -> Iterator[tuple[str, str]]:
        for name, value in self._fields.items():
            first = name.partition("[")[0]
            if first in _HARMLESS:
                if value not in _HARMLESS[first]:
                    yield name, f"must be {' or '.join(_HARMLESS[first])}: no model here can be told otherwise"
            elif first not in self._known or first != name:
                yield name[:100], NOT_HERE.get(first, NO_PARAMETER)

    def _take(self, name: str) -> Any:
        self._known.add(name)
        return self._fields.get(name)

    def _wrong(self, name: str, problem: str) -> None:
        self._violations.append(FieldViolation(name, problem))
