"""What is looked at before a file is uploaded for a task: a task that is refused leaves no picture behind."""

from collections.abc import Iterator, Sequence

from limner.cli.pictures import files_among
from limner.cli.session import CallFailedError
from limner.client import Client, EditImagesRequest, Model, Task, UpscaleImageRequest


def check_before_upload(client: Client, task: Task, images: Sequence[str]) -> None:
    """Raise ``CallFailedError`` when the service would refuse the task, or an image that is there, whatever the files.

    Without a file among the images nothing is looked up: the service itself refuses.
    """
    files = files_among(images)
    if not files:
        return
    if faults := list(_faults(client.models(), task, len(images))):
        raise CallFailedError(f"{' '.join(faults)} Nothing was uploaded.")
    for image_id in images:
        if image_id not in files:
            client.image(image_id)


def model_of(models: Sequence[Model], task: Task) -> Model | None:
    """Return the model that a task names, or the default one; ``None`` when there is none."""
    operation = "generate"
    if isinstance(task, EditImagesRequest | UpscaleImageRequest):
        operation = "edit" if isinstance(task, EditImagesRequest) else "upscale"
    named = (each for each in models if each.id == task.model_id)
    default = (each for each in models if operation in each.default_for)
    return next(named if task.model_id else default, None)


def _faults(models: Sequence[Model], task: Task, inputs: int) -> Iterator[str]:
    operation = "upscale" if isinstance(task, UpscaleImageRequest) else "edit"
    model = model_of(models, task)
    if model is None or operation not in model.operations:
        able = ", ".join(each.id for each in models if operation in each.operations)
        what = f"{task.model_id} is no model that can {operation}." if task.model_id else f"No model {operation}s here."
        yield f"{what} There is: {able}." if able else what
        return
    if not model.ready:
        yield f"{model.id} is not ready: {model.unready_reason}."
    if inputs > model.max_input_images:
        yield f"{model.id} takes {model.max_input_images} images at most."
    if task.output_format and task.output_format not in model.output_formats:
        yield f"{model.id} makes {', '.join(model.output_formats)}, not {task.output_format}."
    yield from _upscale_faults(model, task) if isinstance(task, UpscaleImageRequest) else _edit_faults(model, task)


def _upscale_faults(model: Model, task: UpscaleImageRequest) -> Iterator[str]:
    if task.upscale_factor not in model.upscale_factors:
        yield f"{model.id} upscales by {', '.join(map(str, model.upscale_factors))}, not by {task.upscale_factor}."


def _edit_faults(model: Model, task: Task) -> Iterator[str]:
    if not isinstance(task, EditImagesRequest):
        return
    length = len(task.prompt.strip())
    if not length:
        yield "The prompt is empty."
    elif length > model.max_prompt_chars:
        yield f"{model.id} takes prompts of {model.max_prompt_chars} characters at most, not {length}."
    if task.aspect_ratio and task.aspect_ratio not in model.aspect_ratios:
        yield f"{model.id} draws {', '.join(model.aspect_ratios)}, not {task.aspect_ratio}."
    if task.HasField("seed") and not model.seeds:
        yield f"{model.id} takes no seed."
