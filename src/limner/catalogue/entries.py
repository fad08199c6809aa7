"""What stands in the catalogue file."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, Operation

ADAPTERS: Final = ("sketch", "realesrgan", "openai", "fal", "google", "diffusers")

_MAX_FILE_BYTES: Final = 1024 * 1024
_MAX_TIMEOUT_S: Final = 3600
_MAX_FACTOR: Final = 16
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


class CatalogueError(Exception):
    """The catalogue is wrong; ``faults`` has a line for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ``[[models]]`` table, checked."""

    id: str
    adapter: str
    upstream_model: str = ""
    base_url: str = ""
    api_key_env: str = ""
    result_hosts: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    keep_metadata: bool = False
    """Whether a hosted model gets inputs as they were uploaded, with the place where they were taken."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``ModelCapabilities`` that the file sets."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only some adapters understand."""

    @property
    def upstream(self) -> str:
        """The vendor's own name of the model."""
        return self.upstream_model or self.id


def read_entries(path: Path) -> tuple[list[Entry], list[str]]:
    """Return the entries of the file that can be right, and a line for everything that is wrong with the others.

    Raises ``CatalogueError`` when it holds no entries at all.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise CatalogueError([f"{path} is too large"])
        document = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CatalogueError([f"{path}: {error}"]) from error
    tables = document.pop("models", None)
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise CatalogueError([f"{path}: there is no [[models]]"])
    wrong = [list(_faults(table)) for table in tables]
    faults = [f"there is no setting {name}" for name in document]
    faults += [f"{_name(tables[at], at + 1)}: {fault}" for at, found in enumerate(wrong) for fault in found]
    faults += _faults_between(tables)
    entries = [_entry(table) for table, found in zip(tables, wrong, strict=True) if not found]
    return entries, faults


def _name(table: Mapping[str, Any], number: int) -> str:
    return str(table.get("id") or f"model {number}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of texts")
    return tuple(_text(each) for each in value)


def _variable(value: Any) -> str:
    # What stands here is shown when the variable is missing, so nothing may that could be the key itself.
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError("must be the name of an environment variable in capitals, never the key itself")
    return value


def _identifier(value: Any) -> str:
    if len(_text(value)) > limits.MAX_IDENTIFIER_CHARS:
        raise ValueError(f"must have at most {limits.MAX_IDENTIFIER_CHARS} characters")
    return str(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a whole number")
    return value


def _up_to(most: int, least: int = 1) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not least <= _whole(value) <= most:
            raise ValueError(f"must be {least} to {most}")
        return int(value)

    return read


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_TIMEOUT_S:
        raise ValueError(f"must be a number of seconds, at most {_MAX_TIMEOUT_S}")
    return float(value)


def _price(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10_000:
        raise ValueError("must be an amount of US dollars")
    return Decimal(str(value))


def _date(value: Any) -> date:
    if type(value) is not date:  # a time of day is a date, too, and can't be compared with one
        raise ValueError("must be a date, such as 2026-12-31")
    return value


def _among(allowed: Sequence[str]) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        texts = _texts(value)
        if not texts or any(text not in allowed for text in texts):
            raise ValueError(f"must be a list of {', '.join(allowed)}")
        return texts

    return read


def _operations(value: Any) -> tuple[Operation, ...]:
    return tuple(Operation(name) for name in _among(tuple(Operation))(value))


def _formats(value: Any) -> tuple[OutputFormat, ...]:
    return tuple(OutputFormat(name) for name in _among(tuple(OutputFormat))(value))


def _factors(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of whole numbers")
    return tuple(_up_to(_MAX_FACTOR, least=2)(each) for each in value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
        raise ValueError("must be a number from 0 to 1000")
    return float(value)


def _among_one(allowed: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return read


def _arguments(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or any(not isinstance(each, str | int | float | bool) for each in value.values()):
        raise ValueError("must be a table of texts and numbers")
    return value


_FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": _identifier,
    "adapter": _text,
    "upstream_model": _text,
    "base_url": _text,
    "api_key_env": _variable,
    "result_hosts": _texts,
    "fallback": _texts,
    "keep_metadata": _truth,
}
_OVERRIDES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": _text,
    "operations": _operations,
    "aspect_ratios": _among([*ASPECT_RATIOS, AUTO_ASPECT_RATIO]),
    "output_formats": _formats,
    "max_images": _up_to(limits.MAX_IMAGES_PER_TASK),
    "max_input_images": _up_to(limits.MAX_INPUT_IMAGES),
    "upscale_factors": _factors,
    "max_prompt_chars": _up_to(limits.MAX_PROMPT_CHARS),
    "seeds": _truth,
    "price_usd": _price,
    "retires": _date,
    "trained": _truth,
    "watermarked": _truth,
    "version": _text,
    "concurrency": _whole,
    "max_waiting": _whole,
}
_OPTIONS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "openai": {
        "dialect": _text,
        "images_per_call": _whole,
        "quality": _text,
        "previews": _whole,
        "omit": _texts,
        "timeout_s": _seconds,
    },
    "fal": {"timeout_s": _seconds},
    "google": {"timeout_s": _seconds},
    "diffusers": {
        "device": _text,
        "dtype": _among_one(("float32", "float16", "bfloat16")),
        "variant": _text,
        "steps": _up_to(1000),
        "guidance": _number,
        "strength": _number,
        "negative_prompt": _text,
        "arguments": _arguments,
        "max_batch": _up_to(64),
        "pixels": _up_to(limits.MAX_PIXELS),
        "multiple": _up_to(1024),
        "upscale_factor": _up_to(_MAX_FACTOR),
        "download": _truth,
        "pickles": _truth,
    },
}


def _faults(table: Mapping[str, Any]) -> Iterator[str]:
    adapter = table.get("adapter")
    options = _OPTIONS.get(str(adapter), {})
    known = {**_FIELDS, **_OVERRIDES, **options}
    for name, value in table.items():
        if name not in known:
            yield f"there is no setting {name}" + (" for this adapter" if name in _all_options() else "")
            continue
        try:
            known[name](value)
        except ValueError as error:
            yield f"{name} {error}"
    yield from (f"{name} is missing" for name in ("id", "adapter") if name not in table)
    if adapter is not None and adapter not in ADAPTERS:
        yield f"there is no adapter {adapter}; there are {', '.join(ADAPTERS)}"


def _all_options() -> set[str]:
    return {name for options in _OPTIONS.values() for name in options}


def _faults_between(tables: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    ids = Counter(str(table["id"]) for table in tables if table.get("id"))
    yield from (f"{count} models are called {name}" for name, count in ids.items() if count > 1)
    for table in tables:
        fallback = table.get("fallback")
        for other in fallback if isinstance(fallback, list) else ():
            if str(other) not in ids or other == table.get("id"):
                yield f"{table.get('id')}: its fallback {other} is no other model of this file"


def _entry(table: Mapping[str, Any]) -> Entry:
    def read(known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        return {name: known[name](value) for name, value in table.items() if name in known}

    options = _OPTIONS.get(table["adapter"], {})
    return Entry(**read(_FIELDS), overrides=read(_OVERRIDES), options=read(options))
