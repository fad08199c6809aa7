"""An error document of any vendor, as facts: which codes it holds, which fields it names, what it says in words.

Vendors put the same facts into documents of any shape, and relays wrap one document into another, as a member or as
text. So nothing here depends on where a fact stands, but for what only repeats the request, which is left out: a
prompt about safety is no refusal.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any, Final, Self

from limner.outbound.answer import Response
from limner.outbound.errors import UnreadableAnswerError

_MAX_DEPTH: Final = 12
_MAX_VALUES: Final = 1000
_MAX_TEXT_CHARS: Final = 4096
_MAX_CODE_CHARS: Final = 128
_ECHO_CHARS: Final = 24
"""So many characters of the prompt in a row are an echo of it, and so is all of a shorter one."""

_ECHOES: Final = frozenset(
    {
        *("input", "inputs", "flagged_input", "prompt", "revised_prompt", "negative_prompt", "messages", "contents"),
        *(
            "request",
            "request_body",
            "body",
            "headers",
            "parameters",
            "params",
            "instances",
            "config",
            "options",
            "ctx",
        ),
        *("data", "b64_json", "url", "urls", "help", "docs", "doc_url", "documentation_url", "links", "model"),
        *("id", "request_id", "requestid", "trace_id", "traceid", "provider_name", "@type", "domain", "service"),
    }
)
"""Members that repeat the request, lead elsewhere or name things; their values say nothing of the fault."""
_CODE_NAMES: Final = frozenset({"code", "type", "status", "reason", "error_code", "error_type", "finish_reason"})
"""Members whose values are never the prompt's."""
_FIELD_NAMES: Final = frozenset({"param", "field", "parameter", "property", "argument", "field_name"})
_FIELD_NAME: Final = re.compile(r"[a-z_][\w-]{0,63}")
_NOTHING: Final = frozenset({"", "null", "none"})
_PLACES: Final = frozenset({"loc", "path", "field_path"})
_TOKEN: Final = re.compile(r"[A-Za-z][\w.:/-]*")
_IDENTIFIER: Final = re.compile(r"\b(?:[A-Za-z]+(?:_[A-Za-z0-9]+)+|[A-Z][A-Za-z]{5,127})\b")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MARKUP: Final = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_SAFE_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LIKE_A_FIELD: Final = (
    r"[a-z]\w{0,40}_\w{1,40}|n|size|quality|seed|stream|style|user|background|moderation|width|height|steps|scale"
)
_FIELD: Final = "(?:parameter|field|argument|param|property|option|attribute)s?"
_NO: Final = (
    r"(?:is |are |was )?"
    r"(?:not (?:supported|permitted|allowed|recogni[sz]ed|known|accepted)|unsupported|unknown|invalid)"
)
_WRONG: Final = rf"\b(?:un\w{{1,12}}|invalid|extra|missing|illegal) (?:\w{{1,12}} ){{0,2}}{_FIELD}:? (?:named )?"
_FIELD_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # unknown parameter: 'x'; unknown field `x`; got an unexpected keyword argument 'x'
        rf"{_WRONG}['\"`](\w{{1,64}})['\"`]",
        rf"{_WRONG}({_LIKE_A_FIELD})\b",
        rf"\b{_FIELD}:? ['\"`](\w{{1,64}})['\"`] {_NO}",
        rf"\b{_FIELD}:? ({_LIKE_A_FIELD}) {_NO}",
        rf"\b(?:invalid|unsupported|unknown|bad|wrong) (?:value|type)s? (?:for|of|at) (?:the )?(?:{_FIELD} )?"
        rf"['\"`]?({_LIKE_A_FIELD})\b",
        rf"\b(?:invalid|unsupported|unknown|unexpected) ({_LIKE_A_FIELD})\b",
        rf"\b({_LIKE_A_FIELD})['\"`]? (?:must|should|has to|needs to) (?:be|have) "
        r"(?:one of|at least|at most|between|[≤≥<>]|less|greater|equal|an? |in |set |either |\d)",
        rf"\b(?:does not|doesn't|do not|can't|cannot) (?:support|accept|take|allow) (?:the )?(?:{_FIELD} )?"
        rf"['\"`]?({_LIKE_A_FIELD})\b",
        rf"\b({_LIKE_A_FIELD})['\"`]?:? {_NO}",
    )
)
"""How texts in lower case name a field that is not taken. No word counts that may be what was painted."""


@dataclass(frozen=True, slots=True)
class Code:
    """A name for a fault, and the words that it is made of, in lower case."""

    name: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> Self:
        """Take ``content_policy_violation``, ``ContentFiltered``, ``PROHIBITED-CONTENT`` apart."""
        return cls(name, tuple(word.lower() for word in _WORD.findall(name)))


