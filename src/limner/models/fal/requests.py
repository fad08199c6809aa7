"""An order as the calls that fill it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from limner.domain.task import EditTask, GenerateTask, UpscaleTask
from limner.models.fal.catalogue import FalFacts, Fields
from limner.outbound.body import DataUri
from limner.service.ports import Order

SEEDS: Final = 2**31
"""Some of the models behind fal take signed seeds of 32 bits."""

Input: TypeAlias = DataUri | str
"""A picture that travels in the request, or the address that it was uploaded to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that buys something."""

    endpoint: str
    fields: Fields
    indexes: tuple[int, ...]
    """Which of the asked pictures it makes."""
    seed: int | None = None
    """What makes its one picture again."""


def calls(facts: FalFacts, order: Order, inputs: Sequence[Input]) -> list[Call]:
    """Return the calls that make all pictures of the order, each once."""
    shares = _shares(facts, order)
    return [_call(facts, order, inputs, share) for share in shares]


def seed_of(facts: FalFacts, order: Order, indexes: Sequence[int]) -> int | None:
    """Return the seed of the call that makes these pictures; ``None`` when it makes none of them alone."""
    return (order.seed + indexes[0]) % SEEDS if facts.seeds and len(indexes) == 1 else None


def _shares(facts: FalFacts, order: Order) -> Iterator[tuple[int, ...]]:
    """Yield which pictures are made together: all that fit, or each alone when the caller wants to make it again.

    The pictures of one call share one seed, so no seed makes the second one alone.
    """
    size = 1 if order.task.seed is not None else facts.per_call
    total = order.task.num_images
    for start in range(0, total, size):
        yield tuple(range(start, min(start + size, total)))


def _call(facts: FalFacts, order: Order, inputs: Sequence[Input], indexes: tuple[int, ...]) -> Call:
    endpoint, where = _target(facts, order, inputs)
    seed = seed_of(facts, order, indexes)
    fields = {**where, **_wishes(facts, order), **facts.always}
    if facts.counts:
        fields["num_images"] = len(indexes)
    if seed is not None:
        fields["seed"] = seed
    return Call(endpoint=endpoint, fields=fields, indexes=indexes, seed=seed)


def _target(facts: FalFacts, order: Order, inputs: Sequence[Input]) -> tuple[str, Fields]:
    match order.task:
        case GenerateTask():
            return facts.generate, {}
        case UpscaleTask():
            return facts.upscale, {"image_url": inputs[0]}
        case EditTask() if facts.edit_one and len(inputs) == 1:
            return facts.edit_one, {"image_url": inputs[0]}
        case EditTask():
            return facts.edit, {"image_urls": list(inputs)}


def _wishes(facts: FalFacts, order: Order) -> Fields:
    task = order.task
    wanted = {"output_format": facts.formats[task.output_format]} if facts.formats and task.output_format else {}
    if isinstance(task, UpscaleTask):
        return {facts.factor_field: task.upscale_factor, **wanted}
    return {"prompt": task.prompt, **facts.shapes[task.aspect_ratio], **wanted}
