"""From what a caller sent to a task that its model can do, or to everything that is wrong with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.image import OutputFormat
from limner.domain.task import (
    AS_IT_COMES,
    ASPECT_RATIOS,
    AUTO_ASPECT_RATIO,
    EditTask,
    Finish,
    GenerateTask,
    Operation,
    Task,
    UpscaleTask,
)
from limner.service.catalogue import Catalogue
from limner.service.ports import ImageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """A task as a caller sent it: ``None`` where a field was left out. Nothing of it is checked yet."""

    operation: Operation
    model_id: str | None = None
    prompt: str = ""
    image_ids: tuple[str, ...] = ()
    num_images: int | None = None
    aspect_ratio: str | None = None
    output_format: str | None = None
    seed: int | None = None
    upscale_factor: int = 0
    finish: Finish = AS_IT_COMES
    masked: bool = False
    """Whether the last of the images is a mask."""


def checked(draft: TaskDraft, catalogue: Catalogue) -> tuple[Task, ImageModel]:
    """Return the task with its defaults filled in, and its model; or raise ``InvalidFieldError``.

    The error names every wrong field: those that no model takes, and those that the chosen one does not.
    """
    violations = list(_wrong_fields(draft))
    model = catalogue.find(draft.model_id or catalogue.default_id(draft.operation))
    if model is None:
        raise InvalidFieldError([*violations, _unknown_model(draft, catalogue)])
    wrong = {violation.field for violation in violations}
    task = _task(draft, model.capabilities.id, wrong)
    violations += [each for each in model.capabilities.violations(task) if each.field not in wrong]
    if violations:
        raise InvalidFieldError(violations)
    return task, model


def _unknown_model(draft: TaskDraft, catalogue: Catalogue) -> FieldViolation:
    known = ", ".join(catalogue.ids_for(draft.operation)) or "none is configured"
    problem = "is required" if not draft.model_id else "there is no such model"
    return FieldViolation("modelId", f"{problem}; models that can {draft.operation}: {known}")


def _wrong_fields(draft: TaskDraft) -> Iterator[FieldViolation]:
    for operations, check in _CHECKS:
        if draft.operation in operations:
            yield from check(draft)


def _prompt(draft: TaskDraft) -> Iterator[FieldViolation]:
    length = len(draft.prompt.strip())
    if not 1 <= length <= limits.MAX_PROMPT_CHARS:
        most = f"{limits.MAX_PROMPT_CHARS:,}"
        yield FieldViolation("prompt", f"must have 1 to {most} characters after trimming, has {length:,}")
    elif "\0" in draft.prompt:
        yield FieldViolation("prompt", "must not contain NUL characters")


def _image_ids(draft: TaskDraft) -> Iterator[FieldViolation]:
    count = len(draft.image_ids) - draft.masked
    if not 1 <= count <= limits.MAX_INPUT_IMAGES:
        yield FieldViolation("imageIds", f"must have 1 to {limits.MAX_INPUT_IMAGES} ids, has {count}")


def _image_id(draft: TaskDraft) -> Iterator[FieldViolation]:
    if not draft.image_ids[0]:
        yield FieldViolation("imageId", "is required")


def _num_images(draft: TaskDraft) -> Iterator[FieldViolation]:
    if draft.num_images is not None and not 1 <= draft.num_images <= limits.MAX_IMAGES_PER_TASK:
        yield FieldViolation("numImages", f"must be 1 to {limits.MAX_IMAGES_PER_TASK}, is {draft.num_images}")


def _aspect_ratio(draft: TaskDraft) -> Iterator[FieldViolation]:
    allowed = [*ASPECT_RATIOS, AUTO_ASPECT_RATIO] if draft.operation is Operation.EDIT else list(ASPECT_RATIOS)
    if draft.aspect_ratio and draft.aspect_ratio not in allowed:
        yield FieldViolation("aspectRatio", f"must be one of {', '.join(allowed)}")


def _output_format(draft: TaskDraft) -> Iterator[FieldViolation]:
    if draft.output_format and draft.output_format not in tuple(OutputFormat):
        yield FieldViolation("outputFormat", f"must be one of {', '.join(OutputFormat)}")


def _finish(draft: TaskDraft) -> Iterator[FieldViolation]:
    if draft.finish.compression is not None and not 0 <= draft.finish.compression <= limits.MAX_COMPRESSION:
        yield FieldViolation("outputCompression", f"must be 0 to {limits.MAX_COMPRESSION}")


def _upscale_factor(draft: TaskDraft) -> Iterator[FieldViolation]:
    if draft.upscale_factor < 1:
        yield FieldViolation("upscaleFactor", "is required: one of the model's factors")


_PROMPTED = (Operation.GENERATE, Operation.EDIT)
_CHECKS: tuple[tuple[tuple[Operation, ...], Callable[[TaskDraft], Iterator[FieldViolation]]], ...] = (
    (_PROMPTED, _prompt),
    ((Operation.EDIT,), _image_ids),
    ((Operation.UPSCALE,), _image_id),
    (_PROMPTED, _num_images),
    (_PROMPTED, _aspect_ratio),
    (tuple(Operation), _output_format),
    (_PROMPTED, _finish),
    ((Operation.UPSCALE,), _upscale_factor),
)


def _task(draft: TaskDraft, model_id: str, wrong: set[str]) -> Task:
    """Build the task, with the default in place of a wrong field, so that the model can judge the others."""
    asked = draft.output_format if "outputFormat" not in wrong else None
    output_format = OutputFormat(asked) if asked else None
    if draft.operation is Operation.UPSCALE:
        factor = draft.upscale_factor
        return UpscaleTask(
            model_id=model_id, image_id=draft.image_ids[0], upscale_factor=factor, output_format=output_format
        )
    ratio = draft.aspect_ratio if "aspectRatio" not in wrong else None
    count = draft.num_images if "numImages" not in wrong else None
    if draft.operation is Operation.EDIT:
        return EditTask(
            model_id=model_id,
            prompt=draft.prompt.strip(),
            image_ids=draft.image_ids,
            num_images=count or 1,
            aspect_ratio=ratio or AUTO_ASPECT_RATIO,
            output_format=output_format,
            seed=draft.seed,
            finish=draft.finish,
            masked=draft.masked,
        )
    return GenerateTask(
        model_id=model_id,
        prompt=draft.prompt.strip(),
        num_images=count or 1,
        aspect_ratio=ratio or "1:1",
        output_format=output_format,
        seed=draft.seed,
        finish=draft.finish,
    )
