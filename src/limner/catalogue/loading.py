"""The catalogue as the service uses it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from limner.catalogue.entries import CatalogueError, Entry, read_entries
from limner.catalogue.factory import ModelFactory
from limner.domain.task import Operation
from limner.service.ports import ImageModel

if TYPE_CHECKING:
    from limner.models.http.breaker import BreakerSnapshot

EMBEDDED: Final = (
    Entry(id="sketch", adapter="sketch"),
    Entry(id="realesrgan-x4plus", adapter="realesrgan"),
    Entry(id="realesr-animevideo", adapter="realesrgan"),
)


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """The models, and what they share."""

    models: Sequence[ImageModel]
    factory: ModelFactory | None = None

    def breaker_snapshots(self) -> "Sequence[BreakerSnapshot]":
        """Return how the circuit breakers stand now."""
        return () if self.factory is None else self.factory.breaker_snapshots()

    def refused_fields(self) -> Mapping[str, tuple[str, ...]]:
        """Return the fields that the servers of models turned out not to take, by the model's id."""
        return {} if self.factory is None else self.factory.refused_fields()

    async def close(self) -> None:
        """Close the models, and then what they share."""
        for model in self.models:
            await model.close()
        if self.factory is not None:
            await self.factory.close()


def load_models(path: Path | None, environment: Mapping[str, str] = os.environ) -> LoadedModels:
    """Return the models of the file, or for ``None`` the usual ones; raise ``CatalogueError`` with all faults."""
    entries, faults = _usual_entries(environment) if path is None else read_entries(path)
    factory = ModelFactory(environment)
    models: dict[str, ImageModel] = {}
    for entry in entries:
        try:
            models[entry.id] = factory.make(entry)
        except CatalogueError as error:
            faults += error.faults
    if faults:
        raise CatalogueError([f"{path}: {fault}" if path else fault for fault in faults])
    return LoadedModels(list(_with_fallbacks(entries, models)), factory)


def _usual_entries(environment: Mapping[str, str]) -> tuple[list[Entry], list[str]]:
    return [*EMBEDDED, *hosted_entries(environment, datetime.now(UTC).date())], []


def hosted_entries(environment: Mapping[str, str], today: date) -> Iterator[Entry]:
    """Yield the known hosted models that still live, and whose key is in the environment."""
    if environment.get("OPENAI_API_KEY"):
        from limner.models.openai import HOSTED_MODELS

        yield from (Entry(id=name, adapter="openai") for name in HOSTED_MODELS)
    if environment.get("FAL_KEY"):
        from limner.models.fal import KNOWN_MODELS as FAL_MODELS

        yield from (Entry(id=facts.id, adapter="fal") for facts in FAL_MODELS if _lives(facts.retires, today))
    if environment.get("GEMINI_API_KEY") or environment.get("GOOGLE_API_KEY"):
        from limner.models.google.catalogue import KNOWN_MODELS as GOOGLE_MODELS

        yield from (
            Entry(id=name, adapter="google") for name, facts in GOOGLE_MODELS.items() if _lives(facts.retires, today)
        )


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


def _lives(retires: date | None, today: date) -> bool:
    return retires is None or retires > today


def _ids_for(models: Sequence[ImageModel], operation: Operation) -> Iterator[str]:
    return (model.capabilities.id for model in models if operation in model.capabilities.operations)


def _with_fallbacks(entries: Sequence[Entry], models: Mapping[str, ImageModel]) -> Iterator[ImageModel]:
    for entry in entries:
        alternatives = [models[name] for name in entry.fallback]
        if alternatives:
            from limner.models.fallback import with_fallback

            yield with_fallback(models[entry.id], alternatives)
        else:
            yield models[entry.id]