@dataclass
class Complaint:
    """What an answer says went wrong; empty when it says nothing."""

    codes: list[Code] = field(default_factory=list)
    """Values of one word each, wherever they stand."""
    quoted: list[Code] = field(default_factory=list)
    """Names in the midst of the texts."""
    flags: list[tuple[Code, bool]] = field(default_factory=list)
    """Members that are true or false."""
    fields: set[str] = field(default_factory=set)
    """The fields that are blamed by a member of the document, in lower case."""
    text: str = ""
    """All that is said in words, in lower case, without the prompt."""

    @classmethod
    def of(cls, response: Response, prompt: str = "") -> Self:
        """Read an answer of any status: JSON, or a plain text; a page of something on the way says nothing."""
        try:
            document = response.json()
        except UnreadableAnswerError:
            text = response.text(_MAX_TEXT_CHARS)
            document = "" if _MARKUP.match(text) else text
        return cls.in_document(document, prompt)

    @classmethod
    def in_document(cls, document: object, prompt: str = "") -> Self:
        """Read a document; ``prompt`` is what its texts may repeat."""
        complaint = cls()
        reader = _Reader(complaint, prompt.strip())
        reader.read(document, "", 0)
        complaint.text = "\n".join(reader.texts)
        return complaint

    @cached_property
    def named_fields(self) -> set[str]:
        """The fields that are blamed by a member or in words."""
        return self._blamed | {match[1] for pattern in _FIELD_PATTERNS for match in pattern.finditer(self.text)}

    @property
    def _blamed(self) -> set[str]:
        """What relays write where a field's name should be is none: a status, or the code again."""
        codes = {code.name.lower() for code in self.codes}
        return {name for name in self.fields - codes if _FIELD_NAME.fullmatch(name)}

    @property
    def safe_codes(self) -> list[str]:
        """Some of the codes, for the log: no words, and nothing of the prompt."""
        return sorted({code.name for code in self.codes if _SAFE_CODE.fullmatch(code.name)})[:8]

    def has_code(self, *names: str) -> bool:
        """Return whether one of these codes stands anywhere, in whatever spelling."""
        wanted = {Code.of(name).words for name in names}
        return any(code.words in wanted for code in (*self.codes, *self.quoted))


class _Reader:
    """Walks through a document."""

    def __init__(self, complaint: Complaint, prompt: str) -> None:
        self._complaint = complaint
        self._prompt = prompt.lower()
        self._values = 0
        self._chars_left = _MAX_TEXT_CHARS
        self.texts: list[str] = []

    def read(self, value: object, name: str, depth: int) -> None:
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            return
        if isinstance(value, dict):
            for key, each in value.items():
                self._member(str(key), each, depth + 1)
        elif isinstance(value, list):
            for each in value:
                self.read(each, name, depth + 1)
        elif isinstance(value, bool):
            self._complaint.flags.append((Code.of(name), value))
        elif isinstance(value, str) and (text := value[: self._chars_left].strip()):
            self._chars_left -= len(text)
            self._string(text, name.lower(), depth)

    def _member(self, name: str, value: object, depth: int) -> None:
        lower = name.lower()
        if lower in _FIELD_NAMES and isinstance(value, str):
            self._complaint.fields.update({_first_name(value)} - _NOTHING)
        elif lower in _PLACES and isinstance(value, list | str):
            self._complaint.fields.update(_place(value))
        elif lower not in _ECHOES or (lower in ("data", "body") and isinstance(value, dict)):
            self.read(value, name, depth)

    def _string(self, value: str, name: str, depth: int) -> None:
        if value[0] in "{[" and (inner := _parsed(value)) is not None:
            self.read(inner, "", depth + 1)
        elif _TOKEN.fullmatch(value) and len(value) <= _MAX_CODE_CHARS:
            if name in _CODE_NAMES or not self._is_echo(value):
                self._complaint.codes.append(Code.of(value))
        else:
            self.texts.append(_without_echo(value.lower(), self._prompt))
            names = (each for each in _IDENTIFIER.findall(value) if not self._is_echo(each))
            self._complaint.quoted += [code for code in map(Code.of, names) if len(code.words) > 1]

    def _is_echo(self, word: str) -> bool:
        return word.lower() in self._prompt


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _place(value: list[Any] | str) -> Iterator[str]:
    """Yield the field that a place such as ``["body", "num_images"]`` names: its first name below ``body``."""
    names = [each for each in value if isinstance(each, str)] if isinstance(value, list) else value.split(".")
    if len(names) > 1 and names[0].lower() in ("body", "query", "input", "data"):
        names = names[1:]
    if names and names[0].strip():
        yield _first_name(names[0])


def _first_name(text: str) -> str:
    """Return ``image_config`` for ``image_config.aspect_ratio``, ``image`` for ``image[0]``."""
    return re.split(r"[.\[\]]", text.strip().lower(), maxsplit=1)[0]


def _without_echo(text: str, prompt: str) -> str:
    """Cut out what repeats the prompt, all of it or as much of its beginning as there is."""
    start = prompt[:_ECHO_CHARS]
    if len(start) < 3:
        return text
    at = text.find(start)
    while at >= 0:
        pairs = zip(text[at:], prompt, strict=False)
        echo = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        text = f"{text[:at]}…{text[at + echo :]}"
        at = text.find(start, at + 1)
    return text
