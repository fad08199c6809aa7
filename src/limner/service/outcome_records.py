"""What the instruments are told of a generation whose end was committed."""

from collections.abc import Sequence
from typing import Protocol

from limner.domain.errors import ContentRejectedError, GenerationCancelledError
from limner.domain.task import Generation, GenerationState, Plan
from limner.service.instruments import IMAGES, PURCHASES, SPEND, TASK_DURATION

MICROS: int = 1_000_000


class Purchase(Protocol):
    """One purchase of a generation, whether this worker made it or another."""

    @property
    def indexes(self) -> Sequence[int]:
        """Which pictures were asked for."""

    @property
    def model_id(self) -> str:
        """Which model was asked."""


def record_end(
    generation: Generation, plan: Plan, purchases: Sequence[Purchase], voided: Sequence[str], *, reclaimed: bool
) -> None:
    """Count a generation that ended, once: after the commit that shows it.

    purchases: what was or may have been bought. Generations without any, on hardware of one's own, have none.
    voided: for each purchase that was surely not made, the model that was asked.
    reclaimed: it had ended before, as unknown: then its purchases were counted with that end.
    """
    for image in generation.images:
        model = image.model or generation.model
        IMAGES.add(1, generation.operation.value, model)
        SPEND.add(plan.cost_micros([image]) / MICROS, model)
    if reclaimed:
        return
    took_s = (generation.updated_at - generation.created_at).total_seconds()
    TASK_DURATION.observe(max(took_s, 0.0), generation.operation.value, generation.model, _end_of(generation))
    missing = {each.index for each in generation.missing}
    for model in voided:
        PURCHASES.add(1, model or generation.model, "not_bought")
    for purchase in purchases:
        PURCHASES.add(1, purchase.model_id or generation.model, _outcome_of(purchase, generation, missing))


def _end_of(generation: Generation) -> str:
    if generation.state is GenerationState.SUCCEEDED and generation.missing:
        return "partial"
    return generation.state.value.lower()


def _outcome_of(purchase: Purchase, generation: Generation, missing: set[int]) -> str:
    """Return what became of a purchase. One that brought a single picture of several was made."""
    if not missing.issuperset(purchase.indexes):
        return "bought"
    reasons = {each.reason for each in generation.missing if each.index in purchase.indexes}
    if reasons == {ContentRejectedError.reason}:
        return "refused"
    if generation.state is GenerationState.UNKNOWN:
        return "unknown"
    return "cancelled" if reasons == {GenerationCancelledError.reason} else "lost"
