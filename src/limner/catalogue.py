"""The operator's catalogue of models: read from a TOML file, or the embedded models when there is none."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from limner.domain.task import Operation
from limner.models.realesrgan import RealEsrganModel, UpscalerProcess
from limner.models.sketch import SketchModel
from limner.service.ports import ImageModel

_REALESRGAN_MODELS: Final = ("realesrgan-x4plus", "realesr-animevideo")


class CatalogueError(Exception):
    """The catalogue is wrong; ``faults`` has a line for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ``[[models]]`` table of the file."""

    id: str
    adapter: str
    upstream_model: str = ""


class ModelFactory:
    """Makes the models of one service; those that can share a process or threads do."""

    def __init__(self) -> None:
        self._upscaler = UpscalerProcess()

    def model(self, entry: Entry) -> ImageModel:
        """Return the model of an entry whose adapter is known."""
        return self._makers()[entry.adapter](entry)

    @classmethod
    def adapters(cls) -> tuple[str, ...]:
        """Return the names of the adapters."""
        return ("sketch", "realesrgan")

    def _makers(self) -> Mapping[str, Callable[[Entry], ImageModel]]:
        return {"sketch": self._sketch, "realesrgan": self._realesrgan}

    def _sketch(self, entry: Entry) -> ImageModel:
        return SketchModel(model_id=entry.id)

    def _realesrgan(self, entry: Entry) -> ImageModel:
        return RealEsrganModel(entry.upstream_model or entry.id, self._upscaler, model_id=entry.id)


EMBEDDED: Final = (
    Entry(id="sketch", adapter="sketch"),
    *(Entry(id=name, adapter="realesrgan") for name in _REALESRGAN_MODELS),
)


def configured_models(path: Path | None) -> list[ImageModel]:
    """Return the models of the file, or the embedded ones for ``None``; raise ``CatalogueError`` with all faults."""
    entries = EMBEDDED if path is None else _entries(path)
    factory = ModelFactory()
    return [factory.model(entry) for entry in entries]


def default_models(models: Sequence[ImageModel], generate: str, edit: str) -> dict[Operation, str]:
    """Return the model of calls that name none: the operator's choice, or else the first that can.

    Raises ``CatalogueError`` when the choice is not a model of the catalogue with the operation.
    """
    chosen = {Operation.GENERATE: generate, Operation.EDIT: edit}
    faults = [
        f"LIMNER_DEFAULT_{operation.name}_MODEL: {model_id} is no model of the catalogue that can {operation}"
        for operation, model_id in chosen.items()
        if model_id and model_id not in _ids_for(models, operation)
    ]
    if faults:
        raise CatalogueError(faults)
    defaults = {operation: model_id or next(_ids_for(models, operation), "") for operation, model_id in chosen.items()}
    return {operation: model_id for operation, model_id in defaults.items() if model_id}


def _ids_for(models: Sequence[ImageModel], operation: Operation) -> Iterator[str]:
    return (model.capabilities.id for model in models if operation in model.capabilities.operations)


def _entries(path: Path) -> list[Entry]:
    try:
        tables = tomllib.loads(path.read_text()).get("models", [])
    except (OSError, ValueError) as error:
        raise CatalogueError([f"{path}: {error}"]) from error
    faults = [f"{path}: model {number}: {fault}" for number, table in enumerate(tables, 1) for fault in _faults(table)]
    ids = [table.get("id") for table in tables]
    faults += [f"{path}: two models are called {name}" for name in {each for each in ids if ids.count(each) > 1}]
    if faults or not tables:
        raise CatalogueError(faults or [f"{path}: there is no [[models]]"])
    return [Entry(**table) for table in tables]


def _faults(table: Mapping[str, Any]) -> Iterator[str]:
    known = Entry.__dataclass_fields__
    yield from (f"there is no setting {name}" for name in table if name not in known)
    yield from (f"{name} must be a text" for name, value in table.items() if not isinstance(value, str))
    yield from (f"{name} is missing" for name in ("id", "adapter") if not table.get(name))
    adapter = table.get("adapter")
    if adapter and adapter not in ModelFactory.adapters():
        yield f"there is no adapter {adapter}; there are {', '.join(ModelFactory.adapters())}"
    if adapter == "realesrgan" and (table.get("upstream_model") or table.get("id")) not in _REALESRGAN_MODELS:
        yield f"upstream_model must be one of {', '.join(_REALESRGAN_MODELS)}"
