"""Whether what a task makes can be kept, as far as that is known before anything is bought."""

from collections.abc import Iterator, Sequence

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.image import Image, OutputFormat
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, Task, UpscaleTask


def require_keepable(task: Task, inputs: Sequence[Image]) -> None:
    """Raise ``InvalidFieldError`` for a task whose result would be larger than is kept, whichever model makes it.

    ``inputs`` are the pictures that it starts from, in its order.
    """
    if violations := tuple(_violations(task, inputs)):
        raise InvalidFieldError(violations)


def _violations(task: Task, inputs: Sequence[Image]) -> Iterator[FieldViolation]:
    if isinstance(task, UpscaleTask):
        width, height = (edge * task.upscale_factor for edge in (inputs[0].width, inputs[0].height))
        if width * height > limits.MAX_PIXELS or max(width, height) > limits.MAX_EDGE_PIXELS:
            bounds = f"{limits.MAX_PIXELS} pixels and {limits.MAX_EDGE_PIXELS} along an edge"
            yield FieldViolation("upscaleFactor", f"the result would have {width} x {height} pixels; at most {bounds}")
            return
        longest = max(width, height)
    elif isinstance(task, EditTask) and task.aspect_ratio == AUTO_ASPECT_RATIO:
        longest = max(inputs[0].width, inputs[0].height)  # a model that keeps the first input's shape may keep its size
    else:
        return
    if task.output_format is OutputFormat.WEBP and longest > limits.MAX_WEBP_EDGE_PIXELS:
        text = f"webp holds at most {limits.MAX_WEBP_EDGE_PIXELS} pixels along an edge; the result may have {longest}"
        yield FieldViolation("outputFormat", text)
