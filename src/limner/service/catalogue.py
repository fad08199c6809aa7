"""The models that the operator configured."""

from collections.abc import Iterator, Mapping, Sequence

from limner.domain.task import Operation
from limner.service.ports import ImageModel


class Catalogue:
    """Models by id, in the operator's order, and the default of each operation."""

    def __init__(self, models: Sequence[ImageModel], defaults: Mapping[Operation, str]) -> None:
        self._models = {model.capabilities.id: model for model in models}
        self._defaults = defaults

    def __iter__(self) -> Iterator[ImageModel]:
        return iter(self._models.values())

    def find(self, model_id: str) -> ImageModel | None:
        """Return the model, or ``None``."""
        return self._models.get(model_id)

    def default_id(self, operation: Operation) -> str:
        """Return the id of the model that is asked when the caller names none; empty when there is none."""
        return self._defaults.get(operation, "")

    def ids_for(self, operation: Operation) -> tuple[str, ...]:
        """Return the ids of all models with the operation."""
        return tuple(model.capabilities.id for model in self if operation in model.capabilities.operations)
