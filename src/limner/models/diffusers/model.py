"""The adapter: a pipeline of diffusers as a model of the catalogue."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final

from limner.domain import limits
from limner.domain.errors import LimnerError, ProviderMisconfiguredError
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, EditTask, Operation, Task, UpscaleTask
from limner.models.diffusers.device import Asked, Device, Drawn
from limner.models.diffusers.folder import Abilities, PipelineFacts, facts, find, missing_package
from limner.models.diffusers.sizes import size_for
from limner.models.diffusers.wire import Option, PipelineSpec, Recipe
from limner.models.tally import Tally
from limner.service.ports import Job, MadePicture, Order, PictureInfo

_SEEDS: Final = limits.MAX_SEED + 1
_UNKNOWN: Final = PipelineFacts(
    class_name="", abilities=Abilities(operations=()), pixels=1024**2, multiple=64, variant=""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusersOptions:
    """How a pipeline is loaded and called. What is not given is seen from its files, or left to the pipeline."""

    operations: tuple[Operation, ...] = ()
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    """How far an edit may go from its input, 0 to 1, in pipelines that start from it."""
    negative_prompt: str = ""
    arguments: Mapping[str, Option] = field(default_factory=dict)
    """More arguments of the pipeline's call, such as ``true_cfg_scale``."""
    max_batch: int = 4
    """How many pictures are made at a time."""
    pixels: int | None = None
    """About how many pixels a picture has."""
    multiple: int | None = None
    """What width and height are multiples of, in pixels."""
    max_input_images: int | None = None
    upscale_factor: int | None = None
    max_prompt_chars: int = limits.MAX_PROMPT_CHARS
    dtype: str = ""
    """``float32``, ``float16`` or ``bfloat16``; empty for what suits the device."""
    variant: str = ""
    """What stands in the names of the weight files, such as ``fp16``."""
    download: bool = False
    """Whether weights that are not on this machine may be fetched from the hub."""
    pickles: bool = False
    """Whether weights may be pickles: they can hold code, which is then run."""
    description: str = ""


class DiffusersModel:
    """One pipeline, from a folder or from the hub's cache on this machine.

    A picture depends on its prompt, its inputs and its seed, not on those that are made with it, rounding in
    the arithmetic of larger batches apart: single levels of single pixels may differ by one. A text that
    the pipeline would cut off is refused. Nothing that comes with the weights is run as code.
    """

    def __init__(self, model_id: str, source: str, device: Device, options: DiffusersOptions | None = None) -> None:
        """Set up the model; ``source`` is a folder or a hub id."""
        self._source = source
        self._device = device
        self._options = options = options or DiffusersOptions()
        folder = find(source)
        self._found = folder is not None
        self._facts = (facts(folder) if folder else None) or _UNKNOWN
        self._pipeline = PipelineSpec(
            source=str(folder or source),
            dtype=options.dtype,
            variant=options.variant or self._facts.variant,
            download=options.download and not folder,
            pickles=options.pickles,
        )
        self._pixels = options.pixels or self._facts.pixels
        self._multiple = options.multiple or self._facts.multiple
        self._arguments = _arguments(options)
        self.capabilities = _capabilities(model_id, self._facts, options, device.places)

    def unready_reason(self) -> str:
        """Return which package or which weights are missing; empty when all are there."""
        if missing := missing_package():
            return f"the package {missing} is not installed: pip install 'limner[diffusers]'"
        if not self._found and not self._options.download:
            return f"{self._source} is neither a folder with a pipeline nor in the hub's cache on this machine"
        if not self.capabilities.operations:
            return f"it is not known what {self._source} can do: say it by its operations"
        return ""

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures; a cancellation takes effect at the next step's end.

        Raises ``InvalidFieldError`` for a prompt longer than the pipeline reads.
        """
        if reason := self.unready_reason():
            raise ProviderMisconfiguredError(reason)
        pictures = self._asked(order, job)
        job.progress(0.0)
        tally = Tally(order, job, steps=False)
        with self._device.making(pictures):
            await _hand_over(pictures, tally)
        tally.settle()

    async def close(self) -> None:
        """End the worker process, and with it that of the device's other models."""
        await self._device.close()

    def _asked(self, order: Order, job: Job) -> list[Asked]:
        recipe, share = self._recipe(order), Progress(order.task.num_images, job)
        return [
            Asked(
                recipe=recipe,
                prompt=order.task.prompt,
                seed=(order.seed + index) % _SEEDS,
                inputs=order.inputs,
                progress=partial(share.tell, index),
                preview=partial(job.preview, index, content_type="image/png"),
                watched=lambda: job.watched,
            )
            for index in range(order.task.num_images)
        ]

    def _recipe(self, order: Order) -> Recipe:
        task, edits = order.task, isinstance(order.task, EditTask)
        size = self._size(task)
        return Recipe(
            pipeline=self._pipeline,
            operation=task.operation.value,
            size=size,
            pixels=self._pixels,
            multiple=self._multiple,
            factor=task.upscale_factor if isinstance(task, UpscaleTask) else 0,
            inputs=() if any(size) else tuple(each.image.id for each in order.inputs),
            arguments=tuple((name, value) for name, value in self._arguments if edits or name != "strength"),
            max_batch=self._options.max_batch if self._facts.abilities.batched_edits or not edits else 1,
        )

    def _size(self, task: Task) -> tuple[int, int]:
        if isinstance(task, UpscaleTask) or task.aspect_ratio == AUTO_ASPECT_RATIO:
            return (0, 0)
        return size_for(ASPECT_RATIOS[task.aspect_ratio], self._pixels, self._multiple)


