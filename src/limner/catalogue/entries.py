"""What stands in the catalogue file."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, Operation

ADAPTERS: Final = ("sketch", "realesrgan", "openai", "fal", "google", "diffusers")

_MAX_FILE_BYTES: Final = 1024 * 1024


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
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``ModelCapabilities`` that the file sets."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only some adapters understand."""

    @property
    def upstream(self) -> str:
        """The vendor's own name of the model."""
        return self.upstream_model or self.id


def read_entries(path: Path) -> list[Entry]:
    """Return what stands in the file; raise ``CatalogueError`` with everything that is wrong with it."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise CatalogueError([f"{path} is too large"])
        tables = tomllib.loads(path.read_text()).get("models", [])
    except (OSError, ValueError) as error:
        raise CatalogueError([f"{path}: {error}"]) from error
    if not isinstance(tables, list) or not tables:
        raise CatalogueError([f"{path}: there is no [[models]]"])
    faults = [
        f"{path}: {_name(table, number)}: {fault}" for number, table in enumerate(tables, 1) for fault in _faults(table)
    ]
    faults += [f"{path}: {fault}" for fault in _faults_between(tables)]
    if faults:
        raise CatalogueError(faults)
    return [_entry(table) for table in tables]


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


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a whole number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _price(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10_000:
        raise ValueError("must be an amount of US dollars")
    return Decimal(str(value))


def _date(value: Any) -> date:
    if not isinstance(value, date):
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
    return tuple(_whole(each) for each in value)


def _anything(value: Any) -> Any:
    return value


_FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": _text,
    "adapter": _text,
    "upstream_model": _text,
    "base_url": _text,
    "api_key_env": _text,
    "result_hosts": _texts,
    "fallback": _texts,
}
_OVERRIDES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": _text,
    "operations": _operations,
    "aspect_ratios": _among([*ASPECT_RATIOS, AUTO_ASPECT_RATIO]),
    "output_formats": _formats,
    "max_images": _whole,
    "max_input_images": _whole,
    "upscale_factors": _factors,
    "max_prompt_chars": _whole,
    "seeds": _truth,
    "price_usd": _price,
    "retires": _date,
    "concurrency": _whole,
    "max_waiting": _whole,
}
_OPTIONS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "openai": {"dialect": _text, "images_per_call": _whole, "quality": _text, "previews": _whole},
    "diffusers": {
        "device": _text,
        "dtype": _text,
        "steps": _whole,
        "guidance": _anything,
        "max_batch": _whole,
        "variant": _text,
        "download": _truth,
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
    ids = [table.get("id") for table in tables]
    yield from sorted(
        f"two models are called {name}" for name in {each for each in ids if each and ids.count(each) > 1}
    )
    for table in tables:
        for other in table.get("fallback") or ():
            if other not in ids or other == table.get("id"):
                yield f"{table.get('id')}: its fallback {other} is no other model of this file"


def _entry(table: Mapping[str, Any]) -> Entry:
    def read(known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        return {name: known[name](value) for name, value in table.items() if name in known}

    options = _OPTIONS.get(table["adapter"], {})
    return Entry(**read(_FIELDS), overrides=read(_OVERRIDES), options=read(options))
