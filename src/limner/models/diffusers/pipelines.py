"""Pipelines of diffusers: loaded once, called for several pictures at a time."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch
from PIL import Image

from limner.models.diffusers.libraries import AutoPipelineForImage2Image, DiffusionPipeline
from limner.models.diffusers.memory import give_back, is_out_of_memory
from limner.models.diffusers.pictures import fitted
from limner.models.diffusers.previews import LatentColours
from limner.models.diffusers.wire import Option, PipelineSpec

OnStep: TypeAlias = Callable[[int, int, torch.Tensor | None], None]
"""Told the steps done, their total, and the latents of all pictures. What it raises ends the call."""


class SetupError(Exception):
    """The pipeline can't be loaded, or not be called like that: the operator has to look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What differs between the pictures of one call."""

    prompt: str
    seed: int
    images: tuple[Image.Image, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One picture that came out, and whether the safety checker flags it; ``None`` without a checker."""

    image: Image.Image
    flagged: bool | None


class Pipeline:
    """One pipeline on one device."""

    def __init__(self, spec: PipelineSpec, device: torch.device) -> None:
        self._generating = _loaded(spec, device)
        self._generating.set_progress_bar_config(disable=True)
        vae: Any = getattr(self._generating, "vae", None)
        if hasattr(vae, "enable_slicing"):
            vae.enable_slicing()  # decodes one picture after another: less memory, and the same as alone

    @cached_property
    def _editing(self) -> Any:
        """The pipeline that takes pictures: this one, or its sibling of the same parts."""
        if "image" in _parameters(self._generating):
            return self._generating
        try:
            sibling = AutoPipelineForImage2Image.from_pipe(self._generating)
        except ValueError as error:
            raise SetupError(f"{type(self._generating).__name__} takes no pictures") from error
        sibling.set_progress_bar_config(disable=True)
        return sibling

    @cached_property
    def colours(self) -> LatentColours | None:
        """What colours the latents stand for, when the pipeline has a usual autoencoder."""
        try:
            with torch.inference_mode():
                return LatentColours(self._generating.vae)
        except (AttributeError, TypeError, ValueError, RuntimeError, MemoryError):  # no preview is worth a picture
            return None

    def most_tokens(self, prompt: str) -> int:
        """Return 0 for a prompt that is read to its end, else how many tokens are read."""
        names = ("tokenizer", "tokenizer_2", "tokenizer_3")
        readers = [reader for name in names if (reader := getattr(self._generating, name, None)) is not None]
        if not readers:
            return 0
        reader = max(readers, key=lambda each: each.model_max_length)
        limit = _parameters(self._generating).get("max_sequence_length")
        most = int(limit.default if limit else reader.model_max_length)
        return most if len(reader(text=prompt).input_ids) > most else 0

    @property
    def has_checker(self) -> bool:
        """Whether something looks for what should not be shown."""
        return getattr(self._generating, "safety_checker", None) is not None

    def make(
        self,
        subjects: Sequence[Subject],
        size: tuple[int, int],
        arguments: Mapping[str, Option],
        on_step: OnStep,
    ) -> list[Outcome]:
        """Return a picture for each subject. Its seed alone decides on its noise, whatever the others are."""
        pipeline = self._editing if subjects[0].images else self._generating
        parameters = _parameters(pipeline)
        if unknown := [name for name in arguments if name not in parameters]:
            raise SetupError(f"{type(pipeline).__name__} has no argument {', '.join(unknown)}")
        usual: dict[str, Any] = {
            "prompt": [subject.prompt for subject in subjects],
            "image": _images(subjects, size if _starts_from_picture(parameters) else None),
            "width": size[0],
            "height": size[1],
            # On the processor whatever the device, so that a seed means the same on every device.
            "generator": [torch.Generator("cpu").manual_seed(subject.seed) for subject in subjects],
        }
        chosen = {name: _for_all(value, len(subjects)) for name, value in arguments.items()}
        call = {name: value for name, value in usual.items() if name in parameters and value is not None}
        output = pipeline(**call, **chosen, **_reporting(pipeline, parameters, on_step))
        flags = getattr(output, "nsfw_content_detected", None) or [None] * len(subjects)
        return [Outcome(image.convert("RGB"), flag) for image, flag in zip(output.images, flags, strict=True)]


class Pipelines:
    """The pipelines of one device. All stay, until memory is short."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._loaded: dict[PipelineSpec, Pipeline] = {}

    def get(self, spec: PipelineSpec) -> Pipeline:
        """Return the pipeline, loaded if need be. Raises ``SetupError``, and what tells that memory is short."""
        if spec not in self._loaded:
            self._loaded[spec] = self._fitting(spec)
        return self._loaded[spec]

    def drop_others(self, spec: PipelineSpec) -> bool:
        """Forget all pipelines but this one; return whether there were any."""
        others = [each for each in self._loaded if each != spec]
        for each in others:
            del self._loaded[each]
        give_back()
        return bool(others)

    def _fitting(self, spec: PipelineSpec) -> Pipeline:
        """Load the pipeline, if need be in place of the others."""
        try:
            return Pipeline(spec, self._device)
        except Exception as error:
            if not is_out_of_memory(error) or not self._loaded:
                raise
        self.drop_others(spec)  # here, where the failed one's parts are gone
        return Pipeline(spec, self._device)


def _loaded(spec: PipelineSpec, device: torch.device) -> Any:
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            spec.source,
            dtype=getattr(torch, spec.dtype) if spec.dtype else _usual_dtype(device),
            variant=spec.variant or None,
            use_safetensors=None if spec.pickles else True,
            local_files_only=not spec.download,
            trust_remote_code=False,
        )
        return pipeline.to(device)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise SetupError(f"{spec.source} can't be loaded: {error}") from error


def _usual_dtype(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _parameters(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(pipeline.__call__).parameters


def _starts_from_picture(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether the result has the size of the input: else a pipeline only looks at it, as it is."""
    return "strength" in parameters or "width" not in parameters


def _images(subjects: Sequence[Subject], size: tuple[int, int] | None) -> list[Image.Image] | None:
    """Return one picture for each subject, or the only subject's several."""
    images = [image for subject in subjects for image in subject.images]
    return [fitted(image, size) if size else image for image in images] or None


def _for_all(value: Option, count: int) -> Option | list[str]:
    return [value] * count if isinstance(value, str) else value


def _reporting(pipeline: Any, parameters: Mapping[str, inspect.Parameter], on_step: OnStep) -> dict[str, Any]:
    """Return the arguments by which the pipeline tells of its steps; older ones have another callback."""

    def total() -> int:
        return int(getattr(pipeline, "num_timesteps", 0) or len(pipeline.scheduler.timesteps))

    def after_step(_pipeline: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1, total(), values.get("latents"))
        return values

    def after_step_of_old(step: int, _time: Any, latents: torch.Tensor) -> None:
        on_step(step + 1, total(), latents)

    if "callback_on_step_end" in parameters:
        return {"callback_on_step_end": after_step}
    return {"callback": after_step_of_old, "callback_steps": 1} if "callback" in parameters else {}