class Progress:
    """How much of an order is done: the share of its pictures."""

    def __init__(self, pictures: int, job: Job) -> None:
        self._fractions = [0.0] * pictures
        self._job = job

    def tell(self, index: int, fraction: float) -> None:
        """So much of one picture is done."""
        self._fractions[index] = fraction
        self._job.progress(sum(self._fractions) / len(self._fractions))


async def _hand_over(pictures: Sequence[Asked], tally: Tally) -> None:
    """Hand over each picture as it comes."""
    indexes = {asked.result: index for index, asked in enumerate(pictures)}
    pending = set(indexes)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for result in sorted(done, key=indexes.__getitem__):
            index = indexes[result]
            try:
                drawn = result.result()
            except LimnerError as error:
                tally.lost((index,), error)
            else:
                await tally.made(_made(index, pictures[index].seed, drawn))
            pictures[index].progress(1.0)


def _made(index: int, seed: int, drawn: Drawn) -> MadePicture:
    info = PictureInfo(format=OutputFormat.PNG, width=drawn.width, height=drawn.height)
    return MadePicture(index=index, data=drawn.data, seed=seed, info=info)


def _arguments(options: DiffusersOptions) -> tuple[tuple[str, Option], ...]:
    named = {
        "num_inference_steps": options.steps,
        "guidance_scale": options.guidance,
        "strength": options.strength,
        "negative_prompt": options.negative_prompt or None,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return tuple({**given, **options.arguments}.items())


def _capabilities(model_id: str, known: PipelineFacts, options: DiffusersOptions, places: int) -> ModelCapabilities:
    abilities = known.abilities
    operations = options.operations or abilities.operations
    edits = Operation.EDIT in operations
    factor = options.upscale_factor or abilities.upscale_factor
    upscales = Operation.UPSCALE in operations and factor > 0
    return ModelCapabilities(
        id=model_id,
        description=options.description or f"A {known.class_name or 'pipeline'} of diffusers, on this machine.",
        operations=operations,
        aspect_ratios=(*ASPECT_RATIOS, *([AUTO_ASPECT_RATIO] if edits else [])),
        max_images=min(limits.MAX_IMAGES_PER_TASK, places),
        max_input_images=options.max_input_images or abilities.max_input_images or int(edits),
        upscale_factors=(factor,) if upscales else (),
        max_prompt_chars=options.max_prompt_chars,
        seeds=True,
        price_usd=Decimal(0),
        local=True,
        concurrency=2 * options.max_batch,  # while a batch is made, those of the next one gather
    )
